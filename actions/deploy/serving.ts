import { describeServing, openTarget, type Target } from '@deploy-actions/targets';
import { readPatiently, servingOf } from '@deploy-actions/release-engine';
import type { Context, InputValues, Outcome } from '@deploy-actions/action-kit';
import type { targetSettings } from './settings.ts';

export type TargetSettings = InputValues<(typeof targetSettings)['inputs']>;

export interface Serving {
  target: Target;
  /** The version with most of the traffic; undefined when nothing serves. */
  main: { version: string; slot: string; weight: number } | undefined;
  /** In words: `1.4.1 (blue) serves.` */
  words: string;
}

/** Reads who has the traffic; one failed look says nothing. */
export async function readServing(settings: TargetSettings, context: Context): Promise<Serving> {
  const target = await openTarget(settings, context);
  const { log, signal } = context;
  const [slots, traffic] = await readPatiently(
    () => Promise.all([target.platform.observe(), target.router.read()]),
    { what: 'what runs and what has the traffic', log, signal },
  );
  const serving = servingOf(slots, traffic);
  const [most] = serving.toSorted((a, b) => b.weight - a.weight);
  return {
    target,
    main: most && { version: most.release.version, slot: most.slot, weight: most.weight },
    words: describeServing(serving),
  };
}

/** What became of a version that another run released another one over: nothing of that is ours to judge or take back. */
export function superseded(version: string, { words, main }: Serving): Outcome {
  return {
    result: 'superseded',
    reasonCode: 'state_conflict',
    message: `${version} does not have all the traffic any more, by another run or by hand. ${words}`,
    remedy: 'Look at the releases of this environment since this run began.',
    outputs: { version: main?.version, slot: main?.slot },
    report: {},
  };
}
