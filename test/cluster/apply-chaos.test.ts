// What chaos.test.ts does to blue-green-switch, done to deploy-manifests. It is not atomic, and does not claim to be: applied again
// after any interruption it has to come to the same end.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Deed,
  everyReadFails,
  faultsAtEveryWrite,
  killedAtEveryWrite,
  type Lanes,
  openLanes,
} from './adversity.ts';
import { anApply, openApplyLane } from './apply-lane.ts';
import { onStandIn } from './ground.ts';
import { type StandIn, startStandIn } from './stand-in.ts';

/** Milliseconds, on a machine that others use, too. */
const timeout = 1_800_000;

let standIn: StandIn;
let lanes: Lanes;
let deed: Deed;
beforeAll(async () => {
  standIn = await startStandIn();
  deed = anApply(onStandIn(standIn));
  lanes = await openLanes(6, () => openApplyLane(onStandIn(standIn)));
});
afterAll(async () => {
  await lanes.end();
  await standIn.stop();
});

describe.concurrent('apply', () => {
  it(
    'killed before or after any write and run again ends in a good state, and the Service never is without a ready pod',
    { timeout },
    async ({ expect }) => {
      const { found, writes } = await killedAtEveryWrite(lanes, deed);
      expect(found).toEqual([]);
      expect(writes).toBeGreaterThan(6);
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
});

it('the faults were the API’s: nothing failed in the stand-in', () => {
  expect(standIn.problems).toEqual([]);
});
