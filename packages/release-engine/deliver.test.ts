import { DeployError, digestOf, sleep } from '@deploy-actions/core';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { failureOf } from '../../test/support/failure.ts';
import { deliver, type Delivery, type DeliveryOptions, planDelivery, type Wanted } from './deliver.ts';
import { readHistory } from './history.ts';
import { isSettled, type Journal, peekJournal } from './journal.ts';
import {
  createWorld,
  type Interference,
  Killed,
  killAt,
  openRun,
  type Run,
  type TestRelease,
  weightIn,
  type World,
} from './test-support.ts';

const wanted = (release: TestRelease, changes: Partial<Wanted<TestRelease>> = {}): Wanted<TestRelease> => ({
  strategy: 'blue-green',
  release,
  weights: [100],
  keepPrevious: true,
  ...changes,
});
const v1 = wanted({ version: '1' });
const v2 = wanted({ version: '2' });
const v3 = wanted({ version: '3' });
const canary2 = wanted({ version: '2' }, { strategy: 'canary', weights: [20, 60, 100] });

type Changes = Partial<DeliveryOptions<TestRelease>>;

function release(
  world: World,
  what: Wanted<TestRelease> | null,
  changes: Changes = {},
  interfere?: Interference,
): Promise<Delivery<TestRelease>> {
  const run = openRun(world, changes, interfere);
  return deliver(run.lease, what, run.options);
}

/** A world in which version 1 serves. */
async function serving(): Promise<World> {
  const world = createWorld();
  await release(world, v1);
  return world;
}

async function journalIn(world: World): Promise<Journal<TestRelease>> {
  const journal = await peekJournal<TestRelease>(openStore(world));
  if (journal === null) throw new Error('no journal');
  return journal;
}

/** To look at what is stored, without taking the lease from anybody. */
function openStore(world: World) {
  const { store } = openRun(world).options;
  world.holder -= 1;
  return store;
}

async function historyIn(world: World) {
  return (await readHistory<TestRelease>(openStore(world))).map(
    ({ release: { version }, result }) => `${version} ${result}`,
  );
}

function conflicting(world: World): void {
  world.traffic = { ...world.traffic, version: String(Number(world.traffic.version) + 1) };
}

/** The same call, that writes down each time that it was made. */
const noting =
  <A extends unknown[], R>(order: string[], what: string, call: (...given: A) => R) =>
  (...given: A): R => {
    order.push(what);
    return call(...given);
  };

