import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '@deploy-actions/action-kit';
import { readAudit, readFreeze } from '@deploy-actions/ledger';
import {
  acquireLease,
  createFileStore,
  isHolderAlive,
  type Lease,
  type ProcessIdentity,
  thisProcess,
} from '@deploy-actions/release-engine';
import { openState, runDelivery } from '@deploy-actions/targets';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestEnvironment, type TestEnvironment } from '../../packages/targets/test-support.ts';
import { createTestContext } from '../../test/support/context.ts';
import { type GitHubDouble, presets, startGitHub } from '../../test/support/github/index.ts';
import type { Inputs } from './desk.ts';
import { run } from './run.ts';

const page = (id: string) => `https://github.example/acme/helpdesk/actions/runs/${id}`;
const shas: Record<string, string> = { '1': 'a'.repeat(40), '2': 'b'.repeat(40), '3': 'c'.repeat(40) };

let home: string;
const leases: Lease[] = [];
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'releases-'));
});
afterEach(async () => {
  for (const lease of leases.splice(0)) await lease.release();
  await rm(home, { recursive: true, force: true });
});

const directoryOf = (environment: string) => join(home, environment);
const storeOf = (environment = 'production') => createFileStore(join(directoryOf(environment), 'state'));

function inputsFor(command: Inputs['command'], more: Partial<Inputs> = {}): Inputs {
  return {
    command,
    app: 'helpdesk',
    environment: 'production',
    platform: 'linux-host',
    state: 'platform',
    'state-directory': directoryOf('production'),
    namespace: undefined,
    kubeconfig: undefined,
    context: undefined,
    version: undefined,
    'other-environment': undefined,
    'other-state-directory': undefined,
    reason: undefined,
    until: undefined,
    force: false,
    'dry-run': false,
    'github-token': undefined,
    ...more,
  };
}

function contextOf(own: Partial<Context['facts']> = {}) {
  const made = createTestContext();
  const facts = {
    ...made.context.facts,
    workspace: home,
    runId: '77',
    actor: 'bob',
    runUrl: page('77'),
    ...own,
  };
  return { ...made, context: { ...made.context, facts } };
}

async function ask(command: Inputs['command'], more: Partial<Inputs> = {}) {
  const { context, lines } = contextOf();
  const outcome = await run(inputsFor(command, more), context);
  return {
    ...outcome,
    json: JSON.parse(String(outcome.outputs.json)) as never,
    summary: context.summary.text(),
    lines,
  };
}

/** Released by real deliveries to a host in memory. */
const hosts = new Map<string, TestEnvironment>();
beforeEach(() => hosts.clear());
async function release(version: string, { environment = 'production', fails = false } = {}) {
  const host =
    hosts.get(environment) ?? createTestEnvironment(storeOf(environment), join(home, `host-${environment}`));
  hosts.set(environment, host);
  const id = `${version}1`;
  const { context } = contextOf({ sha: shas[version] ?? '' });
  const target = host.open({ id: `${id}.1`, url: page(id), actor: 'ada' });
  const images = { backend: `ghcr.io/acme/backend:${version}` };
  const asked = host.request(target, version, { environment, images, notes: { migration: `m${version}` } });
  const reason = { reasonCode: 'limit_exceeded' as const, message: 'Too many | errors', details: [] };
  const verdict = {
    decision: fails ? ('fail' as const) : ('pass' as const),
    words: ['5 % of *them*'],
    elapsed: 90_000,
  };
  await runDelivery(context, {
    ...asked,
    hold: () => Promise.resolve(fails ? { pass: false, reason, verdict } : { pass: true, verdict }),
  });
}

async function hold(id: string, process: ProcessIdentity = thisProcess()) {
  const { context } = contextOf();
  const { signal, log } = context;
  const lease = await acquireLease({
    ...{ store: storeOf(), run: { id, url: page(id), actor: 'ada' }, process, signal, log },
    ...{ isAlive: isHolderAlive, wait: 0 },
  });
  leases.push(lease);
  return lease;
}
const elsewhere = { scope: 'another host', pid: 1, startTime: '1' };

