// Several Services released as one, on pods of a stand-in: what is refused, and that all of them are on one colour in the end
// whatever happens to a run.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isMutation } from './api-proxy.ts';
import { onStandIn } from './ground.ts';
import { type StandIn, startStandIn } from './stand-in.ts';
import { endpointProblems, killAtWrites, openUnitLane, problemsOfUnit, type UnitLane } from './unit-lane.ts';

const timeout = 1_200_000;

let standIn: StandIn;
let lane: UnitLane;
beforeAll(async () => {
  standIn = await startStandIn();
  lane = await openUnitLane(onStandIn(standIn));
});
afterAll(async () => {
  await lane.end();
  await standIn.stop();
});

const isServiceWrite = (call: { method: string; path: string }): boolean =>
  isMutation(call) && call.path.includes('/services/');

/** Patches the selector of a Service by hand. */
const send = (service: string, colour: string): Promise<string> =>
  lane.stage.kubectl(
    ...['patch', 'service', service, '--type', 'merge', '-p'],
    JSON.stringify({ spec: { selector: { version: colour } } }),
  );

describe('several Services as one', { timeout }, () => {
  it('are switched together, and together they go back', async () => {
    const before = await lane.look();
    const old = before.deployments[`shop-${before.serving['shop']}`]?.version ?? '';
    const version = lane.fresh();
    const forth = await lane.release(version);
    expect(forth.exitCode, forth.log).toBe(0);
    expect(forth.log).toMatch(/2 Services moved within \d+ ms/);
    await expect.poll(async () => problemsOfUnit(await lane.look(), [version])).toEqual([]);
    const back = await lane.rollback();
    expect(back.exitCode, back.log).toBe(0);
    expect(back.outputs['version']).toBe(old);
    await expect.poll(async () => problemsOfUnit(await lane.look(), [old])).toEqual([]);
    expect(endpointProblems(lane)).toEqual([]);
  });

  it('that are on different colours are refused, with what to do, and nothing is touched', async () => {
    const { serving } = await lane.look();
    const other = serving['shop'] === 'blue' ? 'green' : 'blue';
    await send('realtime', other);
    const writes = lane.proxy.mutations().filter(({ path }) => !/leases|configmaps/.test(path)).length;
    for (const step of [await lane.release(lane.fresh()), await lane.rollback()]) {
      expect(step.exitCode).toBe(1);
      expect(step.outputs['reason-code'], step.log).toBe('state_conflict');
      expect(step.log).toContain(`shop ${serving['shop']}, realtime ${other}`);
      expect(step.log).toContain('kubectl patch service realtime');
    }
    expect(lane.proxy.mutations().filter(({ path }) => !/leases|configmaps/.test(path))).toHaveLength(writes);
    await send('realtime', serving['shop'] ?? '');
  });

  it('need an image each', async () => {
    const step = await lane.release(lane.fresh(), { image: `acme/lane:${lane.fresh()}` });
    expect(step.exitCode).toBe(1);
    expect(step.outputs['reason-code'], step.log).toBe('not_found');
    expect(step.log).toMatch(/Deployment realtime-\w+ is released with the others, and no image is for it/);
  });

  it('go back where one of them is refused', async () => {
    const { serving, deployments } = await lane.look();
    const old = deployments[`shop-${serving['shop']}`]?.version ?? '';
    const refusal = {
      kind: 'Status',
      status: 'Failure',
      code: 422,
      reason: 'Invalid',
      message: 'as a test wants it',
    };
    const isSwitch = (call: { method: string; path: string }) =>
      isServiceWrite(call) && call.path.includes('/realtime');
    // The first write of it is the claim; the second, the switch.
    lane.proxy.program([{ where: isSwitch, nth: 2, fault: { kind: 'answer', status: 422, body: refusal } }]);
    const step = await lane.release(lane.fresh());
    lane.proxy.program([]);
    expect(step.exitCode, step.log).toBe(1);
    expect(step.log).toContain(`Service shop is back at ${serving['shop']}`);
    expect(step.outputs['reason-code']).toBe('router_rejected');
    await expect.poll(async () => problemsOfUnit(await lane.look(), [old])).toEqual([]);
    expect((await lane.look()).serving).toEqual(serving);
    expect(endpointProblems(lane)).toEqual([]);
  });

  it('move all the same where one of them changes under its write', async () => {
    const conflict = {
      kind: 'Status',
      status: 'Failure',
      code: 409,
      reason: 'Conflict',
      message: 'as a test wants it',
    };
    const isSwitch = (call: { method: string; path: string }) =>
      isServiceWrite(call) && call.path.includes('/realtime');
    lane.proxy.program([{ where: isSwitch, nth: 2, fault: { kind: 'answer', status: 409, body: conflict } }]);
    const version = lane.fresh();
    const step = await lane.release(version);
    lane.proxy.program([]);
    expect(step.exitCode, step.log).toBe(0);
    await expect.poll(async () => problemsOfUnit(await lane.look(), [version])).toEqual([]);
  });

  it('are on one colour again after a run that was killed at any write, whoever comes next', async () => {
    const { found, apart, kills } = await killAtWrites(lane, ({ path }) => path.includes('/services/'));
    expect(found).toEqual([]);
    expect(kills).toBeGreaterThan(5);
    expect(endpointProblems(lane)).toEqual([]);
    // Between the two writes of a switch.
    expect(apart).toBeGreaterThan(0);
  });
});