describe('a release that goes well', () => {
  it('brings the first version to all traffic', async () => {
    const world = createWorld();
    const delivery = await release(world, v1);
    expect(delivery.journal).toMatchObject({ phase: 'finished', from: null, weights: [100], reason: null });
    expect(delivery.serving).toEqual([{ slot: 'blue', release: { version: '1' }, weight: 100 }]);
    expect(world.wrongs).toEqual([]);
  });

  it('walks the weights of a canary and keeps the old version, or stops it', async () => {
    for (const keepPrevious of [true, false]) {
      const world = await serving();
      const run = openRun(world);
      await deliver(run.lease, { ...canary2, keepPrevious }, run.options);
      const weights = run.events.flatMap(({ weights: at }) => (at === undefined ? [] : [at['green']]));
      expect(weights).toEqual([20, 60, 100]);
      expect(weightIn(world, '2')).toBe(100);
      expect(world.places.get('blue')?.up).toBe(keepPrevious);
      expect(world.wrongs).toEqual([]);
      expect(await historyIn(world)).toEqual(['1 serving', '2 serving']);
    }
  });

  it('grows slots, and waits for them, before the router takes anything away', async () => {
    const world = await serving();
    const run = openRun(world);
    const order: string[] = [];
    const { platform, router } = run.options;
    const growing: typeof router = {
      ...router,
      grow: (targets) => {
        const grown = targets.filter(({ weight }) => weight > 0).map(({ slot }) => slot);
        order.push(`grow ${grown.join(' ')}`);
        return Promise.resolve(grown);
      },
      apply: (targets, expected, fence) => {
        order.push('apply');
        return router.apply(targets, expected, fence);
      },
    };
    const waiting: typeof platform = {
      ...platform,
      ready: (slot, deadline, signal) => {
        order.push(`ready ${slot}`);
        return platform.ready(slot, deadline, signal);
      },
    };
    await deliver(run.lease, canary2, { ...run.options, platform: waiting, router: growing });
    expect(order.slice(0, 5)).toEqual([
      'ready green',
      'grow green blue',
      'ready green',
      'ready blue',
      'apply',
    ]);
    expect(order.slice(-3)).toEqual(['grow green', 'ready green', 'apply']);
    expect(weightIn(world, '2')).toBe(100);
  });

  it('looks once before it moves the traffic, and anew where that was too long ago', async () => {
    // The clock stands still but for the slow store.
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    for (const [pause, seen] of [
      [0, 'look deploy look ready look record apply'],
      [300, 'look deploy look ready look record look apply'],
    ] as const) {
      const world = await serving();
      const run = openRun(world, { verifyTimeout: 10_000 });
      const { platform, router, store } = run.options;
      const order: string[] = [];
      const looking: typeof platform = {
        ...platform,
        observe: noting(order, 'look', platform.observe),
        deploy: noting(order, 'deploy', platform.deploy),
        ready: noting(order, 'ready', platform.ready),
      };
      const recording: typeof store = {
        ...store,
        write(...given) {
          if (order.at(-1) === 'look' && order.includes('ready')) order.push('record');
          vi.advanceTimersByTime(pause);
          return store.write(...given);
        },
      };
      await deliver(run.lease, v2, {
        ...run.options,
        platform: looking,
        router: { ...router, apply: noting(order, 'apply', router.apply) },
        store: recording,
      });
      const first = order.lastIndexOf('look', order.indexOf('deploy'));
      expect(order.slice(first, order.indexOf('apply') + 1).join(' ')).toBe(seen);
      expect(weightIn(world, '2')).toBe(100);
      expect(world.wrongs).toEqual([]);
    }
  });

  it('has workers join before the traffic moves only where there are some, and hands over either way', async () => {
    for (const [hasWorkers, seen] of [
      [true, ['join green', 'apply', 'hand over to green']],
      [false, ['apply', 'hand over to green']],
    ] as const) {
      const run = openRun(await serving());
      const { platform, router } = run.options;
      const order: string[] = [];
      const join = (slot: string) => Promise.resolve(void order.push(`join ${slot}`));
      const handOver = (slot: string) => Promise.resolve(void order.push(`hand over to ${slot}`));
      const followers = { plan: () => Promise.resolve([]), handOver, ...(hasWorkers ? { join } : {}) };
      await deliver(run.lease, v2, {
        ...run.options,
        platform: { ...platform, followers },
        router: { ...router, apply: noting(order, 'apply', router.apply) },
      });
      expect(order).toEqual(seen);
    }
  });

  it('gives the traffic back though what was grown for it does not get ready', async () => {
    const world = await serving();
    const run = openRun(world, { readyTimeout: 50, hold: () => Promise.resolve({ pass: false }) });
    const { platform, router } = run.options;
    let isGrown = false;
    const growing: typeof router = {
      ...router,
      grow: (targets) => {
        isGrown = targets.every(({ slot, weight }) => weight === (slot === 'blue' ? 100 : 0));
        return Promise.resolve(isGrown ? ['blue'] : []);
      },
      apply: (targets, expected, fence) => {
        isGrown = false;
        return router.apply(targets, expected, fence);
      },
    };
    const late: typeof platform = {
      ...platform,
      ready: (slot, deadline, signal) => {
        if (isGrown) throw new DeployError('not_ready', 'There is no room for another pod.');
        return platform.ready(slot, deadline, signal);
      },
    };
    const delivery = await deliver(run.lease, canary2, { ...run.options, platform: late, router: growing });
    expect(delivery.journal?.phase).toBe('reverted');
    expect(weightIn(world, '1')).toBe(100);
    expect(run.warnings.join()).toContain('There is no room for another pod');
  });

  it('refuses weights that the router cannot give before anything is written', async () => {
    const world = await serving();
    const run = openRun(world);
    const before = [...world.changes];
    const refuse = () => Promise.reject(new DeployError('invalid_input', '5 pods cannot give 25 %.'));
    const router = { ...run.options.router, check: refuse };
    await expect(deliver(run.lease, canary2, { ...run.options, router })).rejects.toMatchObject({
      reasonCode: 'invalid_input',
    });
    expect(world.changes).toEqual(before);
  });

  it('has the router look after itself while a version is watched, and not longer', async () => {
    const world = await serving();
    const run = openRun(world);
    let looks = 0;
    const revive = () => {
      looks += 1;
      return looks === 1 ? Promise.reject(new Error('not now')) : Promise.resolve();
    };
    const hold = async (_: unknown, signal: AbortSignal) => {
      while (looks < 2) await sleep(10, signal, 'watching');
      return { pass: true };
    };
    const options = { ...run.options, hold, router: { ...run.options.router, revive } };
    await deliver(run.lease, v2, options);
    expect(weightIn(world, '2')).toBe(100);
    await sleep(1_100, options.signal, 'looking whether it goes on');
    expect(looks).toBe(2);
  });

  it('changes nothing when the version serves already', async () => {
    const world = await serving();
    const before = world.changes.length;
    const delivery = await release(world, v1);
    expect(delivery).toMatchObject({ journal: null, settled: null });
    expect(world.changes.length).toBe(before);
  });

  it('does not call it unchanged when the data plane says otherwise', async () => {
    const world = await serving();
    const run = openRun(world);
    const verify = () => Promise.resolve({ matches: false, answers: {}, detail: 'nobody answers' });
    const failure = await failureOf(
      deliver(run.lease, v1, { ...run.options, router: { ...run.options.router, verify } }),
    );
    expect(failure.reasonCode).toBe('router_unverified');
  });

  it('plans without writing', async () => {
    const world = await serving();
    const before = world.changes.length;
    const { options } = openRun(world);
    expect(await planDelivery(options.platform, options.router, v2)).toMatchObject({
      from: { slot: 'blue' },
      to: 'green',
      adopted: false,
      unchanged: false,
    });
    expect(world.changes.length).toBe(before);
  });

  it('replaces a version that serves in name only', async () => {
    const world = await serving();
    world.places.set('blue', { release: v1.release, up: false });
    const delivery = await release(world, v1);
    expect(delivery.journal).toMatchObject({ phase: 'finished', to: { slot: 'green' } });
    expect(weightIn(world, '1')).toBe(100);
  });

  it('takes the same version with other content for another release', async () => {
    const world = await serving();
    const delivery = await release(world, wanted({ version: '1', behaviour: 'good' }));
    expect(delivery.journal?.phase).toBe('finished');
    expect(delivery.serving[0]?.slot).toBe('green');
  });

  it('rolls back to the kept slot without starting anything', async () => {
    const world = await serving();
    await release(world, v2);
    const before = world.changes.length;
    const delivery = await release(world, { ...v1, strategy: 'rollback' });
    expect(delivery.journal).toMatchObject({ phase: 'finished', to: { slot: 'blue', adopted: true } });
    expect(world.changes.slice(before).filter((change) => /start|stop|write/.test(change))).toEqual([]);
    const history = await readHistory(openStore(world));
    expect(history.at(-1)).toMatchObject({ result: 'serving', fled: digestOf(v2.release) });
  });

  it('does not flee from a version that it only moves to another slot', async () => {
    const world = await serving();
    world.places.set('blue', { release: v1.release, up: false });
    await release(world, { ...v1, strategy: 'rollback' });
    expect((await readHistory(openStore(world))).at(-1)?.fled).toBeNull();
  });

  it('refuses a split that was made by hand', async () => {
    const world = await serving();
    await release(world, v2);
    world.traffic = {
      version: '99',
      targets: world.traffic.targets.map((target) => ({ ...target, weight: 50 })),
    };
    expect((await failureOf(release(world, v3))).reasonCode).toBe('state_conflict');
  });
});

