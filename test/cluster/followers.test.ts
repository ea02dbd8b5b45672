// Workers and a scheduler released with two Services on pods of a stand-in, killed at their writes: in the end they are where the
// traffic is, and there never was a second scheduler. What jobs see of it is in workers.test.ts.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isMutation } from './api-proxy.ts';
import { countPods, type PodCount } from './job-queue.ts';
import { onStandIn } from './ground.ts';
import { type StandIn, startStandIn } from './stand-in.ts';
import {
  endpointProblems,
  killAtWrites,
  openUnitLane,
  problemsOfUnit,
  type UnitLane,
  type UnitLaneOptions,
} from './unit-lane.ts';

const options: UnitLaneOptions = { workers: ['celery-worker'], schedulers: ['celery-beat'] };
const timeout = 1_200_000;

let standIn: StandIn;
let lane: UnitLane;
let schedulers: PodCount;
beforeAll(async () => {
  standIn = await startStandIn();
  lane = await openUnitLane(onStandIn(standIn), options);
  schedulers = await countPods(lane.stage.access, lane.stage.name, 'celery-beat');
});
afterAll(async () => {
  schedulers.stop();
  await lane.end();
  await standIn.stop();
});

const isOf =
  (name: string) =>
  (call: { method: string; path: string }): boolean =>
    isMutation(call) && call.path.includes(`/deployments/${name}`);

describe('workers and a scheduler', { timeout }, () => {
  it('follow the traffic forth and back', async () => {
    const version = lane.fresh();
    const forth = await lane.release(version);
    expect(forth.exitCode, forth.log).toBe(0);
    await expect.poll(async () => problemsOfUnit(await lane.look(), [version], options)).toEqual([]);
    const back = await lane.rollback();
    expect(back.exitCode, back.log).toBe(0);
    await expect
      .poll(async () => problemsOfUnit(await lane.look(), [back.outputs['version'] ?? ''], options))
      .toEqual([]);
    expect(schedulers.problems).toEqual([]);
  });

  it('are not started by a run that was deposed', async () => {
    const { serving } = await lane.look();
    const next = serving['shop'] === 'blue' ? 'green' : 'blue';
    // Its start of the new scheduler is held back until another run has brought the old one back.
    const { promise: onItsWay, resolve: leave } = Promise.withResolvers<void>();
    const { promise: isTaken, resolve: taken } = Promise.withResolvers<void>();
    let writes = 0;
    const isStart = (call: { method: string; path: string }): boolean => {
      if (!isOf(`celery-beat-${next}`)(call)) return false;
      writes += 1;
      // The first gives it its image.
      if (writes === 2) leave();
      return writes === 2;
    };
    lane.proxy.program([{ where: isStart, fault: { kind: 'hold', until: isTaken } }]);
    const running = await lane.start(lane.fresh());
    await Promise.race([onItsWay, running.done]);
    // Whoever was taken for dead.
    process.kill(running.pid, 'SIGSTOP');
    await lane.stage.kubectl('delete', 'leases', '--all');
    const taker = await lane.release(lane.fresh());
    taken();
    process.kill(running.pid, 'SIGCONT');
    const deposed = await running.done;
    expect(taker.exitCode, taker.log).toBe(0);
    expect(deposed.exitCode, deposed.log).toBe(1);
    expect(deposed.outputs['reason-code'], deposed.log).toBe('lock_lost');
    const wanted = [taker.outputs['version'] ?? ''];
    await expect.poll(async () => problemsOfUnit(await lane.look(), wanted, options)).toEqual([]);
    expect(schedulers.problems).toEqual([]);
  });

  it('are where the traffic is after a run that was killed at any write', async () => {
    const { found, kills } = await killAtWrites(
      lane,
      ({ path }) => /celery-beat|\/services\//.test(path),
      options,
    );
    expect(found).toEqual([]);
    expect(kills).toBeGreaterThan(5);
    expect(schedulers.problems).toEqual([]);
    expect(schedulers.most()).toBe(1);
    expect(endpointProblems(lane)).toEqual([]);
  });
});
