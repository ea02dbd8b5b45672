// What chaos.test.ts does to blue-green-switch, done to rolling-update and to its rollback.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  cancelledAtEveryWrite,
  everyReadFails,
  faultsAtEveryWrite,
  killedAtEveryWrite,
  type Lanes,
  openLanes,
} from './adversity.ts';
import { anUpdate, aWayBack, openRollingLane } from './rolling-lane.ts';
import { type StandIn, startStandIn } from './stand-in.ts';

/** Milliseconds. */
const timeout = 600_000;

let standIn: StandIn;
let lanes: Lanes;
beforeAll(async () => {
  standIn = await startStandIn();
  lanes = await openLanes(8, () => openRollingLane(standIn));
});
afterAll(async () => {
  await lanes.end();
  await standIn.stop();
});

describe.concurrent.each([anUpdate, aWayBack])('$name', (deed) => {
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

it('the faults were the API’s: nothing failed in the stand-in', () => {
  expect(standIn.problems).toEqual([]);
});
