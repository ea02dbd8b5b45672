// What chaos.test.ts does to blue-green-switch, done to rolling-update and to its rollback.

import { aNamedWayBack, anUpdate, aWayBack, openRollingLane } from './rolling-lane.ts';
import { itSurvives } from './survival.ts';

itSurvives([{ deed: anUpdate }, { deed: aWayBack, short: aNamedWayBack }], {
  count: 8,
  open: openRollingLane,
});