describe('what is kept of a release', () => {
  const facts = { sha: 'abc', images: { backend: 'x@sha256:1' } };
  const judged = ({ weight }: { weight: number }) => ({
    pass: weight < 100,
    reason: { reasonCode: 'limit_exceeded' as const, message: 'errors', details: [] },
    verdict: {
      decision: weight < 100 ? ('pass' as const) : ('fail' as const),
      words: [`at ${weight}`],
      elapsed: 1,
    },
  });

  it('is its facts, its verdicts and what was probed, in the one entry of the history', async () => {
    const world = await serving();
    const probe = { sent: 9, answered: 9, lost: 0, failed: 0, reasons: {}, slowest: 3 };
    await release(
      world,
      { ...canary2, facts },
      { hold: (at) => Promise.resolve(judged(at)), probed: () => Promise.resolve(probe) },
    );
    const history = await readHistory(openStore(world));
    expect(history).toHaveLength(2);
    expect(history[1]).toMatchObject({ result: 'taken-back', previous: '1', facts, probe });
    expect(history[1]?.startedAt).toMatch(/^\d{4}-/);
    expect(history[1]?.verdicts.map(({ weight, decision }) => `${weight} ${decision}`)).toEqual([
      '20 pass',
      '60 pass',
      '100 fail',
    ]);
  });

  it('is the same when the run is killed anywhere and another one ends it', async () => {
    const hold = (at: { weight: number }) => Promise.resolve({ ...judged(at), pass: true });
    for (const when of ['before', 'after'] as const) {
      for (let change = 1; ; change += 1) {
        const world = await serving();
        const killed = openRun(world, { hold }, killAt(change, when));
        await deliver(killed.lease, { ...canary2, facts }, killed.options).catch(() => undefined);
        if (killed.changes() < change) break;
        // The one that ends it knows less, and something new: what the release began with holds.
        await release(world, { ...canary2, facts: { sha: 'other', note: 'n' } }, { hold });
        const entry = (await readHistory(openStore(world))).at(-1);
        expect(entry?.release.version, `change ${change} ${when}`).toBe('2');
        expect(entry?.verdicts.map(({ weight }) => weight)).toEqual([20, 60, 100]);
        const hadBegun = change > 1 || when === 'after';
        expect(entry?.facts).toMatchObject(hadBegun ? facts : { sha: 'other', note: 'n' });
      }
    }
  });
});

