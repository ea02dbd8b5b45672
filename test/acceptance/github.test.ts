// What a release tells GitHub, and that nothing of it changes how the release ends, whatever GitHub does.

import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  actionsBot,
  type Fault,
  faults,
  type GitHubDouble,
  type Permissions,
  presets,
  startGitHub,
} from '../support/github/index.ts';
import { freePort } from '../support/ports.ts';
import type { Job, StepResult } from '../support/runner.ts';
import { ending, expectEnding } from './ending.ts';
import { createHost, type Host } from './host.ts';

let host: Host;
let github: GitHubDouble;
let runs = 100;
beforeAll(async () => {
  [host, github] = await Promise.all([createHost(), startGitHub()]);
});
afterEach(() => github.behave());
afterAll(() => Promise.all([host.end(), github.stop()]));

interface Asked {
  sha?: string;
  permissions?: Permissions;
  /** Of an API that is not the double's. */
  apiUrl?: string;
  env?: Record<string, string>;
  actor?: string;
}

/** A job of its own run of a workflow, of a commit of the double's repository. */
function jobOf(asked: Asked = {}): Promise<Job> {
  runs += 1;
  return host.job({
    runId: String(runs),
    token: github.token(asked.permissions ?? presets.write, actionsBot),
    repository: github.name,
    ...(asked.actor === undefined ? {} : { actor: asked.actor }),
    env: {
      GITHUB_API_URL: asked.apiUrl ?? github.apiUrl,
      GITHUB_GRAPHQL_URL: github.graphqlUrl,
      GITHUB_SHA: asked.sha ?? github.head,
      ...asked.env,
    },
  });
}

let versions = 0;
/** Releases one more version. */
async function release(asked: Asked = {}, env: Record<string, string> = {}): Promise<StepResult> {
  versions += 1;
  const inputs = { ...(await host.release(`v${versions}`, env)), watch: '0', 'ready-timeout': '10s' };
  return ending(await jobOf(asked), 'blue-green-switch', inputs);
}

const warningsOf = (step: StepResult) =>
  step.annotations.filter(({ level }) => level === 'warning').map(({ message }) => message);

const deploymentsOf = () =>
  github.repository.deployments.map(({ id, sha, payload, statuses }) => ({
    id,
    sha,
    version: (payload as { version: string }).version,
    states: statuses.map(({ state }) => state),
    last: statuses.at(-1),
  }));
const active = () => deploymentsOf().filter(({ last }) => last?.state === 'success');