describe('list', () => {
  it('has every release, newest first, and says what serves', async () => {
    await release('1');
    await release('2', { fails: true });
    const { message, json, summary, outputs } = await ask('list');
    expect(message).toMatch(/^helpdesk in production: 2 releases in the ledger; 1 serves since 2\d{3}-/);
    expect(json).toMatchObject([
      { version: '2', sha: shas['2'], result: 'taken-back', reasonCode: 'limit_exceeded', previous: '1' },
      { version: '1', sha: shas['1'], result: 'serving', actor: 'ada', runUrl: page('11'), previous: null },
    ]);
    const rows = summary.split('\n').filter((line) => line.startsWith('| '));
    expect(rows[2]).toContain('↩️ taken back | 2 | bbbbbbbbbbbb | blue-green | ada');
    expect(rows[3]).toContain(`🟢 serves | 1 | aaaaaaaaaaaa`);
    expect(rows[3]).toContain(`[run 11.1](${page('11')})`);
    expect(outputs).toMatchObject({ version: '1', frozen: false, holder: undefined });
  });

  it('says what stops releases now, and what was done by hand', async () => {
    await release('1');
    await ask('freeze', { reason: 'Black Friday' });
    await hold('5.1');
    const { summary, outputs } = await ask('list');
    expect(summary).toMatch(/- ❄️ frozen by run 77\.1 of bob .*: Black Friday\n/);
    expect(summary).toMatch(/- 🔒 run 5\.1 of ada .* holds the lease since/);
    expect(summary).toMatch(/freeze by run 77\.1 of bob .*: Black Friday \(until it is unfrozen\)/);
    expect(outputs).toMatchObject({ frozen: true, holder: page('5.1') });
  });

  it('of an environment that nothing was released to is empty, and writes nothing', async () => {
    const { message, json, outputs } = await ask('list');
    expect(message).toBe('helpdesk in production: 0 releases in the ledger; nothing serves by it.');
    expect(json).toEqual([]);
    expect(outputs.version).toBeUndefined();
    await expect(rm(directoryOf('production'))).rejects.toThrow('ENOENT');
  });
});

describe('show', () => {
  it('has everything about a release, verdicts included', async () => {
    await release('1');
    await release('2', { fails: true });
    const { json, summary, message, outputs } = await ask('show', { version: '2' });
    expect(json).toMatchObject({
      ...{ version: '2', sha: shas['2'], migration: 'm2', images: { backend: 'ghcr.io/acme/backend:2' } },
      ...{ previous: '1', platform: 'linux-host', router: 'embedded-proxy', result: 'taken-back' },
      verdicts: [{ weight: 100, decision: 'fail', words: ['5 % of *them*'] }],
    });
    expect(summary).toContain('| **Why** | Too many \\| errors |');
    expect(summary).toContain('| 100 % | fail | 1m30s | 5 % of \\*them\\* |');
    expect(message).toContain('2 was taken back');
    expect(outputs.version).toBe('2');
  });

  it('shows what serves when no version is named, and finds one by its commit', async () => {
    await release('1');
    await release('2');
    expect((await ask('show')).outputs.version).toBe('2');
    expect((await ask('show', { version: 'aaaaaaa' })).outputs.version).toBe('1');
  });

  it('names what is known when asked for what is not', async () => {
    await release('1');
    await release('2');
    await expect(ask('show', { version: '9' })).rejects.toMatchObject({
      reasonCode: 'version_not_found',
      remedy: 'Known are 2, 1.',
    });
  });

  it('of nothing is nothing', async () => {
    expect(await ask('show')).toMatchObject({ json: null, result: 'succeeded' });
  });
});

