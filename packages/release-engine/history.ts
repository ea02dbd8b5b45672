import { isRecord, type ReasonCode } from '@deploy-actions/core';
import type { RunIdentity, Strategy } from './journal.ts';
import type { Fence, Release, StateStore } from './ports.ts';

/** One release that came to an end, newest last. */
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
  at: string;
  run: RunIdentity;
}

const historyKey = 'history';
/** Enough to find any version a team would go back to, small enough for one document. */
const kept = 50;

function entriesOf<R extends Release>(value: unknown): HistoryEntry<R>[] {
  const entries = isRecord(value) ? value['entries'] : undefined;
  // Only this module writes the key.
  return Array.isArray(entries) ? (entries as HistoryEntry<R>[]) : [];
}

export async function readHistory<R extends Release>(store: StateStore): Promise<HistoryEntry<R>[]> {
  return entriesOf((await store.read(historyKey)).value);
}

/** Adds an entry once: a run that was killed after it had been added adds nothing when it resumes. */
export async function recordInHistory<R extends Release>(
  store: StateStore,
  fence: Fence,
  entry: HistoryEntry<R>,
): Promise<void> {
  const { value, version } = await store.read(historyKey);
  const entries = entriesOf<R>(value);
  if (entries.some((known) => known.id === entry.id)) return;
  await fence.check();
  await store.write(historyKey, { entries: [...entries, entry].slice(-kept) }, version);
}