describe('the deployments of an environment', { timeout: 90_000 }, () => {
  it('say each phase of a release, where it is served, and what serves', async () => {
    await release();
    const inputs = { 'environment-url': 'https://helpdesk.example/' };
    versions += 1;
    const sha = github.push('main');
    const job = await jobOf({ sha });
    const step = await ending(job, 'blue-green-switch', {
      ...(await host.release(`v${versions}`)),
      watch: '0',
      ...inputs,
    });
    expect(warningsOf(step)).toEqual([]);
    const [, made] = github.repository.deployments;
    expect(made).toMatchObject({ environment: 'production', sha, production_environment: true });
    expect(made?.statuses.map(({ state, description }) => `${state}: ${description}`)).toEqual([
      'queued: Waiting for the environment',
      'in_progress: Starting v2 and waiting until it is ready',
      expect.stringMatching(/^in_progress: Traffic: green 100 %/),
      'in_progress: Watching v2',
      'in_progress: Letting requests to the old version finish',
      expect.stringMatching(/^success: v2 has all traffic/),
    ]);
    expect(made?.statuses.at(-1)).toMatchObject({
      environment_url: 'https://helpdesk.example/',
      log_url: `https://github.com/acme/helpdesk/actions/runs/${runs}/attempts/1`,
    });
    expect(active().map(({ version }) => version)).toEqual(['v2']);
    expect(await job.post(step)).toMatchObject({ exitCode: 0 });
    expect(github.repository.deployments).toHaveLength(2);
  });

  it('of a version that got no traffic fails, and the one that serves stays', async () => {
    const step = await release({}, { NEVER_READY: '1' });
    expect(step.outputs).toMatchObject({ result: 'refused', version: 'v2' });
    expect(deploymentsOf().at(-1)).toMatchObject({ version: 'v3', last: { state: 'failure' } });
    expect(active().map(({ version }) => version)).toEqual(['v2']);
  });

  it('of a version that is taken back fails, and the earlier one is the latest', async () => {
    versions += 1;
    const inputs = { ...(await host.release(`v${versions}`)), watch: '60s' };
    const job = await jobOf({ sha: github.push('main') });
    const running = await job.start('blue-green-switch', inputs);
    await running.line(/… watching/);
    const answer = (await (await fetch(host.url)).json()) as { version: string; pid: number };
    expect(answer.version).toBe(`v${versions}`);
    process.kill(answer.pid, 'SIGKILL');
    const step = await expectEnding(job, await running.done);
    expect(step.outputs).toMatchObject({ result: 'rolled-back', version: 'v2', 'rejected-version': 'v4' });
    const [failed, again] = deploymentsOf().slice(-2);
    expect(failed).toMatchObject({ version: 'v4', last: { state: 'failure' } });
    expect(again).toMatchObject({ version: 'v2', states: ['success'] });
    expect(again?.sha).toBe(deploymentsOf().find(({ version }) => version === 'v2')?.sha);
    expect(active().map(({ id }) => id)).toEqual([again?.id]);
  });

  it('follow a rollback to the commit of the version that is gone back to', async () => {
    const step = await ending(await jobOf({ sha: github.push('main') }), 'rollback', {
      ...host.target,
      supervisor: 'process',
      version: 'v1',
    });
    expect(step.outputs).toMatchObject({ result: 'succeeded', version: 'v1' });
    expect(deploymentsOf().at(-1)).toMatchObject({
      version: 'v1',
      sha: github.head,
      last: { state: 'success' },
    });
    expect(active().map(({ version }) => version)).toEqual(['v1']);
  });
});

