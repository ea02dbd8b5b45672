import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Outcome } from '@deploy-actions/action-kit';
import { DeployError } from '@deploy-actions/core';
import { freezeEnvironment } from '@deploy-actions/ledger';
import type { StateStore } from '@deploy-actions/release-engine';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createTestContext } from '../../test/support/context.ts';
import { type Fault, faults } from '../../test/support/github/index.ts';
import { type Bench, startBench } from '../github/test-support.ts';
import { weightIn, type World } from '../release-engine/test-support.ts';
import { runDelivery } from './delivery.ts';
import type { RequestInputs } from './delivery.ts';
import { openRefState } from './state.ts';
import { createTestEnvironment } from './test-support.ts';

/** What stays wrong: each fault is injected at one call and at all after it. */
const lasting: Record<string, { fault: Fault; says: RegExp; code: string }> = {
  '401': { fault: faults.badCredentials, says: /does not accept the token/, code: 'permission_denied' },
  '403': { fault: faults.missingPermission, says: /needs `contents: write`/, code: 'permission_denied' },
  '404': { fault: faults.notFound, says: /does not find|cannot be read|not accept/, code: 'not_found' },
  '409': { fault: faults.conflict, says: /conflicts/, code: 'state_conflict' },
  '422': { fault: faults.unprocessable, says: /Validation Failed/, code: 'internal' },
  '429': { fault: faults.secondaryLimit(429, 5), says: /limits the rate/, code: 'unreachable' },
  '500': { fault: faults.serverError, says: /answers 500/, code: 'unreachable' },
  '503': { fault: faults.unavailable, says: /answers 503/, code: 'unreachable' },
  cut: { fault: faults.cut, says: /no answer/, code: 'unreachable' },
  'cut after the effect': { fault: faults.cutAfterEffect, says: /no answer/, code: 'unreachable' },
  late: { fault: faults.late(250), says: /no answer/, code: 'unreachable' },
};

/** Milliseconds for which a lease is relied on; short where it is to be seen what happens after that. */
const ttl = 30_000;
const shortTtl = 1_000;

let bench: Bench;
let root: string;
/** The reference and the host after a first release. */
let released: { head: string; world: World };
let environments = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'faults-'));
  bench = await startBench();
  const first = open('first');
  await first.release('1');
  released = {
    head: bench.double.repository.refs.get('refs/deploy-actions/first') ?? '',
    world: first.world,
  };
});
afterEach(() => bench.double.behave());
afterAll(async () => {
  await bench.stop();
  await rm(root, { recursive: true, force: true });
});

const run = { id: '7.1', url: 'https://github.example/runs/7', actor: 'ada' };

interface Own {
  world?: World;
  /** Of the lease. */
  ttl?: number;
  /** Of one call. */
  timeout?: number;
}

function open(name: string, own: Own = {}) {
  const github = bench.connect({
    timeout: own.timeout ?? 30_000,
    patience: { total: 300_000, attempts: own.timeout === undefined ? 2 : 6 },
  });
  const state = openRefState(github, { app: 'helpdesk', environment: name });
  const store: StateStore = { ...state.store, pace: { ttl: own.ttl ?? ttl, poll: 20 } };
  const environment = createTestEnvironment(store, join(root, name), own.world);
  const { world } = environment;
  const start = bench.double.calls.length;
  /** What was changed of the host after a call had failed. */
  const touchedAfter: string[] = [];
  const push = world.changes.push.bind(world.changes);
  world.changes.push = (...changes) => {
    const failed = bench.double.calls.slice(start).find(({ fault }) => fault !== undefined);
    if (failed !== undefined) touchedAfter.push(`${changes.join()} after call ${failed.operation}`);
    return push(...changes);
  };
  return {
    name,
    world,
    store,
    touchedAfter,
    faulted: () => bench.double.calls.slice(start).some(({ fault }) => fault !== undefined),
    async release(version: string, inputs: Partial<RequestInputs> = {}) {
      const { context, lines } = createTestContext();
      const target = { ...environment.open(run), ...state, store };
      const outcome: Outcome = await runDelivery(context, environment.request(target, version, inputs));
      return { ...outcome, lines };
    },
  };
}

