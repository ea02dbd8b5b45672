import type { Context, InputValues, Outcome } from '@deploy-actions/action-kit';
import { digestOf } from '@deploy-actions/core';
import { releaseFactsOf } from '@deploy-actions/ledger';
import type { LinuxHostRelease } from '@deploy-actions/platforms';
import {
  type HistoryEntry,
  isSettled,
  peekJournal,
  readHistory,
  servingOf,
} from '@deploy-actions/release-engine';
import {
  holdWhileReady,
  openTarget,
  runDelivery,
  settleAfter,
  type Target,
  withServing,
} from '@deploy-actions/targets';
import type { definition } from './definition.ts';
import { rollbackTarget } from './target.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

/** Says what serves when there is nothing to go back to. */
async function choose(
  target: Target,
  history: HistoryEntry<LinuxHostRelease>[],
  serving: LinuxHostRelease | null,
  version: string,
): Promise<LinuxHostRelease> {
  try {
    return rollbackTarget(history, serving === null ? null : digestOf(serving), version).release;
  } catch (thrown) {
    throw await withServing(target, thrown);
  }
}

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const target = await openTarget(inputs, context);
  const [history, slots, traffic, unfinished] = await Promise.all([
    readHistory<LinuxHostRelease>(target.store),
    target.platform.observe(),
    target.router.read(),
    peekJournal<LinuxHostRelease>(target.store),
  ]);
  const serving = servingOf(slots, traffic).toSorted((a, b) => b.weight - a.weight)[0];
  // A release under way is what one wants to get away from: its old version is the previous one.
  const origin = unfinished !== null && !isSettled(unfinished) ? unfinished.from : null;
  const release =
    origin !== null && inputs.version === 'previous'
      ? origin.release
      : await choose(target, history, serving?.release ?? null, inputs.version);
  context.log.info(`Going back to ${release.version}.`);
  const revision = digestOf(release);
  const entry = history.findLast((known) => known.revision === revision && known.strategy !== 'rollback');
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
  await settleAfter(context, await openTarget(inputs, context), inputs);
}
