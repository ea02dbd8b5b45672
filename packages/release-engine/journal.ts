import { canonicalJson, DeployError, isRecord, type Json, type ReasonCode } from '@deploy-actions/core';
import type { Fence, Release, StateStore, Target } from './ports.ts';

/**
 * Where a release stands. Each phase is written before its first effect, so whoever reads the journal after a kill
 * knows what may have been done and what it takes to finish or undo it.
 */
export type Phase =
  /** The new version is being started in its slot; no traffic has moved. */
  | 'starting'
  /** The weight of `step` is being written. */
  | 'shifting'
  /** The weight of `step` is in force and is being watched. */
  | 'holding'
  /** All traffic is on the new version; requests to the old one are being finished. */
  | 'draining'
  /** The old version is being stopped. */
  | 'retiring'
  /** Traffic is being given back to the old version. */
  | 'reverting'
  /** The old version has all traffic; the new one is being stopped. */
  | 'cleaning'
  | 'finished'
  | 'reverted';

export type Strategy = 'blue-green' | 'canary' | 'rolling' | 'rollback';

/** Who is at work: shown to whoever has to wait. */
export interface RunIdentity {
  id: string;
  url: string;
  actor: string;
}

export interface Reason {
  reasonCode: ReasonCode;
  message: string;
  details: string[];
}

/** What is to be known of a release besides what it takes to run it: plain JSON that the engine keeps and never reads. */
export type Facts = Record<string, Json>;

/** What watching a weight came to, as it is kept. */
export interface Verdict {
  weight: number;
  decision: 'pass' | 'fail' | 'hold';
  /** Why, for people. */
  words: string[];
  /** Milliseconds from the begin of the window to the decision. */
  elapsed: number;
}

/** Everything needed to finish or undo a release, as it is stored. */
export interface Journal<R extends Release = Release> {
  id: string;
  strategy: Strategy;
  run: RunIdentity;
  startedAt: string;
  /** What had the traffic when it began; null on the first release. */
  from: { slot: string; release: R } | null;
  /** `adopted`: the slot had this release already when it began, so taking it back leaves it running. */
  to: { slot: string; release: R; adopted?: boolean };
  /** The router's targets when it began. */
  before: Target[];
  /** The shares to walk through, ending with 100. */
  weights: number[];
  /** Index of the weight that is in force or being written. */
  step: number;
  phase: Phase;
  keepPrevious: boolean;
  /** Why it is being taken back. */
  reason: Reason | null;
  /** How often a run found it unfinished and went on with it. */
  resumed: number;
  /** In the journal, so that whoever finishes the release can write its entry in the history. */
  facts?: Facts;
  /** One a weight, in the order in which they were reached. */
  verdicts?: Verdict[];
}

const journalKey = 'journal';

export function isSettled(journal: Journal): boolean {
  return journal.phase === 'finished' || journal.phase === 'reverted';
}

/**
 * Whether it is of a workload whose pods are replaced where they are (`deployment/helpdesk`): there is no traffic between slots
 * to move, and no slot of a platform has such a name.
 */
export function isInPlace({ to }: Journal): boolean {
  return to.slot.includes('/');
}

/**
 * An environment has one journal, whatever releases to it: only who began a release can bring it to its end. Throws
 * `unfinished_release` for one that another action has to go on with; `what` is what would be released to.
 */
export function requireOwn(
  journal: Journal | null,
  what: string,
  isOwn: (journal: Journal) => boolean,
): void {
  if (journal === null || isSettled(journal) || isOwn(journal)) return;
  const { to, phase, strategy, run } = journal;
  const action = isInPlace(journal)
    ? `\`${strategy === 'rollback' ? 'rollback' : 'rolling-update'}\` with \`workload: ${to.slot}\``
    : strategy === 'rollback'
      ? '`rollback`'
      : strategy === 'canary'
        ? '`canary`'
        : '`blue-green-switch`';
  throw new DeployError(
    'unfinished_release',
    `The release of ${to.release.version} to ${to.slot} by run ${run.id}, which shares its state with ${what}, is in phase «${phase}».`,
    { remedy: `Run ${action} again: it goes on from there. Then run this.` },
  );
}

function asJournal<R extends Release>(value: unknown, location: string): Journal<R> {
  if (!isRecord(value) || typeof value['phase'] !== 'string' || !isRecord(value['to'])) {
    throw new DeployError('state_corrupt', `The journal in ${location} is not one of this suite.`, {
      remedy: 'Look at the file; move the folder away to begin anew.',
    });
  }
  // Only this module writes the key, and the store refuses other schema versions.
  return value as unknown as Journal<R>;
}

/** Reads without the right to write: for plans, reports and the post step. */
export async function peekJournal<R extends Release>(store: StateStore): Promise<Journal<R> | null> {
  const stored = await store.read(journalKey);
  return stored.value === null ? null : asJournal<R>(stored.value, store.location);
}

export interface JournalWriter<R extends Release> {
  current(): Journal<R> | null;
  /** Conditional on nobody else having written since it was opened or last written. */
  write(journal: Journal<R> | null): Promise<void>;
}

/**
 * Opens the journal for the holder of a lease. An existing one is written anew at once: from then on, the store
 * refuses whatever a deposed holder still tries to record.
 */
export async function openJournal<R extends Release>(
  store: StateStore,
  fence: Fence,
): Promise<JournalWriter<R>> {
  const stored = await store.read(journalKey);
  let version = stored.version;
  let current = stored.value === null ? null : asJournal<R>(stored.value, store.location);
  const write = async (journal: Journal<R> | null) => {
    await fence.check();
    try {
      version = await store.write(journalKey, journal, version);
    } catch (thrown) {
      // Perhaps it was the answer that got lost, not the write.
      const now = await store.read(journalKey).catch(() => undefined);
      if (now === undefined || canonicalJson(now.value) !== canonicalJson(journal)) throw thrown;
      await fence.check();
      version = now.version;
    }
    current = journal;
  };
  if (current !== null && !isSettled(current)) await write(current);
  return { current: () => current, write };
}
