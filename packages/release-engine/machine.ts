import { digestOf, type ReasonCode } from '@deploy-actions/core';
import type { Journal, Phase, Reason } from './journal.ts';
import type { Platform, Release, Slot, Slots, Target, Traffic } from './ports.ts';

/** A fact that cannot be read from the outside. */
export type Sure = 'deployed' | 'ready' | 'joined' | 'verified' | 'held' | 'drained' | 'handed-over';

/** What is so right now: observed from platform and router, and what this run has already made sure of. */
export interface Seen<R extends Release = Release> {
  slots: Slots<R>;
  traffic: Traffic;
  /** Forgotten at each change of phase and after a kill. */
  sure: ReadonlySet<Sure>;
  /** The platform has workers or schedulers that go where the traffic goes. */
  hasFollowers?: boolean;
  /** Some of them are to work beside the old ones before the traffic moves. */
  hasWorkers?: boolean;
}

/** The one next thing to do. */
export type Effect<R extends Release = Release> =
  | { do: 'deploy'; slot: string; release: R }
  /** `serving`: it has traffic already, so it gets no more time than a hiccup takes. */
  | { do: 'await-ready'; slot: string; serving: boolean }
  | { do: 'shift'; targets: Target[] }
  | { do: 'verify' }
  | { do: 'hold'; weight: number; last: boolean }
  | { do: 'drain'; slot: string }
  /** Workers of the slot begin to work beside the others. */
  | { do: 'join'; slot: string }
  /** Workers and schedulers of the slot are the only ones from then on. */
  | { do: 'hand-over'; slot: string; isWayBack: boolean }
  | { do: 'retire'; slot: string }
  /** Write the journal with these changes, then go on. */
  | { do: 'record'; changes: Partial<Pick<Journal<R>, 'phase' | 'step'>> }
  /** Somebody else undid what the release rests on. */
  | { do: 'take-back'; reason: Reason }
  | { do: 'stop' };

function slotOf<R extends Release>(slots: Slots<R>, name: string): Slot<R> | undefined {
  return slots.find((slot) => slot.name === name);
}

export function isReady(slot: Slot | undefined): boolean {
  return slot !== undefined && slot.wanted > 0 && slot.ready >= slot.wanted;
}

export function weightOf(targets: Target[], slot: string): number {
  return targets.find((target) => target.slot === slot)?.weight ?? 0;
}

/** The targets that get traffic, in one order; `detail` is what is compared of each beside its slot and weight. */
function shares(targets: Target[], detail: (target: Target) => string): string {
  return targets
    .filter((target) => target.weight > 0)
    .map((target) => `${target.slot}=${target.weight}@${detail(target)}`)
    .toSorted()
    .join(' ');
}

/** What tells releases apart on a platform. */
export type RevisionOf<R extends Release> = (release: R) => string;

export function revisionsOf<R extends Release>(platform: Platform<R>): RevisionOf<R> {
  return (release) => platform.revisionOf?.(release) ?? digestOf(release);
}

export function sameTargets(a: Target[], b: Target[]): boolean {
  const addresses = (target: Target) => target.addresses.toSorted().join(',');
  return shares(a, addresses) === shares(b, addresses);
}

function sameWeights(a: Target[], b: Target[]): boolean {
  return shares(a, () => '') === shares(b, () => '');
}

function target(slots: Slots, name: string, weight: number): Target {
  const instances = slotOf(slots, name)?.instances ?? [];
  return { slot: name, weight, addresses: instances.map((instance) => instance.address) };
}

/** Whether the traffic is what these targets say, as far as the router can tell. */
export function follows(traffic: Traffic, targets: Target[]): boolean {
  return traffic.bySlot === true
    ? sameWeights(traffic.targets, targets)
    : sameTargets(traffic.targets, targets);
}

/** The targets that give the new version `weight` percent and the old one the rest. */
export function targetsAt<R extends Release>(journal: Journal<R>, slots: Slots<R>, weight: number): Target[] {
  const { from, to } = journal;
  const targets = [target(slots, to.slot, weight)];
  if (from !== null) targets.push(target(slots, from.slot, 100 - weight));
  return targets;
}

function record(phase: Phase, step?: number): Effect<never> {
  return { do: 'record', changes: step === undefined ? { phase } : { phase, step } };
}

function takeBackFor(reasonCode: ReasonCode, message: string): Effect<never> {
  return { do: 'take-back', reason: { reasonCode, message, details: [] } };
}

