import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { faults, presets } from '../../test/support/github/index.ts';
import { createGitHub } from './client.ts';
import { type Bench, startBench } from './test-support.ts';
import { brief } from './retry.ts';
import { isRunOver } from './runs.ts';

let bench: Bench;
beforeEach(async () => {
  bench = await startBench();
});
afterEach(() => bench.stop());

const permission = 'deployments: write';
const read = (github = bench.connect()) =>
  github.call('GET /repos/{owner}/{repo}/deployments', {}, { permission });
const create = (github = bench.connect()) =>
  github.call('POST /repos/{owner}/{repo}/deployments', { ref: 'main' }, { permission });

describe('rate limits', () => {
  it.each([
    ['secondary, with a time', faults.secondaryLimit(403, 17), 17_000],
    ['secondary by 429', faults.secondaryLimit(429, 3), 3_000],
    ['secondary, without a time', faults.secondaryLimit(403), 60_000],
    ['primary', faults.primaryLimit(Date.UTC(2030, 0, 1, 0, 1) / 1_000), 61_000],
  ])('%s: waited for by GitHub’s clock, also by writes', async (_what, fault, milliseconds) => {
    bench.double.inject({ nth: 1, fault });
    expect((await create()).status).toBe(201);
    expect(bench.clock.slept).toEqual([milliseconds]);
    expect(bench.double.repository.deployments).toHaveLength(1);
    expect(bench.log.of('progress')[0]).toContain('GitHub limits the rate of calls');
  });

  it('are not waited for longer than patience allows', async () => {
    bench.double.inject({ fault: faults.secondaryLimit(429, 3_600) });
    await expect(create()).rejects.toMatchObject({
      reasonCode: 'unreachable',
      message: expect.stringContaining('It asks to wait 3600 s'),
    });
    expect(bench.clock.slept).toEqual([]);
  });

  it('a missing permission is none, even with the last call of the hour', async () => {
    const body = { message: 'Resource not accessible by integration' };
    const headers = { 'x-ratelimit-remaining': '0' };
    bench.double.inject({ fault: { kind: 'answer', answer: { status: 403, body, headers } } });
    await expect(create()).rejects.toMatchObject({ reasonCode: 'permission_denied' });
    expect(bench.clock.slept).toEqual([]);
  });

  it('apart from each other by chance', async () => {
    bench.double.inject({ nth: 1, fault: faults.secondaryLimit(429, 8) });
    await create(bench.connect({ random: () => 0.5 }));
    expect(bench.clock.slept).toEqual([9_000]);
  });

  it('of GraphQL, which come with 200', async () => {
    const body = { errors: [{ type: 'RATE_LIMITED', message: 'API rate limit exceeded' }] };
    bench.double.inject({ nth: 1, fault: { kind: 'answer', answer: { status: 200, body } } });
    const github = bench.connect();
    await github.graphql('query Viewer { viewer { login } }', {}, { permission });
    expect(bench.clock.slept).toEqual([60_000]);
  });
});

describe('passing failures', () => {
  it.each([
    ['500', faults.serverError],
    ['502', faults.badGateway],
    ['503', faults.unavailable],
    ['a cut', faults.cut],
    ['a cut in the answer', faults.cutInAnswer],
  ])('%s: a read is tried again, with doubled pauses', async (_what, fault) => {
    bench.double.inject({ times: 2, fault });
    expect((await read()).status).toBe(200);
    expect(bench.clock.slept).toEqual([1_000, 2_000]);
  });

  it('are given up after so many attempts', async () => {
    bench.double.inject({ fault: faults.unavailable });
    await expect(read(bench.connect({ patience: brief }))).rejects.toMatchObject({
      reasonCode: 'unreachable',
      message: expect.stringMatching(/answers 503 .* Tried 4 times/),
    });
    expect(bench.double.calls).toHaveLength(4);
  });

  it.each([
    ['500', faults.serverError],
    ['a cut', faults.cut],
    ['a cut after it took effect', faults.cutAfterEffect],
    ['a cut in the answer', faults.cutInAnswer],
  ])('%s: a write is not blindly tried again', async (_what, fault) => {
    bench.double.inject({ nth: 1, fault });
    await expect(create()).rejects.toMatchObject({ reasonCode: 'unreachable', failure: { unclear: true } });
    expect(bench.double.calls).toHaveLength(1);
  });

  it('a write that was never sent is tried again', async () => {
    const other = await startBench();
    const github = other.connect({ patience: { total: 10_000, attempts: 3 } });
    await other.stop();
    await expect(create(github)).rejects.toMatchObject({
      message: expect.stringContaining('Tried 3 times'),
      failure: { unclear: false },
    });
  });

  it('an answer that is late is not waited for', async () => {
    bench.double.inject({ nth: 1, fault: faults.late(60_000) });
    await expect(create(bench.connect({ timeout: 2_000 }))).rejects.toMatchObject({
      failure: { unclear: true },
    });
    expect(bench.double.repository.deployments).toHaveLength(1);
  });
});

