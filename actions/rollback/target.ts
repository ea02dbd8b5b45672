import { DeployError, type ReasonCode } from '@deploy-actions/core';
import { type HistoryEntry, isSettled, type Journal, type Release } from '@deploy-actions/release-engine';

/** Being taken back for these says something about the version; for anything else, about the run or the router. */
const fault: readonly ReasonCode[] = ['start_failed', 'not_ready', 'unhealthy', 'limit_exceeded'];

/** The last word of the history on a revision: it served to its end, it failed, it was fled from, or nothing. */
function lastWordOn<R extends Release>(
  history: HistoryEntry<R>[],
  revision: string,
): { word: 'served' | 'failed' | 'fled'; reason: string | null } | undefined {
  for (const entry of history.toReversed()) {
    if (entry.fled === revision) return { word: 'fled', reason: null };
    if (entry.revision !== revision) continue;
    if (entry.result === 'serving') return { word: 'served', reason: null };
    if (entry.reasonCode === null || fault.includes(entry.reasonCode)) {
      return { word: 'failed', reason: entry.reason };
    }
  }
  return undefined;
}

/** The entry of what served although no run of this suite released it. */
export function servedBefore<R extends Release>(
  known: Pick<HistoryEntry<R>, 'id' | 'release' | 'revision' | 'slot' | 'strategy' | 'at' | 'run'>,
): HistoryEntry<R> {
  return {
    ...known,
    result: 'serving',
    reason: null,
    reasonCode: null,
    fled: null,
    previous: null,
    startedAt: null,
    facts: {},
    verdicts: [],
    probe: null,
  };
}

/**
 * The history with what served before the last release, where that was deployed by other means and has no entry: it
 * served until then, so it can be gone back to.
 */
export function withOrigin<R extends Release>(
  history: HistoryEntry<R>[],
  last: Journal<R> | null,
  revisionOf: (release: R) => string,
): HistoryEntry<R>[] {
  const at = history.findIndex((entry) => entry.id === last?.id);
  const [from, entry] = [last?.from, history[at]];
  if (from === undefined || from === null || entry === undefined) return history;
  const revision = revisionOf(from.release);
  if (history.some((known) => known.revision === revision)) return history;
  const origin = servedBefore({
    id: `before ${entry.id}`,
    release: from.release,
    revision,
    slot: from.slot,
    strategy: 'blue-green',
    at: entry.startedAt ?? entry.at,
    run: entry.run,
  });
  return history.toSpliced(at, 0, origin);
}

/**
 * The release that `previous` means where the last run did not come to its end: a rollback that was cut off is gone on with, also
 * when only its entry in the history is missing, for one that began anew would take it for the version to get away from. Any
 * other release that is under way is left for what served before it. Null: the history decides.
 */
export function cutOff<R extends Release>(last: Journal<R> | null, history: HistoryEntry<R>[]): R | null {
  if (last === null) return null;
  const isRecorded = history.some((entry) => entry.id === last.id);
  if (last.strategy === 'rollback' && (!isSettled(last) || (last.phase === 'finished' && !isRecorded))) {
    return last.to.release;
  }
  return isSettled(last) ? null : (last.from?.release ?? null);
}

/** What can be named, newest first. */
function choices<R extends Release>(history: HistoryEntry<R>[]): string {
  const fit = history.filter((entry) => lastWordOn(history, entry.revision)?.word !== 'failed');
  const versions = [...new Set(fit.toReversed().map((entry) => entry.release.version))];
  return versions.length === 0
    ? 'No version can be gone back to: release one anew.'
    : `Versions that can be named: ${versions.slice(0, 10).join(', ')}.`;
}

/**
 * The release to go back to. `previous` is the last one that served, other than what serves now, and that was neither
 * taken back nor rolled back from. Throws `version_not_found` when there is none.
 */
export function rollbackTarget<R extends Release>(
  history: HistoryEntry<R>[],
  servingRevision: string | null,
  version: string,
): HistoryEntry<R> {
  if (version === 'previous') {
    const found = history.findLast(
      // An attempt at an older version that was given up does not bring it nearer.
      (entry) =>
        entry.result === 'serving' &&
        entry.revision !== servingRevision &&
        lastWordOn(history, entry.revision)?.word === 'served',
    );
    if (found !== undefined) return found;
    throw new DeployError('version_not_found', 'There is no earlier version that served and did not fail.', {
      remedy: choices(history),
    });
  }
  const named = history.findLast((entry) => entry.release.version === version);
  if (named === undefined) {
    throw new DeployError('version_not_found', `Version ${version} was never released here.`, {
      remedy: choices(history),
    });
  }
  const last = lastWordOn(history, named.revision);
  if (last?.word === 'failed') {
    throw new DeployError(
      'version_not_found',
      `Version ${version} was taken back when it was released (${last.reason ?? 'no reason kept'}); it is no version to go back to.`,
      { remedy: `${choices(history)} To try ${version} again, release it anew.` },
    );
  }
  return named;
}