describe('diff', () => {
  const other = { 'other-environment': 'staging' };
  const otherIn = () => ({ ...other, 'other-state-directory': directoryOf('staging') });

  it('is in what two environments differ, with a page that compares their commits', async () => {
    await release('1');
    await release('3', { environment: 'staging' });
    const { json, message, summary } = await ask('diff', otherIn());
    expect(message).toBe(
      'production (1) and staging (3) differ in version, commit, image backend, migration.',
    );
    const compare = `https://github.example/acme/helpdesk/compare/${shas['1']}...${shas['3']}`;
    expect(json).toMatchObject({ production: { version: '1' }, staging: { version: '3' }, compare });
    expect(summary).toContain('|  | production | staging |');
    expect(summary).toContain('| **version** | 1 | 3 |');
    expect(summary).toContain(`(${compare})`);
  });

  it('is nothing where the same serves', async () => {
    await release('1');
    await release('1', { environment: 'staging' });
    expect((await ask('diff', otherIn())).message).toBe('production and staging have the same: 1.');
  });

  it('says that nothing serves in one of them, and where it looked', async () => {
    await release('1');
    const { lines, message } = await ask('diff', otherIn());
    expect(message).toContain('production (1) and staging (nothing) differ');
    expect(lines).toContainEqual(
      `Nothing serves in staging by the ledger in ${join(directoryOf('staging'), 'state')}.`,
    );
  });

  it('looks where deploy.yml says that the other environment has its state', async () => {
    await release('1');
    await release('3', { environment: 'staging' });
    await mkdir(join(home, '.github'));
    const folder = JSON.stringify(directoryOf('staging'));
    await writeFile(
      join(home, '.github/deploy.yml'),
      `environments:\n  production: {}\n  staging:\n    state-directory: ${folder}\n`,
    );
    expect((await ask('diff', other)).message).toContain('production (1) and staging (3) differ');
  });
});

describe('unlock', () => {
  const reason = { reason: 'the runner was lost' };

  it('takes the lease of a holder of whom nothing is known, and records whose it was', async () => {
    const lease = await hold('5.1', elsewhere);
    const outcome = await ask('unlock', reason);
    expect(outcome.message).toMatch(
      /^Took the lease that run 5\.1 of ada .* helpdesk in production is unlocked\.$/,
    );
    expect(await readAudit(storeOf())).toMatchObject([
      {
        ...{ what: 'unlock', reason: 'the runner was lost', run: { id: '77.1', actor: 'bob' } },
        detail: expect.stringContaining('run 5.1 of ada'),
      },
    ]);
    await expect(lease.fence.check()).rejects.toMatchObject({
      reasonCode: 'lock_lost',
      message: expect.stringContaining('taken from this run'),
    });
    await hold('6.1');
  });

  it('refuses while the holder is alive, unless it is forced', async () => {
    await hold('5.1');
    await expect(ask('unlock', reason)).rejects.toMatchObject({
      reasonCode: 'lock_held',
      message: expect.stringContaining(page('5.1')),
      remedy: expect.stringContaining('`force: true`'),
    });
    expect(await readAudit(storeOf())).toEqual([]);
    expect((await ask('unlock', { ...reason, force: true })).result).toBe('succeeded');
  });

  it('says what it would do and does nothing on a dry run', async () => {
    const lease = await hold('5.1', elsewhere);
    const outcome = await ask('unlock', { ...reason, 'dry-run': true });
    expect(outcome).toMatchObject({ result: 'planned', reasonCode: 'dry_run' });
    expect(outcome.message).toMatch(/^Would take the lease that run 5\.1/);
    await lease.fence.check();
    expect(await readAudit(storeOf())).toEqual([]);
  });

  it('has nothing to do where nobody holds it', async () => {
    expect(await ask('unlock', reason)).toMatchObject({ result: 'unchanged', json: { lease: null } });
  });

  it('does nothing that it cannot record', async () => {
    const lease = await hold('5.1', elsewhere);
    await storeOf().write('audit', { schema: 9 }, 0);
    await expect(ask('unlock', reason)).rejects.toMatchObject({ reasonCode: 'state_too_new' });
    await lease.fence.check();
  });
});

describe('freeze and unfreeze', () => {
  it('stop releases and let them go on, with everything said on the way', async () => {
    await release('1');
    const frozen = await ask('freeze', { reason: 'Black Friday', until: '12h' });
    expect(frozen.message).toMatch(/^helpdesk in production is frozen until 2\d{3}-.*Z: Black Friday\.$/);
    expect(frozen.outputs.frozen).toBe(true);
    await expect(release('2')).rejects.toMatchObject({ reasonCode: 'environment_frozen' });
    const lifted = await ask('unfreeze', { reason: 'over' });
    expect(lifted.message).toMatch(/is unfrozen; it was frozen by run 77\.1 of bob .* Black Friday\.$/);
    expect(lifted.outputs.frozen).toBe(false);
    await release('2');
    expect(await ask('unfreeze', { reason: 'over' })).toMatchObject({ result: 'unchanged' });
  });

  it('say which release is under way and goes on', async () => {
    await hold('5.1');
    const { message, outputs } = await ask('freeze', { reason: 'Black Friday' });
    expect(message).toContain(`run 5.1 of ada (${page('5.1')}) holds the lease: what it began goes on`);
    expect(outputs.holder).toBe(page('5.1'));
  });

  it('change nothing on a dry run', async () => {
    expect((await ask('freeze', { reason: 'x', 'dry-run': true })).message).toBe(
      'Would freeze helpdesk in production: x. Nothing was written.',
    );
    expect(await readFreeze(storeOf())).toBeNull();
    await ask('freeze', { reason: 'x' });
    expect((await ask('unfreeze', { reason: 'y', 'dry-run': true })).result).toBe('planned');
    expect(await readFreeze(storeOf())).not.toBeNull();
  });
});

