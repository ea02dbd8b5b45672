// What every action that writes to a cluster has to survive, as tests (adversity.ts).

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  cancelledAtEveryWrite,
  type Deed,
  everyReadFails,
  faultsAtEveryWrite,
  killedAtEveryWrite,
  type Lanes,
  openLanes,
} from './adversity.ts';
import { type Ground, onStandIn } from './ground.ts';
import type { Lane } from './lane.ts';
import { type StandIn, startStandIn } from './stand-in.ts';

/** Milliseconds, on a machine that others use, too. */
export const timeout = 1_800_000;

export interface Survivor {
  deed: Deed;
  /** The same, from a state that takes less to bring about: for all but the kills. */
  short?: Deed;
  /** Whether it leaves a journal that a post step settles. Default: it does. */
  isSettled?: boolean;
}

/**
 * Registers the tests, which run at the same time on the same lanes: while one case waits, another works. `lanes` is for more tests.
 */
export function itSurvives(
  survivors: readonly Survivor[],
  { count, open }: { count: number; open: (ground: Ground) => Promise<Lane> },
): { lanes(): Lanes } {
  let standIn: StandIn;
  let lanes: Lanes;
  beforeAll(async () => {
    standIn = await startStandIn();
    lanes = await openLanes(count, () => open(onStandIn(standIn)));
  });
  afterAll(async () => {
    await lanes.end();
    await standIn.stop();
    // The faults were the API's.
    expect(standIn.problems).toEqual([]);
  });

  for (const { deed, short = deed, isSettled = true } of survivors) {
    describe.concurrent(deed.name, () => {
      it(
        'killed before or after any write and run again ends in a good state, and the Service never is without a ready pod',
        { timeout },
        async ({ expect: within }) => {
          const { found, writes } = await killedAtEveryWrite(lanes, deed);
          within(found).toEqual([]);
          within(writes).toBeGreaterThan(5);
        },
      );

      it(
        'overcomes 409, 429, 500, a cut before or after the effect, and no answer, at any write, and writes nothing twice',
        { timeout },
        async ({ expect: within }) => {
          within((await faultsAtEveryWrite(lanes, short)).found).toEqual([]);
        },
      );

      it('overcomes 429, 500 and cuts at every read', { timeout }, async ({ expect: within }) => {
        within(await everyReadFails(lanes, short)).toEqual([]);
      });

      it.runIf(isSettled)(
        'cancelled at any write ends in time, the journal is written before the lease is given back, and the post step settles it',
        { timeout },
        async ({ expect: within }) => {
          const { found, longest } = await cancelledAtEveryWrite(lanes, deed);
          within(found).toEqual([]);
          within(longest).toBeLessThan(7_500);
        },
      );
    });
  }
  return { lanes: () => lanes };
}