describe('lasting failures', () => {
  it.each([
    ['401', faults.badCredentials, 'permission_denied', /does not accept the token/],
    ['403', faults.missingPermission, 'permission_denied', /needs `deployments: write`/],
    ['404', faults.notFound, 'not_found', /or the token may not see it/],
    ['409', faults.conflict, 'state_conflict', /conflicts/],
    ['422', faults.unprocessable, 'internal', /refuses what was sent with 422 \(Validation Failed\)/],
  ])('%s is said at once, with what to do', async (_what, fault, reasonCode, message) => {
    bench.double.inject({ fault });
    await expect(read()).rejects.toMatchObject({ reasonCode, message: expect.stringMatching(message) });
    expect(bench.double.calls).toHaveLength(1);
  });

  it('name the permission that a job has to add', async () => {
    await expect(create(bench.connect({ permissions: presets.restricted }))).rejects.toMatchObject({
      remedy: 'Add `deployments: write` to the `permissions` of the job.',
    });
  });

  it('never say the token', async () => {
    bench.double.inject({ fault: faults.badCredentials });
    const github = bench.connect({ token: 'token-of-a-kind' });
    const thrown: unknown = await read(github).catch((error: unknown) => error);
    expect(String(thrown) + bench.log.lines.join()).not.toContain('token-of-a-kind');
  });
});

it('stops when the run is cancelled, also in a wait', async () => {
  const cancel = new AbortController();
  bench.double.inject({ fault: faults.unavailable });
  const sleep = async () => cancel.abort();
  await expect(read(bench.connect({ signal: cancel.signal, sleep }))).rejects.toMatchObject({
    reasonCode: 'cancelled',
  });
  expect(bench.double.calls).toHaveLength(1);
});

it('calls an Enterprise Server at its own addresses', async () => {
  const server = await startBench({ enterprise: true });
  const github = server.connect();
  expect((await create(github)).status).toBe(201);
  expect(await github.graphql('query Viewer { viewer { login } }', {}, { permission })).toEqual({
    viewer: { login: 'github-actions[bot]' },
  });
  await server.stop();
});

it.each([
  ['goes on', { status: 'in_progress', run_attempt: 1 }, false],
  ['waits for approval', { status: 'waiting', run_attempt: 1 }, false],
  ['is over', { status: 'completed', run_attempt: 1 }, true],
  ['was started again since', { status: 'in_progress', run_attempt: 2 }, true],
])('knows of a run that it %s', async (_what, run, over) => {
  bench.double.repository.runs.push({ id: 7, conclusion: null, ...run });
  expect(await isRunOver(bench.connect(), { id: 7, attempt: 1 })).toBe(over);
});

it('does not know of a run that it may not see, or that is not there', async () => {
  expect(await isRunOver(bench.connect(), { id: 8, attempt: 1 })).toBeUndefined();
  const github = bench.connect({ permissions: presets.restricted });
  expect(await isRunOver(github, { id: 8, attempt: 1 })).toBeUndefined();
  bench.double.inject({ fault: faults.badCredentials });
  await expect(isRunOver(github, { id: 8, attempt: 1 })).rejects.toMatchObject({
    reasonCode: 'permission_denied',
  });
});

it('says when an Enterprise Server is too old', async () => {
  const body = { errors: [{ message: "Field 'updateRefs' doesn't exist on type 'Mutation'" }] };
  bench.double.inject({ fault: { kind: 'answer', answer: { status: 200, body } } });
  const call = bench.connect().graphql('query Viewer { viewer { login } }', {}, { permission });
  await expect(call).rejects.toMatchObject({ reasonCode: 'unsupported' });
});

it.each(['acme', 'acme/', '/helpdesk', 'acme/helpdesk/x'])('refuses the repository %j', (repository) => {
  expect(() => createGitHub({ ...({} as Parameters<typeof createGitHub>[0]), repository })).toThrow(
    'owner/name',
  );
});