describe('the journal before the router', () => {
  const claiming = (run: Run, claim: () => Promise<void>) => ({
    ...run.options,
    router: { ...run.options.router, claim },
  });

  it('is written before the router is claimed, so that nothing is touched where it cannot be', async () => {
    const world = await serving();
    const run = openRun(world, {}, (_change, what, make) => {
      if (what === 'store journal') throw new Error('disk full');
      make();
    });
    let claims = 0;
    const options = claiming(run, () => Promise.resolve(void (claims += 1)));
    const before = world.changes.length;
    await expect(deliver(run.lease, v2, options)).rejects.toThrow('disk full');
    expect(claims).toBe(0);
    expect(world.changes.length).toBe(before);
  });

  it('says what it said before when the router cannot be claimed', async () => {
    for (const world of [createWorld(), await serving()]) {
      const before = await peekJournal(openStore(world));
      const history = await historyIn(world);
      const run = openRun(world);
      const options = claiming(run, () => Promise.reject(new DeployError('start_failed', 'port taken')));
      await expect(deliver(run.lease, v2, options)).rejects.toThrow('port taken');
      expect(await peekJournal(openStore(world))).toEqual(before);
      await release(world, v2);
      expect(await historyIn(world)).toEqual([...history, '2 serving']);
    }
  });

  it('is claimed once by a run that settles one release and makes another', async () => {
    const world = await serving();
    await release(world, v2, {}, killAt(6, 'after')).catch(() => undefined);
    const run = openRun(world);
    let claims = 0;
    await deliver(
      run.lease,
      v3,
      claiming(run, () => Promise.resolve(void (claims += 1))),
    );
    expect(claims).toBe(1);
    expect(weightIn(world, '3')).toBe(100);
  });
});