/** An environment in which version 1 serves, with a reference of its own. */
function openReleased(own: Own = {}) {
  const name = `case-${(environments += 1)}`;
  bench.double.repository.refs.set(`refs/deploy-actions/${name}`, released.head);
  const { places, traffic, documents, holder } = structuredClone({ ...released.world, changes: [] });
  return open(name, { ...own, world: { places, traffic, documents, holder, wrongs: [], changes: [] } });
}

/** What a release came to: its error, or its outcome. */
async function endOf(work: ReturnType<ReturnType<typeof open>['release']>) {
  return work.then(
    (outcome) => ({ outcome, failure: undefined }),
    (thrown: unknown) => {
      if (thrown instanceof DeployError) return { outcome: undefined, failure: thrown };
      throw thrown;
    },
  );
}

/** Calls of a whole release: about this many; `step` passes over some, where each takes long. */
const most = 80;

describe('a release with its state on a git reference', { timeout: 120_000 }, () => {
  it.each(Object.entries(lasting).map(([name, how], index) => ({ name, ...how, index })))(
    'stops at the call at which a lasting $name begins, says why, and touches nothing more',
    async ({ fault, says, code, index, name }) => {
      // Together these faults begin at every call; what passes by itself is waited for, which takes long.
      const passes = code === 'unreachable';
      const step = name === 'late' ? 12 : passes ? 6 : 2;
      let begun = 0;
      let stopped = 0;
      for (let from = 1 + (index % step); from <= most; from += step) {
        const one = openReleased({
          ...(passes ? { ttl: shortTtl } : {}),
          ...(name === 'late' ? { timeout: 200 } : {}),
        });
        bench.double.inject({ from, fault });
        const { failure, outcome } = await endOf(one.release('2'));
        bench.double.behave();
        if (!one.faulted()) break;
        begun += 1;
        const at = `from call ${from}: ${failure?.reasonCode}: ${failure?.message}`;
        expect(one.touchedAfter, at).toEqual([]);
        if (failure === undefined) {
          // The release is done; its entry in the history, or giving back the lease, was not.
          expect(outcome?.result).toBe('succeeded');
          expect(outcome?.lines.join('\n')).toMatch(/history could not be written|could not be given back/);
          continue;
        }
        stopped += 1;
        const isLost = passes && failure.reasonCode === 'lock_lost';
        // A reference that is not found at first is not there; writing it then fails otherwise.
        if (code !== 'not_found') {
          expect(isLost ? code : failure.reasonCode, at).toBe(code);
          expect(failure.message, at).toMatch(isLost ? /could not be renewed/ : says);
        }
        expect(failure.remedy ?? '', at).not.toBe('');
        // What is left stands in nobody's way.
        bench.clock.advance(2 * ttl);
        if (from % 5 === 0) {
          const { world } = one;
          const next = await open(one.name, { world }).release('2');
          expect(['succeeded', 'unchanged'], at).toContain(next.result);
          expect(weightIn(world, '2'), at).toBe(100);
        }
      }
      expect(begun).toBeGreaterThan(passes ? 2 : 15);
      expect(stopped).toBeGreaterThan(passes ? 2 : 12);
    },
  );

  it('stops as well where the audit of a broken freeze cannot be written', async () => {
    let stopped = 0;
    for (let from = 1; from <= most; from += 2) {
      const one = openReleased();
      await freezeEnvironment(one.store, { reason: 'x', run, until: null });
      bench.double.inject({ from, fault: faults.missingPermission });
      const { failure } = await endOf(one.release('2', { 'break-freeze': 'outage' }));
      bench.double.behave();
      expect(one.touchedAfter, `from call ${from}`).toEqual([]);
      if (failure === undefined) break;
      expect(failure.reasonCode).toBe('permission_denied');
      stopped += 1;
    }
    expect(stopped).toBeGreaterThan(15);
  });

  it.each(Object.entries(lasting).filter(([, { code }]) => code === 'unreachable'))(
    'goes on where a %s passes',
    async (name, { fault }) => {
      for (let nth = 1; nth <= most; nth += 7) {
        const one = openReleased(name === 'late' ? { timeout: 200 } : {});
        bench.double.inject({ nth, fault });
        expect((await one.release('2')).result, `call ${nth}`).toBe('succeeded');
        bench.double.behave();
        expect(weightIn(one.world, '2')).toBe(100);
        if (!one.faulted()) break;
      }
    },
  );
});
