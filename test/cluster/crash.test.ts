// Kills with the real kubelet: some of those that chaos.test.ts and its like make at every write, where pods take their time.

import { afterAll, beforeAll, describe, it } from 'vitest';
import { type Deed, killedAtEveryWrite, type Lanes, openLanes } from './adversity.ts';
import { anApply, openApplyLane } from './apply-lane.ts';
import { aRollback, aSwitch, openBlueGreenLane } from './blue-green-lane.ts';
import { type Ground, onKubelet } from './ground.ts';
import type { Lane } from './lane.ts';
import { anUpdate, aWayBack, openRollingLane } from './rolling-lane.ts';

/** Of the two kills at each write, one in so many: before and after by turns. `CHAOS=all`: each. */
const every = process.env['CHAOS'] === 'all' ? 1 : 7;
/** More versions than the cases release. */
const versions = 200;

let ground: Ground;
const opened: Lanes[] = [];
beforeAll(async () => {
  ground = await onKubelet(versions);
});
afterAll(async () => {
  for (const lanes of opened) await lanes.end();
});

const kinds: [string, (on: Ground) => Promise<Lane>, readonly Deed[]][] = [
  ['two colours', openBlueGreenLane, [aSwitch, aRollback]],
  ['a workload', openRollingLane, [anUpdate, aWayBack]],
  ['manifests', openApplyLane, [anApply]],
];

describe.concurrent.each(kinds)('%s on real pods', (_name, open, deeds) => {
  it(
    'end well after kills, and the Service never is without a ready pod',
    { timeout: 1_800_000 },
    async ({ expect }) => {
      const lanes = await openLanes(1, () => open(ground));
      opened.push(lanes);
      for (const deed of deeds) {
        const { found, writes } = await killedAtEveryWrite(lanes, deed, every);
        expect(found).toEqual([]);
        expect(writes).toBeGreaterThan(5);
      }
    },
  );
});
