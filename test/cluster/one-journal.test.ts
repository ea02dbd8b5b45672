// An environment has one journal. What one action left unfinished in it, another one refuses to touch, and the first one finishes.

import { afterEach, beforeAll, afterAll, expect, it } from 'vitest';
import type { StepResult } from '../support/runner.ts';
import { killProcess, onMutation } from './api-proxy.ts';
import { inputsTo, openBlueGreenLane } from './blue-green-lane.ts';
import { imageOf, onStandIn } from './ground.ts';
import type { Lane } from './lane.ts';
import { openRollingLane, updateTo } from './rolling-lane.ts';
import { type StandIn, startStandIn } from './stand-in.ts';

const environment = { app: 'shop', environment: 'production' };

let standIn: StandIn;
const lanes: Lane[] = [];
beforeAll(async () => {
  standIn = await startStandIn();
});
afterEach(async () => {
  for (const lane of lanes.splice(0)) await lane.end();
});
afterAll(() => standIn.stop());

/** Has the step killed before its n-th write. */
async function killed(
  lane: Lane,
  action: string,
  inputs: Record<string, string>,
  nth: number,
): Promise<void> {
  const kill = () => killProcess(running.pid);
  lane.proxy.program([onMutation({ kind: 'kill', when: 'before', kill }, nth)]);
  const running = await lane.start(action, { ...environment, ...inputs });
  const { signal, log } = await running.done;
  expect(signal, log).toBe('SIGKILL');
  lane.proxy.program([]);
}

async function refused(lane: Lane, action: string, inputs: Record<string, string>): Promise<StepResult> {
  const before = lane.proxy.mutations().length;
  const step = await lane.step(action, { ...environment, ...inputs });
  expect(step.outputs, step.log).toMatchObject({ 'reason-code': 'unfinished_release' });
  expect(lane.proxy.mutations()).toHaveLength(before);
  return step;
}

it('a rolling update that was killed is refused by blue-green-switch and rollback, and finished by itself', async () => {
  const lane = await openRollingLane(onStandIn(standIn));
  lanes.push(lane);
  // Lease, journal, and then the pod template.
  await killed(lane, 'rolling-update', updateTo('v1'), 3);
  for (const dry of ['false', 'true']) {
    const step = await refused(lane, 'blue-green-switch', { ...inputsTo('v2'), 'dry-run': dry });
    expect(step.log).toMatch(/release of v1 to deployment\/shop by run 1.* is in phase «starting»/);
    expect(step.log).toContain('Run `rolling-update` with `workload: deployment/shop` again');
  }
  const again = await lane.step('rolling-update', { ...environment, ...updateTo('v1') });
  expect(again.outputs, again.log).toMatchObject({ result: 'succeeded', 'reason-code': 'resumed' });
});

it('a switch that was killed is refused by rolling-update, and finished by itself', async () => {
  const lane = await openBlueGreenLane(onStandIn(standIn));
  lanes.push(lane);
  const version = lane.fresh();
  await killed(lane, 'blue-green-switch', inputsTo(version), 4);
  for (const dry of ['false', 'true']) {
    const update = { workload: 'deployment/shop-blue', image: imageOf(version), 'dry-run': dry };
    expect((await refused(lane, 'rolling-update', update)).log).toContain('Run `blue-green-switch` again');
  }
  const again = await lane.step('blue-green-switch', { ...environment, ...inputsTo(version) });
  expect(again.outputs, again.log).toMatchObject({ result: 'succeeded', version });
});
