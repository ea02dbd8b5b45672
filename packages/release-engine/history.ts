import { DeployError, isRecord, type ReasonCode } from '@deploy-actions/core';
import type { Facts, RunIdentity, Strategy, Verdict } from './journal.ts';
import type { Fence, Release, StateStore } from './ports.ts';
import type { ProbeCounts } from './probe.ts';

/** One release that came to an end, newest last. This is the one record of it: the ledger is a view on these. */
export interface HistoryEntry<R extends Release = Release> {
  id: string;
  release: R;
  revision: string;
  slot: string;
  strategy: Strategy;
  result: 'serving' | 'taken-back';
  /** Why it was taken back, for people and for code. */
  reason: string | null;
  reasonCode: ReasonCode | null;
  /** Revision that a rollback left behind: not a version to go back to by itself. */
  fled: string | null;
  /** The version that had the traffic when it began; null on the first release. */
  previous: string | null;
  /** Null in entries of schema 1. */
  startedAt: string | null;
  /** When it ended. */
  at: string;
  /** The run that brought it to its end. */
  run: RunIdentity;
  facts: Facts;
  verdicts: Verdict[];
  /** What the live probe of that run counted; null when there was none. */
  probe: ProbeCounts | null;
}

const historyKey = 'history';
/** Enough to find any version a team would go back to, small enough for one document. */
const kept = 50;

/** 1 had no `schema`, and nothing of an entry from `facts` on, `previous` or `startedAt`. */
const schema = 2;

function entriesOf<R extends Release>(value: unknown, location: string): HistoryEntry<R>[] {
  if (!isRecord(value) || !Array.isArray(value['entries'])) return [];
  if (Number(value['schema'] ?? 1) > schema) {
    throw new DeployError(
      'state_too_new',
      `The history in ${location} has schema ${String(value['schema'])}; this version of the suite reads up to ${schema}.`,
      { remedy: 'Use the version of the suite that wrote it, or a newer one.' },
    );
  }
  const older = { previous: null, startedAt: null, facts: {}, verdicts: [], probe: null };
  // Only this module writes the key.
  return (value['entries'] as HistoryEntry<R>[]).map((entry) => ({ ...older, ...entry }));
}

export async function readHistory<R extends Release>(store: StateStore): Promise<HistoryEntry<R>[]> {
  return entriesOf((await store.read(historyKey)).value, store.location);
}

/** Adds an entry once: a run that was killed after it had been added adds nothing when it resumes. */
export async function recordInHistory<R extends Release>(
  store: StateStore,
  fence: Fence,
  entry: HistoryEntry<R>,
): Promise<void> {
  const { value, version } = await store.read(historyKey);
  const entries = entriesOf<R>(value, store.location);
  if (entries.some((known) => known.id === entry.id)) return;
  await fence.check();
  await store.write(historyKey, { schema, entries: [...entries, entry].slice(-kept) }, version);
}