describe('a release does not hang on what it tells', { timeout: 90_000 }, () => {
  let base: StepResult;
  beforeAll(async () => (base = await release()));

  /** Ended as the same release does when all is well. */
  function expectSame(step: StepResult): void {
    const { exitCode, outputs } = step;
    expect(exitCode).toBe(base.exitCode);
    for (const name of ['result', 'reason-code', 'rejected-version', 'requests-sent', 'requests-lost']) {
      expect(outputs[name], name).toBe(base.outputs[name]);
    }
    expect(outputs['version']).toBe(`v${versions}`);
    // 4 s for GitHub and some for a busy machine; each call tried to its end would be half a minute and more.
    expect(step.seconds).toBeLessThan(base.seconds + 10);
  }

  const cases: [string, Fault, RegExp | undefined][] = [
    ['a token that is not accepted', faults.badCredentials, /deployment.*does not accept the token/s],
    ['a missing permission', faults.missingPermission, /Add `deployments: write` to the `permissions`/],
    ['404', faults.notFound, /deployment.*does not find it.*`deployments: write`/s],
    ['409', faults.conflict, /deployment.*conflicts/s],
    ['422', faults.unprocessable, /deployment.*GitHub refuses what was sent with 422/s],
    ['a limit of calls with a time', faults.secondaryLimit(429, 1), /deployment.*limits the rate of calls/s],
    ['500', faults.serverError, /deployment.*Server Error/s],
    ['a cut connection', faults.cut, /deployment.*(?:closed|fetch failed|terminated|no answer)/s],
    ['a cut after the effect', faults.cutAfterEffect, /deployment/],
    ['late answers', faults.late(20_000), /The deployment: GitHub was not done with it after 4/],
  ];
  it.each(cases)('with %s', async (_name, fault, warning) => {
    github.inject({ fault });
    const step = await release();
    expectSame(step);
    expect(
      warningsOf(step).filter((text) => warning?.test(text) === true),
      step.log,
    ).not.toEqual([]);
    expect(warningsOf(step).join('\n')).toContain('does not change the result');
  });

  it('with one limit of calls it waits, and everything arrives', async () => {
    github.inject({ operation: /statuses/, times: 1, fault: faults.secondaryLimit(429, 1) });
    const step = await release();
    expectSame(step);
    expect(warningsOf(step)).toEqual([]);
    expect(deploymentsOf().at(-1)?.last?.state).toBe('success');
  });

  it('with a token that may only read, as a fork and Dependabot have it', async () => {
    const file = join(host.root, 'fork.json');
    const { number, head } = github.openPull();
    const pull = (full_name: string) => ({
      pull_request: { number, head: { sha: head, repo: { full_name } } },
    });
    await writeFile(file, JSON.stringify(pull('mallory/helpdesk')));
    const event = { GITHUB_EVENT_NAME: 'pull_request', GITHUB_EVENT_PATH: file };
    const fork = await release({ permissions: presets.fork, env: event });
    expectSame(fork);
    expect(warningsOf(fork)).toEqual([]);
    expect(fork.log).toContain('read-only, because the pull request comes from a fork');

    await writeFile(file, JSON.stringify(pull(github.name)));
    const bot = await release({ permissions: presets.dependabot, env: event, actor: 'dependabot[bot]' });
    expectSame(bot);
    expect(warningsOf(bot)).toEqual([]);
  });

  it('with nobody there', async () => {
    const step = await release({ apiUrl: `http://127.0.0.1:${await freePort()}` });
    expectSame(step);
    expect(warningsOf(step).join('\n')).toMatch(/The deployment.*does not change the result/s);
  });

  describe('to a GitHub that never answers', () => {
    let silent: Server;
    beforeAll(async () => {
      silent = createServer((socket) => void socket.on('error', () => {})).listen(0, '127.0.0.1');
      await once(silent, 'listening');
    });
    afterAll(() => void silent.close());
    const apiUrl = () => {
      const address = silent.address();
      return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
    };

    it('waits a few seconds for it, at the end', async () => {
      const step = await release({ apiUrl: apiUrl() });
      expectSame(step);
      expect(warningsOf(step).join('\n')).toContain('GitHub was not done with it after 4');
    });

    it('is cancelled within the time that the runner gives', async () => {
      versions += 1;
      const job = await jobOf({ apiUrl: apiUrl() });
      const inputs = { ...(await host.release(`v${versions}`)), watch: '60s' };
      const step = await job.start('blue-green-switch', inputs);
      await step.line(/… watching/);
      const asked = performance.now();
      const ended = await expectEnding(job, await step.cancel());
      expect(performance.now() - asked).toBeLessThan(7_500);
      expect(ended.outputs).toMatchObject({ result: 'cancelled', version: `v${versions - 1}` });
    });
  });

  it('tells GitHub that it was cancelled, the traffic first', async () => {
    versions += 1;
    const job = await jobOf();
    const inputs = { ...(await host.release(`v${versions}`)), watch: '60s' };
    const step = await job.start('blue-green-switch', inputs);
    await step.line(/… watching/);
    const ended = await expectEnding(job, await step.cancel());
    expect(ended.outputs['result']).toBe('cancelled');
    expect(deploymentsOf().at(-1)).toMatchObject({ version: `v${versions}`, last: { state: 'error' } });
  });

  it('that was killed is ended by the post step', async () => {
    versions += 1;
    const job = await jobOf();
    const inputs = { ...(await host.release(`v${versions}`)), watch: '60s' };
    const step = await job.start('blue-green-switch', inputs);
    await step.line(/… watching/);
    await expect.poll(() => deploymentsOf().at(-1)?.last?.description).toBe(`Watching v${versions}`);
    const after = await job.post(await step.kill());
    expect(after?.exitCode, after?.log).toBe(0);
    expect(deploymentsOf().at(-1)).toMatchObject({ version: `v${versions}` });
    expect(['success', 'error']).toContain(deploymentsOf().at(-1)?.last?.state);
  });
});