/** Whether the slot holds the release that the journal names, well or not. */
function holds<R extends Release>(slot: Slot<R> | undefined, release: R, revisionOf: RevisionOf<R>): boolean {
  return slot !== undefined && slot.release !== null && slot.revision === revisionOf(release);
}

/** Whether it holds the release, or a part of it. */
function isInside<R extends Release>(
  slot: Slot<R> | undefined,
  release: R,
  revisionOf: RevisionOf<R>,
): boolean {
  return holds(slot, release, revisionOf) || slot?.begun?.includes(revisionOf(release)) === true;
}

interface Place<R extends Release> {
  slot: string;
  release: R;
}

/** Nothing to do when the place is ready. Deploying where it is not well starts again what died or never started. */
function bringUp<R extends Release>(
  place: Place<R>,
  seen: Seen<R>,
  revisionOf: RevisionOf<R>,
): Effect<R> | undefined {
  const slot = slotOf(seen.slots, place.slot);
  const there = holds(slot, place.release, revisionOf);
  if (there && isReady(slot) && seen.sure.has('ready')) return undefined;
  return there && (isReady(slot) || seen.sure.has('deployed'))
    ? { do: 'await-ready', slot: place.slot, serving: false }
    : { do: 'deploy', slot: place.slot, release: place.release };
}

/**
 * What it takes for the new version to be given traffic, or to keep it. With traffic it is not repaired but taken
 * back: the old version is there, and users wait. A first release has nothing to go back to.
 */
function bringUpNew<R extends Release>(
  journal: Journal<R>,
  seen: Seen<R>,
  revisionOf: RevisionOf<R>,
): Effect<R> | undefined {
  const { from, to } = journal;
  if (from === null || weightOf(seen.traffic.targets, to.slot) === 0) return bringUp(to, seen, revisionOf);
  const slot = slotOf(seen.slots, to.slot);
  if (!holds(slot, to.release, revisionOf)) {
    return takeBackFor('unhealthy', `${to.release.version} is not in ${to.slot} any more.`);
  }
  return isReady(slot) && seen.sure.has('ready')
    ? undefined
    : { do: 'await-ready', slot: to.slot, serving: true };
}

function changedByHand<R extends Release>(journal: Journal<R>): Effect<R> {
  return takeBackFor(
    'state_conflict',
    `Somebody else changed the traffic while ${journal.to.release.version} was being released.`,
  );
}

/** In phases in which the new version has all traffic: what to do when that is not so any more. */
function keepAllTraffic<R extends Release>(
  journal: Journal<R>,
  seen: Seen<R>,
  revisionOf: RevisionOf<R>,
): Effect<R> | undefined {
  const { from, to, weights } = journal;
  const { targets } = seen.traffic;
  if (from !== null && weightOf(targets, from.slot) > 0) return changedByHand(journal);
  if (weightOf(targets, to.slot) !== 100) return record('shifting', Math.max(0, weights.length - 1));
  return bringUpNew(journal, seen, revisionOf);
}

/**
 * New workers work beside the old ones before the new version gets traffic, so that nothing waits for them. On a rollback
 * users wait: the traffic goes first, and workers follow.
 */
function joined<R extends Release>({ strategy, to }: Journal<R>, seen: Seen<R>): Effect<R> | undefined {
  const isAsked = seen.hasWorkers === true && strategy !== 'rollback' && !seen.sure.has('joined');
  return isAsked ? { do: 'join', slot: to.slot } : undefined;
}

function handedOver<R extends Release>(
  slot: string,
  isWayBack: boolean,
  seen: Seen<R>,
): Effect<R> | undefined {
  const isAsked = seen.hasFollowers === true && !seen.sure.has('handed-over');
  return isAsked ? { do: 'hand-over', slot, isWayBack } : undefined;
}

/**
 * The state machine of a release: what to do next, given the journal and what is seen. Pure. Every effect is
 * idempotent, so that the answer for a state seen after a kill is the same as it would have been before.
 */
