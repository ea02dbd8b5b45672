// Faults of the API and of the runner, at every write of blue-green-switch and rollback, on pods of a stand-in (stand-in.ts): the
// real API server and controller-manager, with the built actions as a runner runs them. Kills with the real kubelet are in
// crash.test.ts.

import { silentLog } from '@deploy-actions/core';
import { createKubernetesStore, stateName } from '@deploy-actions/kubernetes';
import { acquireLease, thisProcess } from '@deploy-actions/release-engine';
import { createServiceSelector } from '@deploy-actions/routers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  cancelledAtEveryWrite,
  everyReadFails,
  faultsAtEveryWrite,
  killedAtEveryWrite,
  type Lanes,
  openLanes,
} from './adversity.ts';
import { isMutation } from './api-proxy.ts';
import {
  aRollback,
  aSwitch,
  inputsTo,
  look,
  openBlueGreenLane,
  problemsOf,
  release,
} from './blue-green-lane.ts';
import { type StandIn, startStandIn } from './stand-in.ts';

/** Milliseconds. */
const timeout = 600_000;

let standIn: StandIn;
let lanes: Lanes;
beforeAll(async () => {
  standIn = await startStandIn();
  lanes = await openLanes(6, () => openBlueGreenLane(standIn));
});
afterAll(async () => {
  await lanes.end();
  await standIn.stop();
});

// At the same time, on the same lanes: while one case waits, another works.
describe.concurrent.each([aSwitch, aRollback])('$name', (deed) => {
  it(
    'killed before or after any write and run again ends in a good state, and the Service never is without a ready pod',
    { timeout },
    async ({ expect }) => {
      const { found, writes } = await killedAtEveryWrite(lanes, deed);
      expect(found).toEqual([]);
      expect(writes).toBeGreaterThan(8);
    },
  );

  it(
    'overcomes 409, 429, 500, a cut before or after the effect, and no answer, at any write, and writes nothing twice',
    { timeout },
    async ({ expect }) => {
      expect((await faultsAtEveryWrite(lanes, deed)).found).toEqual([]);
    },
  );

  it('overcomes 429, 500 and cuts at every read', { timeout }, async ({ expect }) => {
    expect(await everyReadFails(lanes, deed)).toEqual([]);
  });

  it(
    'cancelled at any write ends in time, the journal is written before the lease is given back, and the post step settles it',
    { timeout },
    async ({ expect }) => {
      const { found, longest } = await cancelledAtEveryWrite(lanes, deed);
      expect(found).toEqual([]);
      expect(longest).toBeLessThan(7_500);
    },
  );
});

it('of 20 runs at once one wins, and the others say who holds the lease', { timeout }, () =>
  lanes.on(async (lane) => {
    const { promise: ended, resolve: onEnded } = Promise.withResolvers<void>();
    // Whoever has the lease waits at its first write of the Service until the others have ended.
    const isService = (call: { method: string; path: string }) =>
      isMutation(call) && call.path.includes('/services/');
    lane.proxy.program([{ where: isService, fault: { kind: 'kill', when: 'before', kill: () => ended } }]);
    const runs = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const id = String(1_000 + index);
        const running = await lane.job.start(
          'blue-green-switch',
          { ...inputsTo(lane.fresh()), 'lock-timeout': '0s' },
          { env: { GITHUB_RUN_ID: id } },
        );
        return { id, running };
      }),
    );
    let open = runs.length;
    const results = await Promise.all(
      runs.map(async ({ id, running }) => {
        const result = await running.done;
        if ((open -= 1) === 1) {
          lane.proxy.program([]);
          onEnded();
        }
        return { id, result };
      }),
    );
    const winners = results.filter(({ result }) => result.exitCode === 0);
    expect(
      winners.map(({ id }) => id),
      results.map(({ result }) => result.log).join('\n'),
    ).toHaveLength(1);
    const [winner] = winners;
    for (const { id, result } of results) {
      if (id === winner?.id) continue;
      expect(result.outputs['reason-code'], result.log).toBe('lock_held');
      expect(result.log).toContain(`run ${winner?.id}`);
    }
    expect(problemsOf(await look(lane), [winner?.result.outputs['version'] ?? ''])).toEqual([]);
  }),
);

it('a deposed holder’s write is refused by the API server itself, and it says who took over', () =>
  lanes.on(async (lane) => {
    lane.proxy.program([]);
    const { serving } = await look(lane);
    // The write that moves the traffic is on its way for as long as it takes to depose its writer.
    const { promise: onItsWay, resolve: leave } = Promise.withResolvers<void>();
    let services = 0;
    const isSwitch = (call: { method: string; path: string }): boolean => {
      if (!isMutation(call) || !call.path.includes('/services/')) return false;
      services += 1;
      if (services === 2) leave();
      return services === 2;
    };
    lane.proxy.program([{ where: isSwitch, fault: { kind: 'delay', ms: 3_000 } }]);
    const before = lane.proxy.mutations().length;
    const running = await lane.job.start('blue-green-switch', inputsTo(lane.fresh()));
    await onItsWay;
    const client = await lane.stage.connect();
    const lease = await acquireLease({
      store: createKubernetesStore(client, stateName('service', 'shop')),
      run: { id: 'the-newer-one', url: '', actor: '' },
      process: thisProcess(),
      isAlive: () => false,
      wait: 0,
      signal: new AbortController().signal,
      log: silentLog,
    });
    await createServiceSelector({ client, service: 'shop', log: silentLog }).claim?.(lease.fence);
    const deposed = await running.done;
    const moved = lane.proxy
      .mutations()
      .slice(before)
      .filter(({ path }) => path.includes('/services/'));
    expect(
      moved.map(({ status: seen }) => seen),
      deposed.log,
    ).toEqual([200, 409]);
    expect(deposed.exitCode).toBe(1);
    expect(deposed.outputs['reason-code'], deposed.log).toBe('lock_lost');
    expect((await look(lane)).serving).toMatchObject({ slot: serving.slot, version: serving.version });
    await lease.release();
    // Whoever comes next settles what was left.
    const version = lane.fresh();
    const next = await release(lane, version);
    expect(next.exitCode, next.log).toBe(0);
    expect(problemsOf(await look(lane), [version])).toEqual([]);
  }));

it('the faults were the API’s: nothing failed in the stand-in', () => {
  expect(standIn.problems).toEqual([]);
});
