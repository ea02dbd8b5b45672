import { DeployError } from '@deploy-actions/core';
import type { HistoryEntry, Release } from '@deploy-actions/release-engine';

/** Whether the last word on a release is that it served to its end, and was not fled from. */
function isTrusted<R extends Release>(history: HistoryEntry<R>[], revision: string): boolean {
  const last = history.findLast((entry) => entry.revision === revision);
  return last?.result === 'serving' && !history.some((entry) => entry.fled === revision);
}

function listOf<R extends Release>(history: HistoryEntry<R>[]): string {
  const versions = [...new Set(history.toReversed().map((entry) => entry.release.version))];
  return versions.length === 0 ? 'none' : versions.slice(0, 10).join(', ');
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
      (entry) => entry.revision !== servingRevision && isTrusted(history, entry.revision),
    );
    if (found !== undefined) return found;
    throw new DeployError('version_not_found', 'There is no earlier version that served and did not fail.', {
      remedy: `Known versions: ${listOf(history)}. Release one of them anew, or name it by \`version\`.`,
    });
  }
  const named = history.findLast((entry) => entry.release.version === version);
  if (named === undefined) {
    throw new DeployError('version_not_found', `Version ${version} was never released here.`, {
      remedy: `Known versions: ${listOf(history)}.`,
    });
  }
  const last = history.findLast((entry) => entry.revision === named.revision);
  if (last?.result === 'taken-back') {
    throw new DeployError(
      'version_not_found',
      `Version ${version} was taken back when it was released (${last.reason ?? 'no reason kept'}); it is no version to go back to.`,
      { remedy: `Known versions: ${listOf(history)}. To try it again, release it anew.` },
    );
  }
  return named;
}