describe('a release that fails', () => {
  it.each([
    ['ends by itself', 'exits', 'start_failed'],
    ['never gets ready', 'never-ready', 'not_ready'],
  ] as const)('leaves the traffic alone when the version %s', async (_name, behaviour, reasonCode) => {
    const world = await serving();
    const delivery = await release(world, wanted({ version: 'bad', behaviour }));
    expect(delivery.journal).toMatchObject({ phase: 'reverted', reason: { reasonCode } });
    expect(weightIn(world, '1')).toBe(100);
    expect(world.places.get('green')?.release).toBeNull();
    expect(world.changes.filter((change) => change.startsWith('traffic'))).toHaveLength(1);
    expect(await historyIn(world)).toEqual(['1 serving', 'bad taken-back']);
  });

  it.each([20, 60, 100])('gives everything back when it does not hold at %i percent', async (weight) => {
    const world = await serving();
    const delivery = await release(world, canary2, {
      hold: (at) =>
        Promise.resolve(
          at.weight < weight
            ? { pass: true }
            : { pass: false, reason: { reasonCode: 'limit_exceeded', message: 'errors', details: ['x'] } },
        ),
    });
    expect(delivery.journal).toMatchObject({
      phase: 'reverted',
      reason: { reasonCode: 'limit_exceeded', details: ['x'] },
    });
    expect(weightIn(world, '1')).toBe(100);
    expect(world.places.get('green')?.release).toBeNull();
    expect(world.wrongs).toEqual([]);
  });

  it('goes back when the router refuses, and when the data plane does not follow', async () => {
    for (const reasonCode of ['router_rejected', 'router_unverified'] as const) {
      const world = await serving();
      const run = openRun(world);
      const { router } = run.options;
      const refusing = { ...router };
      let refused = false;
      if (reasonCode === 'router_rejected') {
        refusing.apply = (...given) => {
          if (refused) return router.apply(...given);
          refused = true;
          return Promise.reject(new DeployError('router_rejected', 'syntax error'));
        };
      } else {
        refusing.verify = (...given) => {
          if (refused) return router.verify(...given);
          refused = true;
          return Promise.resolve({ matches: false, answers: {}, detail: 'old answers' });
        };
      }
      const delivery = await deliver(run.lease, v2, { ...run.options, router: refusing });
      expect(delivery.journal).toMatchObject({ phase: 'reverted', reason: { reasonCode } });
      expect(weightIn(world, '1')).toBe(100);
    }
  });

  it('does not repeat a write that took effect although it failed', async () => {
    const world = await serving();
    const run = openRun(world);
    const { router } = run.options;
    let writes = 0;
    const delivery = await deliver(run.lease, v2, {
      ...run.options,
      router: {
        ...router,
        async apply(...given) {
          writes += 1;
          await router.apply(...given);
          throw new DeployError('unreachable', 'no answer within 5s');
        },
      },
    });
    expect(delivery.journal?.phase).toBe('finished');
    expect(writes).toBe(1);
  });

  it('takes the newer version number when only that moved, and goes back when the traffic did', async () => {
    for (const moved of [false, true]) {
      const world = await serving();
      const run = openRun(world);
      const { router } = run.options;
      let first = true;
      const delivery = await deliver(run.lease, canary2, {
        ...run.options,
        router: {
          ...router,
          apply(targets, expected, fence) {
            if (first) {
              conflicting(world);
              if (moved) {
                const [blue] = world.traffic.targets;
                if (blue !== undefined)
                  world.traffic = { ...world.traffic, targets: [{ ...blue, weight: 99 }] };
              }
            }
            first = false;
            return router.apply(targets, expected, fence);
          },
        },
      });
      expect(delivery.journal?.phase).toBe(moved ? 'reverted' : 'finished');
      expect(delivery.journal?.reason?.reasonCode).toBe(moved ? 'state_conflict' : undefined);
      expect(weightIn(world, moved ? '1' : '2')).toBe(100);
    }
  });

  it('gives the traffic back at the third attempt when the router is flaky', async () => {
    const world = await serving();
    const run = openRun(world);
    const { router } = run.options;
    let failing = 0;
    const delivery = await deliver(run.lease, canary2, {
      ...run.options,
      hold() {
        failing = 2;
        return Promise.reject(new DeployError('unhealthy', 'not ready any more'));
      },
      router: {
        ...router,
        apply(...given) {
          failing -= 1;
          return failing >= 0
            ? Promise.reject(new DeployError('unreachable', 'connection refused'))
            : router.apply(...given);
        },
      },
    });
    expect(delivery.journal).toMatchObject({ phase: 'reverted', reason: { reasonCode: 'unhealthy' } });
    expect(weightIn(world, '1')).toBe(100);
  });

  it('says that it could not go back, keeps the journal, and goes on from there the next time', async () => {
    const world = await serving();
    const failure = await failureOf(
      release(world, canary2, {
        hold() {
          // The old version has died and cannot be started either.
          world.places.set('blue', { release: v1.release, up: false });
          return Promise.reject(new DeployError('limit_exceeded', '20 % errors'));
        },
        platform: {
          ...openRun(world).options.platform,
          deploy: (slot, what, fence) =>
            slot === 'blue'
              ? Promise.reject(new DeployError('start_failed', 'no such file'))
              : openRunPlatform(world).deploy(slot, what, fence),
        },
      }),
    );
    expect(failure.reasonCode).toBe('revert_failed');
    expect(failure.message).toMatch(/no such file.*20 % errors/);
    expect((await journalIn(world)).phase).toBe('reverting');
    expect(await historyIn(world)).toEqual(['1 serving']);

    const delivery = await release(world, null);
    expect(delivery.journal).toMatchObject({ phase: 'reverted', reason: { reasonCode: 'limit_exceeded' } });
    expect(weightIn(world, '1')).toBe(100);
    expect(await historyIn(world)).toEqual(['1 serving', '2 taken-back']);
  });

  it('starts the old version again when it died meanwhile, before it is given the traffic', async () => {
    const world = await serving();
    const delivery = await release(world, canary2, {
      hold() {
        world.places.set('blue', { release: v1.release, up: false });
        return Promise.reject(new DeployError('limit_exceeded', '20 % errors'));
      },
    });
    expect(delivery.journal?.phase).toBe('reverted');
    expect(weightIn(world, '1')).toBe(100);
    expect(world.changes.indexOf('start 1 in blue')).toBeLessThan(
      world.changes.lastIndexOf('traffic green=0 blue=100'),
    );
  });

  it('ends, and says so, when a slot never shows what was deployed to it', async () => {
    const world = await serving();
    const platform = openRunPlatform(world);
    const delivery = await release(world, v2, {
      platform: {
        ...platform,
        observe: async () =>
          (await platform.observe()).map((slot) =>
            slot.name === 'green' ? { ...slot, revision: 'other' } : slot,
          ),
      },
    });
    expect(delivery.journal?.reason?.message).toMatch(/does not get on/);
    expect(weightIn(world, '1')).toBe(100);
  });
});

/** The platform alone, without taking the lease from anybody. */
function openRunPlatform(world: World) {
  const { platform } = openRun(world).options;
  world.holder -= 1;
  return platform;
}

