import { migrate } from './migrate.ts';
import type { Phase } from './phase.ts';
import { postflight } from './postflight.ts';
import { preflight } from './preflight.ts';
import { shift } from './shift.ts';
import { watch } from './watch.ts';

/** Every phase of the pipeline, in order. */
export const phases: readonly Phase[] = [preflight, migrate, shift, watch, postflight];
