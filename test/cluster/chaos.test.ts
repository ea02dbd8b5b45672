// Faults of the API and of the runner, at every write of blue-green-switch and rollback, on pods of a stand-in (stand-in.ts): the
// real API server and controller-manager, with the built actions as a runner runs them. Kills with the real kubelet are in
// crash.test.ts.

import { silentLog } from '@deploy-actions/core';
import { createKubernetesStore, stateName } from '@deploy-actions/kubernetes';
import { acquireLease, thisProcess } from '@deploy-actions/release-engine';
import { createServiceSelector } from '@deploy-actions/routers';
import { expect, it } from 'vitest';
import { isMutation } from './api-proxy.ts';
import {
  aReturn,
  aRollback,
  aSwitch,
  inputsTo,
  look,
  openBlueGreenLane,
  problemsOf,
  release,
} from './blue-green-lane.ts';
import { itSurvives, timeout } from './survival.ts';

const { lanes } = itSurvives([{ deed: aSwitch }, { deed: aRollback, short: aReturn }], {
  count: 6,
  open: openBlueGreenLane,
});

it('of 20 runs at once one wins, and the others say who holds the lease', { timeout }, () =>
  lanes().on(async (lane) => {
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
    await expect
      .poll(async () => problemsOf(await look(lane), [winner?.result.outputs['version'] ?? '']))
      .toEqual([]);
  }),
);

it('a deposed holder’s write is refused by the API server itself, and it says who took over', () =>
  lanes().on(async (lane) => {
    lane.proxy.program([]);
    const { serving } = await look(lane);
    // The write that moves the traffic is on its way for as long as it takes to depose its writer.
    const { promise: onItsWay, resolve: leave } = Promise.withResolvers<void>();
    const { promise: isDeposed, resolve: depose } = Promise.withResolvers<void>();
    let services = 0;
    const isSwitch = (call: { method: string; path: string }): boolean => {
      if (!isMutation(call) || !call.path.includes('/services/')) return false;
      services += 1;
      if (services === 2) leave();
      return services === 2;
    };
    lane.proxy.program([{ where: isSwitch, fault: { kind: 'hold', until: isDeposed } }]);
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
    depose();
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
    await expect.poll(async () => problemsOf(await look(lane), [version])).toEqual([]);
  }));