describe('reading that fails', () => {
  function failing(world: World, which: 'observe' | 'read', failures: { left: number }): Changes {
    const { platform, router } = openRun(world).options;
    world.holder -= 1;
    const or = <T>(read: () => Promise<T>): Promise<T> => {
      failures.left -= 1;
      return failures.left >= 0 ? Promise.reject(new DeployError('unreachable', `${which} failed`)) : read();
    };
    return which === 'observe'
      ? { platform: { ...platform, observe: () => or(() => platform.observe()) } }
      : { router: { ...router, read: () => or(() => router.read()) } };
  }

  it.each(['observe', 'read'] as const)('does not end a release when %s fails twice', async (which) => {
    const world = await serving();
    expect((await release(world, canary2, failing(world, which, { left: 2 }))).journal?.phase).toBe(
      'finished',
    );
  });

  it('gives the traffic back when the router cannot be read for long in the middle of a canary', async () => {
    const world = await serving();
    const failures = { left: 0 };
    const delivery = await release(world, canary2, {
      ...failing(world, 'read', failures),
      hold() {
        // Three attempts to look fail; the next ones, on the way back, do not.
        failures.left = 3;
        return Promise.resolve({ pass: true });
      },
    });
    expect(delivery.journal).toMatchObject({ phase: 'reverted', reason: { reasonCode: 'unreachable' } });
    expect(weightIn(world, '1')).toBe(100);
  });

  it('stops with the journal kept when it can never be read again', async () => {
    const world = await serving();
    const failures = { left: 0 };
    const failure = await failureOf(
      release(world, canary2, {
        ...failing(world, 'read', failures),
        hold() {
          failures.left = Infinity;
          return Promise.resolve({ pass: true });
        },
      }),
    );
    expect(failure.reasonCode).toBe('revert_failed');
    expect((await journalIn(world)).phase).toBe('reverting');
    await release(world, null);
    expect(weightIn(world, '1')).toBe(100);
  });
});

describe('cancelling', () => {
  const points = ['deploy', 'ready', 'apply', 'verify', 'hold', 'drain', 'retire'] as const;

  /** Aborts as soon as the run comes to this point. */
  function cancelAt(run: Run, point: (typeof points)[number]): DeliveryOptions<TestRelease> {
    const controller = new AbortController();
    const { platform, router, ...options } = run.options;
    const at = (name: (typeof points)[number]) => {
      if (name === point) controller.abort();
    };
    return {
      ...options,
      signal: controller.signal,
      platform: {
        ...platform,
        deploy: (...given) => (at('deploy'), platform.deploy(...given)),
        ready: (...given) => (at('ready'), platform.ready(...given)),
        retire: (...given) => (at('retire'), platform.retire(...given)),
      },
      router: {
        ...router,
        apply: (...given) => (at('apply'), router.apply(...given)),
        verify: (...given) => (at('verify'), router.verify(...given)),
        drain: (...given) => (at('drain'), router.drain(...given)),
      },
      async hold(_point, signal) {
        at('hold');
        await sleep(1, signal);
        return { pass: true };
      },
    };
  }

  it.each(points)('at %s leaves all traffic with one version, and the journal says which', async (point) => {
    const world = await serving();
    const run = openRun(world);
    const start = performance.now();
    const ended = await deliver(run.lease, { ...canary2, keepPrevious: false }, cancelAt(run, point)).catch(
      (thrown: unknown) => thrown,
    );
    expect(performance.now() - start).toBeLessThan(10_000);
    const journal = await journalIn(world);
    if (point === 'drain' || point === 'retire') {
      expect(weightIn(world, '2')).toBe(100);
    } else {
      expect(weightIn(world, '1')).toBe(100);
      expect(journal).toMatchObject({ phase: 'reverted', reason: { reasonCode: 'cancelled' } });
    }
    // Nothing was moved before, so nothing may be moved after.
    const moves = world.changes.filter((change) => change.startsWith('traffic'));
    if (point === 'deploy' || point === 'ready') expect(moves).toHaveLength(1);
    if (!isSettled(journal)) expect(ended).toMatchObject({ reasonCode: 'cancelled' });
    expect(world.wrongs).toEqual([]);
    await release(world, null);
    expect(isSettled(await journalIn(world))).toBe(true);
  });

  it('before the release leaves no trace', async () => {
    const world = await serving();
    const before = world.changes.length;
    const failure = await failureOf(release(world, v2, { signal: AbortSignal.abort() }));
    expect(failure.reasonCode).toBe('cancelled');
    expect(world.changes.length).toBe(before);
  });

  it('while the traffic is being given back does not stop that', async () => {
    const world = await serving();
    const controller = new AbortController();
    const delivery = await release(world, canary2, {
      signal: controller.signal,
      hold() {
        queueMicrotask(() => controller.abort());
        return Promise.reject(new DeployError('limit_exceeded', 'errors'));
      },
    });
    expect(delivery.journal).toMatchObject({ phase: 'reverted', reason: { reasonCode: 'limit_exceeded' } });
    expect(weightIn(world, '1')).toBe(100);
  });

  it('does not wait for requests or processes longer than the budget: the traffic is back by then', async () => {
    for (const slow of ['drain', 'retire'] as const) {
      const world = await serving();
      const run = openRun(world);
      const { platform, router } = run.options;
      const controller = new AbortController();
      const start = performance.now();
      const failure = await failureOf(
        deliver(run.lease, canary2, {
          ...run.options,
          signal: controller.signal,
          cancelBudget: 50,
          platform: slow === 'retire' ? { ...platform, retire: () => new Promise(() => {}) } : platform,
          router: slow === 'drain' ? { ...router, drain: () => new Promise(() => {}) } : router,
          async hold(_at, signal) {
            controller.abort();
            await sleep(1_000, signal);
            return { pass: true };
          },
        }),
      );
      expect(performance.now() - start).toBeLessThan(10_000);
      expect(failure.reasonCode).toBe('cancelled');
      expect(failure.remedy).toMatch(/journal is kept/);
      expect(weightIn(world, '1')).toBe(100);
      expect((await journalIn(world)).phase).toBe(slow === 'drain' ? 'reverting' : 'cleaning');
      await release(world, null);
      expect(await journalIn(world)).toMatchObject({
        phase: 'reverted',
        reason: { reasonCode: 'cancelled' },
      });
    }
  });

  it('is no verdict on the version: the same release can be run again at once', async () => {
    const world = await serving();
    const run = openRun(world);
    await deliver(run.lease, canary2, cancelAt(run, 'hold'));
    expect((await release(world, canary2)).journal?.phase).toBe('finished');
  });
});

