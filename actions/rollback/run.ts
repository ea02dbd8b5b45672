import type { Context, InputValues, Outcome } from '@deploy-actions/action-kit';
import { releaseFactsOf } from '@deploy-actions/ledger';
import {
  type HistoryEntry,
  peekJournal,
  readHistory,
  revisionsOf,
  servingOf,
} from '@deploy-actions/release-engine';
import {
  holdWhileReady,
  nameIn,
  openTarget,
  runDelivery,
  settleAfter,
  type Target,
  type TargetRelease,
  withServing,
} from '@deploy-actions/targets';
import type { definition } from './definition.ts';
import { cutOff, rollbackTarget, withOrigin } from './target.ts';
import { rollBackWorkload, settleWorkload } from './workload.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

/** Says what serves when there is nothing to go back to. */
async function choose(
  target: Target,
  history: HistoryEntry<TargetRelease>[],
  serving: TargetRelease | null,
  version: string,
): Promise<TargetRelease> {
  try {
    return rollbackTarget(history, serving === null ? null : revisionsOf(target.platform)(serving), version)
      .release;
  } catch (thrown) {
    throw await withServing(target, thrown);
  }
}

/** What a workload needs: no router, and a name of its own where the application has none. */
const forWorkload = (inputs: Inputs, workload: string) => ({
  ...inputs,
  app: inputs.app === '' ? (nameIn(workload) ?? '') : inputs.app,
  router: '',
});

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { workload } = inputs;
  if (workload !== undefined) return rollBackWorkload(workload, forWorkload(inputs, workload), context);
  const target = await openTarget(inputs, context);
  const revisionOf = revisionsOf(target.platform);
  const [known, slots, traffic, journal] = await Promise.all([
    readHistory<TargetRelease>(target.store),
    target.platform.observe(),
    target.router.read(),
    peekJournal<TargetRelease>(target.store),
  ]);
  const history = withOrigin(known, journal, revisionOf);
  const serving = servingOf(slots, traffic).toSorted((a, b) => b.weight - a.weight)[0];
  const release =
    (inputs.version === 'previous' ? cutOff(journal, known) : null) ??
    (await choose(target, history, serving?.release ?? null, inputs.version));
  context.log.info(`Going back to ${release.version}.`);
  const revision = revisionOf(release);
  const entry = history.findLast((one) => one.revision === revision && one.strategy !== 'rollback');
  return runDelivery(context, {
    target,
    inputs,
    // Its commit and images are those that it was released with, not those of this run.
    known: entry === undefined ? { sha: '', images: {} } : releaseFactsOf(entry.facts),
    wanted: { strategy: 'rollback', release, weights: [100], keepPrevious: inputs['keep-previous'] },
    windows: [],
    hold: holdWhileReady(target.platform, inputs.watch, context.log),
  });
}

export async function post(inputs: Inputs, context: Context): Promise<void> {
  const { workload } = inputs;
  if (workload !== undefined) return settleWorkload(workload, forWorkload(inputs, workload), context);
  await settleAfter(context, await openTarget(inputs, context), inputs);
}
