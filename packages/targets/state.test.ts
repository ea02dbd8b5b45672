import {
  acquireLease,
  breakLease,
  type Lease,
  type LeaseOptions,
  openJournal,
  readLease,
  thisProcess,
} from '@deploy-actions/release-engine';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failureOf } from '../../test/support/failure.ts';
import { createTestContext } from '../../test/support/context.ts';
import { presets } from '../../test/support/github/index.ts';
import { type Bench, startBench } from '../github/test-support.ts';
import { checkState } from './inputs.ts';
import { openRefState, openState, type State, type StateInputs } from './state.ts';

let bench: Bench;
const leases: Lease[] = [];
beforeEach(async () => {
  bench = await startBench();
});
afterEach(async () => {
  for (const lease of leases.splice(0)) await lease.release();
  await bench.stop();
});

/** A process on another host: nobody here can tell whether it runs. */
const elsewhere = { scope: 'another boot', pid: 1, startTime: '1' };
const page = (id: string) => `https://github.example/acme/helpdesk/actions/runs/${id}`;
const names = { app: 'helpdesk', environment: 'production' };

const openOn = (options: Parameters<Bench['connect']>[0] = {}): State =>
  openRefState(bench.connect(options), names);

async function acquire(state: State, id: string, own: Partial<LeaseOptions> = {}): Promise<Lease> {
  const { context } = createTestContext();
  const lease = await acquireLease({
    ...{ store: state.store, isAlive: state.isAlive, process: elsewhere, wait: 0 },
    ...{ run: { id, url: page(id), actor: 'ada' }, signal: context.signal, log: context.log },
    ...own,
  });
  leases.push(lease);
  return lease;
}

function runOf(id: number, status: string, run_attempt = 1) {
  const run = { id, run_attempt, status, conclusion: null as string | null };
  bench.double.repository.runs.push(run);
  return run;
}

describe('a lease on a git reference', () => {
  it(
    'goes to one of 20 racers, the others name the holder, and the write of a deposed one is refused',
    { timeout: 60_000 },
    async () => {
      for (let id = 0; id < 20; id += 1) runOf(id, 'in_progress');
      const racers = Array.from({ length: 20 }, (_, id) => ({ id: `${id}.1`, state: openOn() }));
      const results = await Promise.allSettled(racers.map(({ id, state }) => acquire(state, id)));
      const winners = results.flatMap((result, at) => (result.status === 'fulfilled' ? [at] : []));
      expect(winners).toHaveLength(1);
      const [winner = 0] = winners;
      for (const result of results) {
        if (result.status === 'fulfilled') continue;
        expect(result.reason).toMatchObject({ reasonCode: 'lock_held' });
        expect(String(result.reason)).toContain(`run ${winner}.1 of ada (${page(`${winner}.1`)})`);
      }

      const lease = results[winner]?.status === 'fulfilled' ? results[winner].value : undefined;
      const { state } = racers[winner] ?? { state: openOn() };
      const journal = await openJournal(state.store, lease!.fence);
      // GitHub says that its run has ended, while it still writes.
      bench.double.repository.runs.find(({ id }) => id === winner)!.status = 'completed';
      const successor = await acquire(openOn(), '99.1');
      expect(successor.fence.token).toBeGreaterThan(lease!.fence.token);
      const refused = await failureOf(journal.write(null));
      expect(refused).toMatchObject({
        reasonCode: 'lock_lost',
        message: expect.stringContaining(`taken over by run 99.1 of ada (${page('99.1')})`),
      });
      const before = bench.double.repository.refs.get('refs/deploy-actions/production');
      await expect(state.store.write('lease', null, lease!.fence.token)).rejects.toMatchObject({
        reasonCode: 'state_conflict',
      });
      await state.store.touch('lease', lease!.fence.token);
      expect(bench.double.repository.refs.get('refs/deploy-actions/production')).toBe(before);
      await successor.fence.check();
    },
  );

  it('is refused to a run when a newer attempt of the holder goes on, and then taken', async () => {
    await acquire(openOn(), '5.1');
    runOf(5, 'in_progress', 2);
    // The attempt that held it is over, though the run is not.
    await acquire(openOn(), '6.1');
    expect((await readLease(openOn().store))?.holder.id).toBe('6.1');
  });

  it('expires where nothing says whether the run of its holder goes on', async () => {
    const { actions: _, ...permissions } = presets.write;
    await acquire(openOn(), '5.1');
    runOf(5, 'completed');
    const without = openOn({ permissions });
    expect((await failureOf(acquire(without, '6.1'))).reasonCode).toBe('lock_held');
    bench.clock.advance((without.store.pace?.ttl ?? 0) + 1_000);
    await acquire(without, '6.1');
  });

  it('is asked for no more often than it may be, and tells who is waited for', async () => {
    await acquire(openOn(), '5.1');
    const run = runOf(5, 'in_progress');
    const waiting = openOn();
    const { context, lines } = createTestContext();
    const { store } = waiting;
    const quick: State = { ...waiting, store: { ...store, pace: { ttl: 30_000, poll: 20 } } };
    const questions = () => bench.double.callsOf(/actions\/runs/).length;
    const before = questions();
    const failure = await failureOf(acquire(quick, '6.1', { wait: 2_000, log: context.log }));
    expect(failure.message).toContain(page('5.1'));
    expect(lines).toContainEqual(expect.stringContaining(`waiting for run 5.1 of ada (${page('5.1')})`));
    expect(questions() - before).toBe(1);
    expect(run.status).toBe('in_progress');
    expect(store.pace).toEqual({ ttl: 360_000, poll: 15_000 });
  });

  it('is known to be given up by the process of its holder, on the same host', async () => {
    const { scope } = thisProcess();
    await acquire(openOn(), '5.1', { process: { scope, pid: process.pid, startTime: '1' } });
    runOf(5, 'in_progress');
    await acquire(openOn(), '6.1');
    expect(bench.double.callsOf(/actions\/runs/)).toEqual([]);
  });

  it('that is broken is lost to its holder', async () => {
    const lease = await acquire(openOn(), '5.1');
    const { store } = openOn();
    const held = await readLease(store);
    await breakLease(store, held!);
    expect(await readLease(store)).toBeNull();
    expect((await failureOf(lease.fence.check())).message).toContain('taken from this run');
    await expect(breakLease(store, held!)).rejects.toMatchObject({ reasonCode: 'state_conflict' });
  });

  it('is not relied on when its reference is gone', async () => {
    const lease = await acquire(openOn(), '5.1');
    bench.double.repository.refs.delete('refs/deploy-actions/production');
    expect(await failureOf(lease.fence.check())).toMatchObject({
      reasonCode: 'state_conflict',
      message: expect.stringContaining('was there, and GitHub does not find it any more'),
    });
  });
});