describe('losing the lease', () => {
  it('writes nothing more, whenever that happens', async () => {
    const dry = await serving();
    const count = openRun(dry);
    await deliver(count.lease, { ...canary2, keepPrevious: false }, count.options);
    for (let at = 1; at <= count.changes(); at += 1) {
      const world = await serving();
      let after = 0;
      const interfere: Interference = (change, _what, make) => {
        make();
        if (change === at) world.holder += 1;
        if (change > at) after += 1;
      };
      const work = release(world, { ...canary2, keepPrevious: false }, {}, interfere);
      if (at < count.changes()) expect((await failureOf(work)).reasonCode).toBe('lock_lost');
      else await work;
      expect(after).toBe(0);
    }
  });
});

describe('killed at every change', () => {
  interface Scenario {
    name: string;
    begin(): Promise<World>;
    what: Wanted<TestRelease>;
    changes?: Changes;
  }
  const scenarios: Scenario[] = [
    { name: 'the first release', begin: () => Promise.resolve(createWorld()), what: v2 },
    { name: 'a switch', begin: serving, what: v2 },
    {
      name: 'a canary that stops the old version',
      begin: serving,
      what: { ...canary2, keepPrevious: false },
    },
    {
      name: 'a canary that is taken back',
      begin: serving,
      what: canary2,
      changes: { hold: () => Promise.reject(new DeployError('limit_exceeded', 'errors')) },
    },
    {
      name: 'a release that never starts',
      begin: serving,
      what: wanted({ version: '2', behaviour: 'exits' }),
    },
    {
      name: 'a switch to a slot with a kept version',
      async begin() {
        const world = await serving();
        await release(world, wanted({ version: '0' }));
        await release(world, v1);
        return world;
      },
      what: v2,
    },
  ];

  it.each(scenarios)(
    '$name ends in one good state after one more run',
    async ({ begin, what, changes }) => {
      const whole = await begin();
      const counted = openRun(whole, changes);
      await deliver(counted.lease, what, counted.options);
      const total = counted.changes();
      expect(total).toBeGreaterThan(5);
      for (let at = 1; at <= total; at += 1) {
        for (const when of ['before', 'after'] as const) {
          for (const then of [what, v3, null]) {
            const world = await begin();
            await release(world, what, changes, killAt(at, when)).catch((thrown: unknown) => {
              if (!(thrown instanceof Killed || thrown instanceof DeployError)) throw thrown;
            });
            const where = `killed ${when} change ${at} of ${total}, then ${then?.release.version ?? 'settled'}`;
            const delivery = await release(world, then, then === what ? changes : {});
            const journal = await journalIn(world).catch(() => undefined);
            expect(journal === undefined || isSettled(journal), where).toBe(true);
            expect(world.wrongs, where).toEqual([]);
            const full = ['1', '2', '3'].filter((version) => weightIn(world, version) === 100);
            const nothing = world.traffic.targets.length === 0;
            expect(full.length === 1 || (then === null && nothing), where).toBe(true);
            if (then === v3) expect(full, where).toEqual(['3']);
            if (then === what && changes === undefined && what.release.behaviour !== 'exits') {
              expect(full, where).toEqual(['2']);
              expect(delivery.journal?.reason ?? null, where).toBeNull();
            }
            const ids = (await readHistory(openStore(world))).map(({ id }) => id);
            expect(new Set(ids).size, where).toBe(ids.length);
          }
        }
      }
    },
    30_000,
  );
});