describe('state on a git reference', () => {
  let double: GitHubDouble;
  beforeEach(async () => {
    double = await startGitHub();
  });
  afterEach(() => double.stop());

  const onRef = (permissions: Parameters<GitHubDouble['token']>[0] = presets.write): Partial<Inputs> => ({
    state: 'git-ref',
    'state-directory': undefined,
    'github-token': double.token(permissions),
  });
  async function askOnRef(
    command: Inputs['command'],
    more: Partial<Inputs> = {},
    permissions = presets.write,
  ) {
    const { apiUrl, graphqlUrl, name } = double;
    const { context } = contextOf({ apiUrl, graphqlUrl, repository: name });
    return run(inputsFor(command, { ...onRef(permissions), ...more }), context);
  }
  async function holdOnRef(id: string) {
    const { apiUrl, graphqlUrl, name } = double;
    const { context } = contextOf({ apiUrl, graphqlUrl, repository: name });
    const { store } = await openState(inputsFor('list', onRef()), context);
    const { signal, log } = context;
    return acquireLease({
      ...{ store, run: { id, url: page(id), actor: 'ada' }, process: elsewhere, signal, log },
      ...{ isAlive: () => undefined, wait: 0 },
    });
  }

  it('is frozen and unfrozen from any runner', async () => {
    await askOnRef('freeze', { reason: 'Black Friday' });
    expect((await askOnRef('list')).outputs.frozen).toBe(true);
    await askOnRef('unfreeze', { reason: 'over' });
    expect((await askOnRef('list')).outputs.frozen).toBe(false);
    expect([...double.repository.refs.keys()]).toContain('refs/deploy-actions/production');
  });

  it('keeps applications of one environment apart', async () => {
    await askOnRef('freeze', { reason: 'Black Friday' });
    expect((await askOnRef('list', { app: 'billing' })).outputs.frozen).toBe(false);
  });

  it('is read by a token that may not write, which is told what it lacks when it tries', async () => {
    expect((await askOnRef('list', {}, presets.fork)).result).toBe('succeeded');
    await expect(askOnRef('freeze', { reason: 'x' }, presets.fork)).rejects.toMatchObject({
      reasonCode: 'permission_denied',
      message: expect.stringContaining('contents: write'),
    });
  });

  it('is not unlocked while GitHub says that the run of the holder goes on', async () => {
    const lease = await holdOnRef('5.1');
    const job = { id: 5, run_attempt: 1, status: 'in_progress', conclusion: null as string | null };
    double.repository.runs.push(job);
    await expect(askOnRef('unlock', { reason: 'x' })).rejects.toMatchObject({ reasonCode: 'lock_held' });
    job.status = 'completed';
    job.conclusion = 'cancelled';
    expect((await askOnRef('unlock', { reason: 'x' })).result).toBe('succeeded');
    await expect(lease.fence.check()).rejects.toMatchObject({ reasonCode: 'lock_lost' });
  });

  it('or on the host: GitHub is asked about a holder on another one', async () => {
    const lease = await hold('6.1', elsewhere);
    double.repository.runs.push({ id: 6, run_attempt: 1, status: 'in_progress', conclusion: null });
    const onHost = { state: 'platform', 'state-directory': directoryOf('production') } as const;
    await expect(askOnRef('unlock', { reason: 'x', ...onHost })).rejects.toMatchObject({
      reasonCode: 'lock_held',
    });
    await lease.fence.check();
  });

  it('needs a token and a repository', async () => {
    await expect(askOnRef('list', { 'github-token': undefined })).rejects.toMatchObject({
      reasonCode: 'invalid_input',
      message: expect.stringContaining('`github-token` is missing'),
    });
  });
});