describe('state on a git reference', () => {
  it('keeps the applications of an environment apart, on its one reference', async () => {
    const github = bench.connect();
    const other = openRefState(github, { ...names, app: 'billing' });
    await openOn().store.write('journal', { of: 'helpdesk' }, 0);
    await other.store.write('journal', { of: 'billing' }, 0);
    expect(await openOn().store.read('journal')).toEqual({ value: { of: 'helpdesk' }, version: 1 });
    expect([...bench.double.repository.refs.keys()]).toEqual([
      'refs/heads/main',
      'refs/deploy-actions/production',
    ]);
  });

  it('is still written for a while after a cancel, and not for ever', async () => {
    const controller = new AbortController();
    const { apiUrl, graphqlUrl, name } = bench.double;
    const made = createTestContext();
    const facts = { ...made.context.facts, apiUrl, graphqlUrl, repository: name };
    const context = { ...made.context, facts, signal: controller.signal };
    const token = bench.double.token();
    const inputs = { ...names, state: 'git-ref', 'github-token': token } as StateInputs;
    const { store } = await openState(inputs, context);
    controller.abort();
    expect(await store.write('journal', 1, 0)).toBe(1);
  });

  it('needs a token, before anything is opened', () => {
    expect(checkState({ state: 'git-ref' })).toMatchObject([{ input: 'github-token' }]);
    expect(checkState({ state: 'platform' })).toEqual([]);
  });

  it('holds no secrets of the environment: they would be in the repository', () => {
    const env = { DATABASE_PASSWORD: 'hunter22', URL: 'postgres://a:hunter22@db/x', MODE: 'production' };
    expect(checkState({ state: 'platform', env })).toEqual([]);
    const onRef = { state: 'git-ref', 'github-token': 'token' } as const;
    expect(checkState({ ...onRef, env: { MODE: 'production' } })).toEqual([]);
    const problems = checkState({ ...onRef, env });
    expect(problems.map(({ message }) => message)).toEqual([
      expect.stringMatching(/in DATABASE_PASSWORD.*`env-file`/),
      expect.stringMatching(/in URL.*`env-file`/),
    ]);
    expect(JSON.stringify(problems)).not.toContain('hunter22');
  });
});