describe('an unfinished release that is found', () => {
  async function unfinished(at: number): Promise<World> {
    const world = await serving();
    await release(world, { ...canary2, keepPrevious: false }, {}, killAt(at, 'after')).catch(() => {});
    return world;
  }

  it('begins the window anew when it was being watched', async () => {
    const world = await serving();
    await release(world, canary2, { hold: () => Promise.reject(new Killed()) }, killAtHold(world)).catch(
      () => {},
    );
    const held: number[] = [];
    const journal = await journalIn(world);
    expect(journal.phase).toBe('holding');
    const delivery = await release(world, canary2, {
      hold: ({ weight }) => (held.push(weight), Promise.resolve({ pass: true })),
    });
    expect(held).toEqual([20, 60, 100]);
    expect(delivery.journal).toMatchObject({ phase: 'finished', resumed: 1 });
  });

  /** Kills when the journal says `holding` and the hold has been asked for. */
  function killAtHold(world: World): Interference {
    let dead = false;
    return (_change, what, make) => {
      const journal = world.documents.get('journal')?.value;
      dead ||= JSON.stringify(journal ?? null).includes('"phase":"holding"');
      if (dead && what === 'store journal') throw new Killed();
      make();
    };
  }

  it('belongs to the run that goes on with it, so that its post step may settle it', async () => {
    const world = await unfinished(6);
    const run = openRun(world, {}, killAt(3, 'after'), 'second');
    await deliver(run.lease, canary2, run.options).catch(() => {});
    expect((await journalIn(world)).run.id).toBe('second');
  });

  it('is released anew when it was being taken back', async () => {
    const world = await serving();
    const interfere: Interference = (() => {
      let back = false;
      return (_change, what, make) => {
        if (back) throw new Killed();
        make();
        back = JSON.stringify(world.documents.get('journal')?.value ?? null).includes('"phase":"reverting"');
        void what;
      };
    })();
    await release(world, canary2, { hold: () => Promise.reject(new Error('boom')) }, interfere).catch(
      () => {},
    );
    expect((await journalIn(world)).phase).toBe('reverting');
    const delivery = await release(world, canary2);
    expect(delivery).toMatchObject({
      settled: { phase: 'reverted' },
      journal: { phase: 'finished', resumed: 0 },
    });
    expect(await historyIn(world)).toEqual(['1 serving', '2 taken-back', '2 serving']);
  });

  it('is not stopped on the way when its old version is what is wanted', async () => {
    const world = await serving();
    const run = openRun(world);
    const drain = () => Promise.reject(new DeployError('unreachable', 'no answer'));
    await deliver(run.lease, v2, { ...run.options, router: { ...run.options.router, drain } }).catch(
      () => {},
    );
    expect((await journalIn(world)).phase).toBe('draining');
    const delivery = await release(world, { ...v1, strategy: 'rollback' });
    expect(delivery).toMatchObject({ journal: null, settled: { phase: 'reverted' } });
    expect(weightIn(world, '1')).toBe(100);
    expect(world.changes).not.toContain('stop blue');
  });

  it('is left to whoever took the traffic in hand since it was finished', async () => {
    const world = await serving();
    await release(world, v2);
    const [green, blue] = world.traffic.targets;
    if (green === undefined || blue === undefined) throw new Error('two targets expected');
    world.traffic = {
      version: '50',
      targets: [
        { ...green, weight: 0 },
        { ...blue, weight: 100 },
      ],
    };
    expect((await release(world, null)).serving).toMatchObject([{ slot: 'blue', weight: 100 }]);
    expect((await release(world, v2)).journal).toMatchObject({ from: { slot: 'blue' }, phase: 'finished' });
  });

  it('puts the history right when only its entry is missing, once', async () => {
    const world = await serving();
    world.documents.delete('history');
    await release(world, null);
    await release(world, null);
    expect(await historyIn(world)).toEqual(['1 serving']);
  });
});