export function next<R extends Release>(
  journal: Journal<R>,
  seen: Seen<R>,
  revisionOf: RevisionOf<R> = digestOf,
): Effect<R> {
  const { from, to } = journal;
  const { slots, sure } = seen;
  const { targets: now } = seen.traffic;
  // Without an old version there is nothing to share traffic with.
  const weight = (from === null ? undefined : journal.weights[journal.step]) ?? 100;
  const last = from === null || journal.step >= journal.weights.length - 1;
  switch (journal.phase) {
    case 'starting':
      return bringUp(to, seen, revisionOf) ?? joined(journal, seen) ?? record('shifting', 0);
    case 'shifting': {
      const missing = bringUpNew(journal, seen, revisionOf);
      if (missing !== undefined) return missing;
      const targets = targetsAt(journal, slots, weight);
      if (targets.some((share) => share.weight > 0 && share.addresses.length === 0)) {
        return takeBackFor('unhealthy', `${from?.release.version} is not in ${from?.slot} any more.`);
      }
      if (!follows(seen.traffic, targets)) return { do: 'shift', targets };
      return sure.has('verified') ? record('holding') : { do: 'verify' };
    }
    case 'holding':
      if (!sameWeights(now, targetsAt(journal, slots, weight))) return changedByHand(journal);
      if (!sure.has('held')) return { do: 'hold', weight, last };
      return last ? record('draining') : record('shifting', journal.step + 1);
    case 'draining': {
      const missing = keepAllTraffic(journal, seen, revisionOf);
      if (missing !== undefined) return missing;
      if (from !== null && !sure.has('drained')) return { do: 'drain', slot: from.slot };
      const following = handedOver(to.slot, journal.strategy === 'rollback', seen);
      if (following !== undefined) return following;
      if (from === null) return record('finished');
      return record(journal.keepPrevious ? 'finished' : 'retiring');
    }
    case 'retiring': {
      // The old version is the way back until it is stopped, so the new one is looked at once more.
      const missing = keepAllTraffic(journal, seen, revisionOf);
      if (missing !== undefined) return missing;
      return from !== null && holds(slotOf(slots, from.slot), from.release, revisionOf)
        ? { do: 'retire', slot: from.slot }
        : record('finished');
    }
    case 'reverting': {
      if (from === null) return record('cleaning');
      const missing = bringUp(from, seen, revisionOf);
      if (missing !== undefined) return missing;
      const targets = targetsAt(journal, slots, 0);
      if (!follows(seen.traffic, targets)) return { do: 'shift', targets };
      if (!sure.has('verified')) return { do: 'verify' };
      return sure.has('drained') ? record('cleaning') : { do: 'drain', slot: to.slot };
    }
    case 'cleaning':
      if (from !== null && weightOf(now, from.slot) !== 100) return record('reverting');
      // A first release that took traffic has nothing to give it back to: it stays, and the report says so.
      if (weightOf(now, to.slot) > 0) return record('reverted');
      if (from !== null) {
        const following = handedOver(from.slot, true, seen);
        if (following !== undefined) return following;
      }
      // What ran there before goes on running, and so does whatever else is in the slot.
      return isInside(slotOf(slots, to.slot), to.release, revisionOf) && to.adopted !== true
        ? { do: 'retire', slot: to.slot }
        : record('reverted');
    case 'finished':
    case 'reverted':
      return { do: 'stop' };
  }
}

/** Reasons to leave the new version even when it had all traffic already. */
const leavesNewVersion: readonly ReasonCode[] = ['start_failed', 'not_ready', 'unhealthy', 'state_conflict'];

/** The journal after something failed: the way back, as short as what was done allows. Itself: there is none. */
export function takeBack<R extends Release>(journal: Journal<R>, reason: Reason): Journal<R> {
  switch (journal.phase) {
    case 'starting':
      return { ...journal, phase: 'cleaning', reason };
    case 'shifting':
    case 'holding':
      return { ...journal, phase: 'reverting', reason };
    case 'draining':
    case 'retiring':
      return leavesNewVersion.includes(reason.reasonCode)
        ? { ...journal, phase: 'reverting', reason }
        : journal;
    default:
      return journal;
  }
}

/**
 * What a run does with an unfinished release that it finds. The same release goes on where it stood; one that already
 * has all traffic is finished, unless its old version is what is wanted now; any other is taken back first.
 */
export function settleWith<R extends Release>(
  journal: Journal<R>,
  wantedRevision: string | null,
  revisionOf: RevisionOf<R> = digestOf,
): Journal<R> {
  const resumed = { ...journal, resumed: journal.resumed + 1 };
  if (wantedRevision !== null && revisionOf(journal.to.release) === wantedRevision) return resumed;
  const reason: Reason = {
    reasonCode: 'unfinished_release',
    message: `The release of ${journal.to.release.version} was not finished by ${journal.run.url || `run ${journal.run.id}`}.`,
    details: [],
  };
  const hasAllTraffic = journal.phase === 'draining' || journal.phase === 'retiring';
  const oldIsWanted = journal.from !== null && revisionOf(journal.from.release) === wantedRevision;
  return hasAllTraffic && oldIsWanted
    ? { ...resumed, phase: 'reverting', reason }
    : takeBack(resumed, reason);
}
