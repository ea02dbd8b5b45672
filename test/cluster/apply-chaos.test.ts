// What chaos.test.ts does to blue-green-switch, done to deploy-manifests. It is not atomic, and does not claim to be: applied again
// after any interruption it has to come to the same end.

import { anApply, openApplyLane } from './apply-lane.ts';
import { itSurvives } from './survival.ts';

itSurvives([{ deed: anApply, isSettled: false }], { count: 6, open: openApplyLane });
