import { DeployError, type ReasonCode } from '@deploy-actions/core';
import {
  type HistoryEntry,
  type ProbeCounts,
  readHistory,
  type Release,
  type StateStore,
  type Strategy,
  type Verdict,
} from '@deploy-actions/release-engine';
import { type ReleaseFacts, releaseFactsOf } from './facts.ts';

/** One release as people ask about it: what was deployed where, when, by whom, and what became of it. */
export interface LedgerEntry extends Omit<ReleaseFacts, 'notes'> {
  id: string;
  version: string;
  /** Digest of the release. */
  revision: string;
  strategy: Strategy;
  slot: string;
  /** The state of the database, from the note `migration`; empty when it is not known. */
  migration: string;
  notes: Record<string, string>;
  verdicts: Verdict[];
  probe: ProbeCounts | null;
  /** The version that had the traffic before; null on the first release. */
  previous: string | null;
  /** The run that brought it to its end. */
  runId: string;
  runUrl: string;
  actor: string;
  /** ISO 8601; null when an older suite did not keep it. */
  startedAt: string | null;
  endedAt: string;
  result: HistoryEntry['result'];
  reason: string | null;
  reasonCode: ReasonCode | null;
}

/** The view on one entry of the engine's history, which is the record. */
export function ledgerEntryOf(entry: HistoryEntry): LedgerEntry {
  const facts = releaseFactsOf(entry.facts);
  const { migration = '', ...notes } = facts.notes;
  return {
    ...facts,
    id: entry.id,
    version: entry.release.version,
    revision: entry.revision,
    strategy: entry.strategy,
    slot: entry.slot,
    migration,
    notes,
    verdicts: entry.verdicts,
    probe: entry.probe,
    previous: entry.previous,
    runId: entry.run.id,
    runUrl: entry.run.url,
    actor: entry.run.actor,
    startedAt: entry.startedAt,
    endedAt: entry.at,
    result: entry.result,
    reason: entry.reason,
    reasonCode: entry.reasonCode,
  };
}

/** Newest first. */
export async function readLedger(store: StateStore): Promise<LedgerEntry[]> {
  return (await readHistory<Release>(store)).toReversed().map(ledgerEntryOf);
}

/** What serves by the ledger: the newest release that was not taken back. `entries` newest first. */
export function currentOf(entries: readonly LedgerEntry[]): LedgerEntry | undefined {
  return entries.find(({ result }) => result === 'serving');
}

/** The newest release of a version, or whose commit begins so. Throws `version_not_found` with what is known. */
export function findRelease(entries: readonly LedgerEntry[], version: string): LedgerEntry {
  const found =
    entries.find((entry) => entry.version === version) ??
    (version.length >= 7 ? entries.find(({ sha }) => sha.startsWith(version)) : undefined);
  if (found !== undefined) return found;
  const known = [...new Set(entries.map((entry) => entry.version))];
  throw new DeployError('version_not_found', `The ledger has no release of ${version}.`, {
    remedy:
      known.length === 0
        ? 'Nothing was released here yet.'
        : `Known are ${known.slice(0, 20).join(', ')}${known.length > 20 ? `, and ${known.length - 20} more` : ''}.`,
  });
}
