import { randomUUID } from 'node:crypto';
import {
  cancelled,
  type Deadline,
  deadlineIn,
  delayedSignal,
  DeployError,
  formatDuration,
  type Log,
  messageOf,
  type ReasonCode,
  sleep,
} from '@deploy-actions/core';
import { type HistoryEntry, recordInHistory } from './history.ts';
import {
  type Facts,
  isInPlace,
  isSettled,
  type Journal,
  type JournalWriter,
  openJournal,
  type Reason,
  requireOwn,
  type RunIdentity,
  type Strategy,
  type Verdict,
} from './journal.ts';
import type { Lease } from './lease.ts';
import {
  type Effect,
  follows,
  isReady,
  next,
  type RevisionOf,
  revisionsOf,
  type Seen,
  settleWith,
  type Sure,
  takeBack,
  weightOf,
} from './machine.ts';
import { defaultPauses, readPatiently } from './patience.ts';
import type { Fence, Platform, Release, Router, Slots, StateStore, Target, Traffic } from './ports.ts';
import type { ProbeCounts } from './probe.ts';

/** What watching a weight came to. */
export interface Held {
  pass: boolean;
  /** Present when it does not pass. */
  reason?: Reason;
  /** Where figures were judged: kept with the release. */
  verdict?: Omit<Verdict, 'weight'>;
}

export interface DeliveryOptions<R extends Release> {
  platform: Platform<R>;
  router: Router;
  store: StateStore;
  log: Log;
  signal: AbortSignal;
  run: RunIdentity;
  readyTimeout: number;
  verifyTimeout: number;
  drainTimeout: number;
  /** Milliseconds between attempts to read platform and router while reading fails; default: about 8 s in all. */
  readPauses?: readonly number[];
  /** Milliseconds that a cancelled run may still take; default 4 s of the 7.5 s that the runner gives. */
  cancelBudget?: number;
  /** Watches the new version at a weight; aborted by its signal when the run is cancelled. */
  hold(at: HoldPoint<R>, signal: AbortSignal): Promise<Held>;
  /** Asked once, when the release has come to its end: the final counts of the live probe, for the history. */
  probed?(): Promise<ProbeCounts | undefined>;
  /** Told of everything that happens, for the report and the summary. */
  onEvent(event: DeliveryEvent): void;
}

export interface HoldPoint<R extends Release> {
  weight: number;
  last: boolean;
  journal: Journal<R>;
}

export interface DeliveryEvent {
  /** Milliseconds since the delivery began. */
  at: number;
  what: 'phase' | 'traffic' | 'verified' | 'drained' | 'note';
  message: string;
  weights?: Record<string, number>;
}

export interface Wanted<R extends Release> {
  strategy: Strategy;
  release: R;
  weights: number[];
  keepPrevious: boolean;
  /** Kept with the release, in journal and history. */
  facts?: Facts;
}

export interface Delivery<R extends Release> {
  /** Null when nothing had to be done. */
  journal: Journal<R> | null;
  /** An unfinished release of another version that was settled first. */
  settled: Journal<R> | null;
  serving: { slot: string; release: R; weight: number }[];
  drained: boolean;
}

/** Milliseconds between two looks at the router while a version is watched. */
const tendingInterval = 1_000;

const defaultCancelBudget = 4_000;

/** Milliseconds for which what was seen may be acted on; a write of the traffic is conditional on it. */
const freshFor = 250;

/** Milliseconds in which a version that has traffic has to be ready again before it is taken back. */
const hiccup = 5_000;

export function servingOf<R extends Release>(slots: Slots<R>, traffic: Traffic): Delivery<R>['serving'] {
  return traffic.targets.flatMap((target) => {
    const release = slots.find((slot) => slot.name === target.slot)?.release ?? null;
    return target.weight > 0 && release !== null
      ? [{ slot: target.slot, release, weight: target.weight }]
      : [];
  });
}

export function describeTraffic(targets: Target[]): string {
  const shares = targets
    .filter((target) => target.weight > 0)
    .map((target) => `${target.slot} ${target.weight} %`);
  return shares.length === 0 ? 'nothing' : shares.join(', ');
}

/** The slot that a release goes to: one without traffic, best the one that has it already, then an empty one. */
function chooseSlot<R extends Release>(slots: Slots<R>, traffic: Traffic, revision: string): string {
  const rank = (slot: Slots<R>[number]) => (slot.revision === revision ? 0 : slot.release === null ? 1 : 2);
  const [idle] = slots
    .filter((slot) => weightOf(traffic.targets, slot.name) === 0)
    .toSorted((a, b) => rank(a) - rank(b));
  if (idle === undefined) throw splitByHand(traffic);
  return idle.name;
}

function splitByHand(traffic: Traffic): DeployError {
  if (traffic.apart !== undefined) {
    const { words, remedy } = traffic.apart;
    return new DeployError('state_conflict', `What is released as one is on different slots: ${words}.`, {
      remedy,
    });
  }
  return new DeployError('state_conflict', `The traffic is split: ${describeTraffic(traffic.targets)}.`, {
    remedy: 'A split without an unfinished release was made by hand: give one slot 100 % of the traffic.',
  });
}

/** What a delivery would do, from what is: read only, for `dry-run` and for a run that finds nothing to do. */
export async function planDelivery<R extends Release>(
  platform: Platform<R>,
  router: Router,
  wanted: Wanted<R>,
): Promise<{
  slots: Slots<R>;
  traffic: Traffic;
  from: Journal<R>['from'];
  to: string;
  /** It runs there already, without traffic: kept by an earlier release. */
  adopted: boolean;
  unchanged: boolean;
}> {
  const [slots, traffic] = await Promise.all([platform.observe(), router.read()]);
  const revision = revisionsOf(platform)(wanted.release);
  const main = servingOf(slots, traffic).toSorted((a, b) => b.weight - a.weight)[0];
  if (main !== undefined && main.weight !== 100) throw splitByHand(traffic);
  const from = main === undefined ? null : { slot: main.slot, release: main.release };
  const slot = slots.find((candidate) => candidate.name === from?.slot);
  const unchanged =
    slot !== undefined &&
    slot.revision === revision &&
    isReady(slot) &&
    follows(traffic, [
      { slot: slot.name, weight: 100, addresses: slot.instances.map((instance) => instance.address) },
    ]);
  const to = unchanged ? slot.name : chooseSlot(slots, traffic, revision);
  const adopted = slots.some((candidate) => candidate.name === to && candidate.revision === revision);
  return { slots, traffic, from, to, adopted, unchanged };
}

/** Whatever is not explained otherwise after an abort was thrown because of it. */
function reasonOf(thrown: unknown, signal: AbortSignal): Reason {
  return thrown instanceof DeployError
    ? { reasonCode: thrown.reasonCode, message: thrown.message, details: thrown.details }
    : {
        reasonCode: signal.aborted ? 'cancelled' : 'internal',
        message: messageOf(thrown),
        details: [],
      };
}

interface Driver<R extends Release> {
  options: DeliveryOptions<R>;
  fence: Fence;
  journal: JournalWriter<R>;
  /** Aborts when a cancelled run has to be gone: after the run's own signal, by what the way back may take. */
  atLast: AbortSignal;
  event(what: DeliveryEvent['what'], message: string, targets?: Target[]): void;
  drained: boolean;
}

/**
 * Waits for work that cannot be aborted itself no longer than this. What is then still under way is refused by its
 * fence, once the lease is given back.
 */
async function orAbandon<T>(work: Promise<T>, signal: AbortSignal, what: string): Promise<T> {
  let onAbort: (() => void) | undefined;
  const abort = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(cancelled(what));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, abort]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
  }
}

/** Reads platform and router together. */
function look<R extends Release>(
  options: DeliveryOptions<R>,
  signal: AbortSignal,
): Promise<{ slots: Slots<R>; traffic: Traffic }> {
  const { platform, router, log, readPauses } = options;
  return readPatiently(
    async () => {
      const [slots, traffic] = await Promise.all([platform.observe(), router.read()]);
      return { slots, traffic };
    },
    { what: 'what runs and what has the traffic', log, signal, pauses: readPauses },
  );
}

/** What an effect needs to know besides itself. */
interface Step<R extends Release> {
  journal: Journal<R>;
  seen: Seen<R>;
  signal: AbortSignal;
  /** When the readiness that this phase waits for is too late. */
  readyBy: Deadline;
  /** Milliseconds before each further attempt to give the traffic back. */
  pauses: number[];
}

/** What a second look at the traffic does not make better. */
const decided: readonly ReasonCode[] = [
  'cancelled',
  'lock_lost',
  'not_ready',
  'router_rejected',
  'start_failed',
];

/** Waits until the slot is ready, with what is seen meanwhile as progress. */
async function becomeReady<R extends Release>(
  { options }: Driver<R>,
  slot: string,
  deadline: Deadline,
  signal: AbortSignal,
): Promise<void> {
  for await (const readiness of options.platform.ready(slot, deadline, signal)) {
    if (readiness.ready) return;
    options.log.progress({
      what: `waiting until ${slot} is ready`,
      elapsed: deadline.elapsed(),
      remaining: deadline.remaining(),
      detail: readiness.message,
    });
  }
  throw new DeployError('not_ready', `${slot} did not become ready.`);
}

/** Milliseconds that the way back waits for more instances of the old version, while the new one has traffic still. */
const mostToGrowBack = 30_000;

/** Waits for a slot that was grown. On the way back a slot that does not get ready keeps nothing from being given back. */
async function readyToTake<R extends Release>(driver: Driver<R>, step: Step<R>, slot: string): Promise<void> {
  const { log, readyTimeout } = driver.options;
  const isWayBack = step.journal.phase === 'reverting';
  const deadline = isWayBack ? deadlineIn(Math.min(mostToGrowBack, readyTimeout)) : step.readyBy;
  try {
    await becomeReady(driver, slot, deadline, step.signal);
  } catch (thrown) {
    const isLate = thrown instanceof DeployError && ['not_ready', 'start_failed'].includes(thrown.reasonCode);
    if (!isWayBack || !isLate) throw thrown;
    log.warning(
      `Giving the traffic back to fewer instances of ${slot} than it is to have: ${messageOf(thrown)}`,
    );
  }
}

/**
 * Writes the traffic. After an unclear failure it reads back: a write that took effect is not repeated. A write that
 * did not is given up on the way forth; on the way back it is tried again, for nothing else helps the users.
 */
async function shift<R extends Release>(driver: Driver<R>, step: Step<R>, targets: Target[]): Promise<void> {
  const { router, log } = driver.options;
  const before = step.seen.traffic;
  log.info(`Traffic: ${describeTraffic(before.targets)} → ${describeTraffic(targets)}.`);
  try {
    let { version } = before;
    if (router.grow !== undefined) {
      const grown = await router.grow(targets, version, driver.fence);
      for (const slot of grown) await readyToTake(driver, step, slot);
      if (grown.length > 0) ({ version } = (await look(driver.options, step.signal)).traffic);
    }
    await router.apply(targets, version, driver.fence);
  } catch (thrown) {
    const reasonCode = thrown instanceof DeployError ? thrown.reasonCode : undefined;
    if (reasonCode !== undefined && decided.includes(reasonCode)) throw thrown;
    const { traffic } = await look(driver.options, step.signal);
    if (!follows(traffic, targets)) {
      // Only the version moved: the intent holds, and the next look has the new one.
      if (reasonCode === 'state_conflict' && follows(traffic, before.targets)) return;
      const pause = step.journal.phase === 'reverting' ? step.pauses.shift() : undefined;
      if (pause === undefined) throw thrown;
      log.warning(`Trying again to give the traffic back: ${messageOf(thrown)}`);
      await sleep(pause, step.signal, 'giving the traffic back');
      return;
    }
    log.warning(`The router answered with an error, but the traffic is as asked for: ${messageOf(thrown)}`);
  }
  driver.event('traffic', describeTraffic(targets), targets);
}

function unverified<R extends Release>(
  { router, verifyTimeout }: DeliveryOptions<R>,
  traffic: Traffic,
  detail: string,
): DeployError {
  return new DeployError(
    'router_unverified',
    `${router.name} was told ${describeTraffic(traffic.targets)}, but the data plane did not follow within ${formatDuration(verifyTimeout)}: ${detail}`,
    { remedy: 'Look at the router: is it the one that serves, and did it take the new configuration?' },
  );
}

/** Has the router look after itself while nothing is written to it. */
async function tended<R extends Release, T>(
  { router, log }: DeliveryOptions<R>,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  let look: Promise<void> | undefined;
  const timer = setInterval(() => {
    look ??= router
      .revive?.(signal)
      .catch((thrown: unknown) => log.warning(`${router.name} could not be seen to: ${messageOf(thrown)}`))
      .finally(() => (look = undefined));
  }, tendingInterval);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await look;
  }
}

/** Makes one effect so. Returns what is sure from then on. */
async function perform<R extends Release>(
  driver: Driver<R>,
  step: Step<R>,
  effect: Exclude<Effect<R>, { do: 'record' | 'take-back' | 'stop' }>,
): Promise<Sure | undefined> {
  const { options, fence } = driver;
  const { journal, seen, signal } = step;
  switch (effect.do) {
    case 'deploy':
      options.log.info(`Starting ${effect.release.version} in ${effect.slot}.`);
      await options.platform.deploy(effect.slot, effect.release, fence);
      return 'deployed';
    case 'await-ready': {
      // Where pods have traffic only while they are ready, those that are being started are no reason to hurry.
      const isHiccup = effect.serving && options.router.grow === undefined;
      const deadline = isHiccup ? deadlineIn(Math.min(hiccup, options.readyTimeout)) : step.readyBy;
      await becomeReady(driver, effect.slot, deadline, signal);
      return 'ready';
    }
    case 'shift':
      await shift(driver, step, effect.targets);
      return undefined;
    case 'verify': {
      const observed = await options.router.verify(seen.traffic, deadlineIn(options.verifyTimeout), signal);
      if (!observed.matches) throw unverified(options, seen.traffic, observed.detail);
      driver.event('verified', observed.detail);
      return 'verified';
    }
    case 'hold': {
      const at = { weight: effect.weight, last: effect.last, journal };
      const held = await tended(options, signal, () => options.hold(at, signal));
      if (held.verdict !== undefined) {
        // A hold that is done again after a kill replaces what it came to before.
        const others = (journal.verdicts ?? []).filter(({ weight }) => weight !== effect.weight);
        const verdict = { weight: effect.weight, ...held.verdict };
        await driver.journal.write({ ...journal, verdicts: [...others, verdict] });
      }
      if (!held.pass) {
        const reason = held.reason ?? { reasonCode: 'internal', message: 'No reason given.', details: [] };
        throw new DeployError(reason.reasonCode, reason.message, { details: reason.details });
      }
      return 'held';
    }
    case 'drain': {
      const drained = await options.router.drain(effect.slot, deadlineIn(options.drainTimeout), signal);
      driver.drained &&= drained.complete;
      const took = formatDuration(drained.elapsed);
      const count =
        drained.inFlight === null
          ? 'an unknown number of requests'
          : drained.inFlight === 1
            ? '1 request'
            : `${drained.inFlight} requests`;
      if (!drained.complete) {
        options.log.warning(
          `${count} to ${effect.slot} still in flight after ${took}; it is given its own time to finish when it is stopped.`,
        );
      }
      driver.event(
        'drained',
        drained.inFlight === null
          ? `${effect.slot}: given ${took}; ${options.router.name} counts no requests`
          : `${effect.slot}: ${count} left after ${took}`,
      );
      return 'drained';
    }
    case 'join':
      await options.platform.followers?.join?.(effect.slot, step.readyBy, fence, signal);
      return 'joined';
    case 'hand-over': {
      const { followers } = options.platform;
      await followers?.handOver(
        effect.slot,
        effect.isWayBack,
        deadlineIn(options.readyTimeout),
        fence,
        signal,
      );
      return 'handed-over';
    }
    case 'retire':
      options.log.info(`Stopping ${effect.slot}.`);
      await options.platform.retire(effect.slot, fence);
      return undefined;
  }
}

/**
 * More than any release takes, retries included. Beyond it, platform, router and journal do not agree: a slot that
 * never shows what was deployed to it, or somebody who writes against this run.
 */
function mostSteps(journal: Journal): number {
  return 60 + 6 * journal.weights.length;
}

/** Whether it can still be taken back for any reason. */
function isWayForth({ phase }: Journal): boolean {
  return phase === 'starting' || phase === 'shifting' || phase === 'holding';
}

/** Runs the machine until the release is finished or taken back. */
async function drive<R extends Release>(driver: Driver<R>): Promise<Journal<R>> {
  const { options, atLast } = driver;
  const pauses = [...(options.readPauses ?? defaultPauses)];
  let sure = new Set<Sure>();
  let readyBy = deadlineIn(options.readyTimeout);
  /** What was seen before a change of phase or a verification, neither of which changes anything of it. */
  let kept: { slots: Slots<R>; traffic: Traffic; at: number } | undefined;
  for (let steps = 1; ; steps += 1) {
    const journal = driver.journal.current();
    if (journal === null) throw new DeployError('internal', 'The journal vanished.');
    const goingBack = journal.phase === 'reverting' || journal.phase === 'cleaning';
    // The way back is what a cancelled run still has to do.
    const signal = goingBack ? atLast : options.signal;
    let effect: Effect<R>;
    try {
      if (steps > mostSteps(journal)) {
        throw new DeployError(
          'state_conflict',
          `The release does not get on: after ${steps - 1} steps it is in phase «${journal.phase}» still.`,
          { remedy: 'See who else changes this environment, and whether its router and platform are well.' },
        );
      }
      if (kept === undefined || performance.now() - kept.at > freshFor) {
        const at = performance.now();
        kept = { ...(await orAbandon(look(options, signal), atLast, 'looking at what is')), at };
      }
      const { slots, traffic } = kept;
      const seen = {
        slots,
        traffic,
        sure,
        hasFollowers: options.platform.followers !== undefined,
        hasWorkers: options.platform.followers?.join !== undefined,
      };
      effect = next(journal, seen, revisionsOf(options.platform));
      if (effect.do === 'take-back') throw new DeployError(effect.reason.reasonCode, effect.reason.message);
      const mayEnd = effect.do === 'stop' || (effect.do === 'record' && !isWayForth(journal));
      if (signal.aborted && !mayEnd) throw cancelled(`in phase «${journal.phase}»`);
      if (effect.do !== 'stop' && effect.do !== 'record') {
        const work = perform(driver, { journal, seen, signal, readyBy, pauses }, effect);
        const made = await orAbandon(work, atLast, `in phase «${journal.phase}»`);
        // A write is looked at anew.
        if (effect.do === 'shift' || effect.do === 'deploy') sure.delete('verified');
        if (made !== undefined) sure.add(made);
        if (effect.do !== 'verify') kept = undefined;
        continue;
      }
    } catch (thrown) {
      kept = undefined;
      const reason = reasonOf(thrown, signal);
      if (reason.reasonCode === 'lock_lost') throw thrown;
      const current = driver.journal.current() ?? journal;
      const back = takeBack(current, reason);
      if (back === current) throw undecided(current, thrown, reason);
      options.log.info(`${reason.message} Going back.`);
      await driver.journal.write(back);
      driver.event('phase', back.phase);
      sure = new Set();
      readyBy = deadlineIn(options.readyTimeout);
      steps = 0;
      continue;
    }
    if (effect.do === 'stop') return journal;
    const changed = { ...journal, ...effect.changes };
    await driver.journal.write(changed);
    driver.event('phase', changed.phase);
    // What was made sure of the new version's readiness holds on; all else belongs to one phase.
    sure = new Set(sure.has('ready') && changed.phase !== 'reverting' ? ['ready'] : []);
    readyBy = deadlineIn(options.readyTimeout);
  }
}

/** An error where there is no other way to turn: on the way back, or after all traffic had moved. */
function undecided(journal: Journal, thrown: unknown, reason: Reason): DeployError {
  const { version } = journal.to.release;
  const remedy = 'The journal is kept: the post step, or the next run of this action, goes on from here.';
  const options = { remedy, details: reason.details, cause: thrown };
  if (reason.reasonCode === 'cancelled') {
    return new DeployError('cancelled', `The release of ${version}: ${reason.message}`, options);
  }
  if (journal.phase === 'reverting' || journal.phase === 'cleaning') {
    const why = journal.reason === null ? '' : ` It was taken back because: ${journal.reason.message}`;
    return new DeployError(
      'revert_failed',
      `The release of ${version} could not be taken back completely: ${reason.message}${why}`,
      options,
    );
  }
  return new DeployError(
    reason.reasonCode,
    `${version} has all traffic, but the old version could not be put away: ${reason.message}`,
    options,
  );
}

/** What a rollback got away from; a version that was only moved to another slot is not. */
function fledBy<R extends Release>(journal: Journal<R>, revisionOf: RevisionOf<R>): string | null {
  if (journal.strategy !== 'rollback' || journal.phase !== 'finished' || journal.from === null) return null;
  const left = revisionOf(journal.from.release);
  return left === revisionOf(journal.to.release) ? null : left;
}

/** What the history keeps of a release that came to its end. */
export function historyEntry<R extends Release>(
  journal: Journal<R>,
  run: RunIdentity,
  revisionOf: RevisionOf<R>,
  probe: ProbeCounts | null,
): HistoryEntry<R> {
  return {
    id: journal.id,
    release: journal.to.release,
    revision: revisionOf(journal.to.release),
    slot: journal.to.slot,
    strategy: journal.strategy,
    result: journal.phase === 'finished' ? 'serving' : 'taken-back',
    reason: journal.reason?.message ?? null,
    reasonCode: journal.reason?.reasonCode ?? null,
    fled: fledBy(journal, revisionOf),
    previous: journal.from?.release.version ?? null,
    startedAt: journal.startedAt,
    at: new Date().toISOString(),
    run,
    facts: journal.facts ?? {},
    verdicts: journal.verdicts ?? [],
    probe,
  };
}

/**
 * Brings a release to one of the two good states: the new version has all traffic, or the old one has. An unfinished
 * release that is found is gone on with when it is the same, and settled first when it is another. `wanted` null
 * settles only.
 *
 * Throws `cancelled` and, when it cannot be taken back, `revert_failed`, both with the journal kept for the next run;
 * `lock_lost` when another run took over; `unfinished_release` where a workload was left half rolled out; `state_conflict` for
 * a split that no release made; `router_unverified` when the version serves already but the data plane says otherwise.
 */
export async function deliver<R extends Release>(
  lease: Lease,
  wanted: Wanted<R> | null,
  options: DeliveryOptions<R>,
): Promise<Delivery<R>> {
  const atLast = delayedSignal(options.signal, options.cancelBudget ?? defaultCancelBudget);
  try {
    return await deliverWithin(lease, wanted, options, atLast.signal);
  } finally {
    atLast.clear();
  }
}

async function deliverWithin<R extends Release>(
  lease: Lease,
  wanted: Wanted<R> | null,
  options: DeliveryOptions<R>,
  atLast: AbortSignal,
): Promise<Delivery<R>> {
  const { store, router, platform, run } = options;
  const start = performance.now();
  const { fence } = lease;
  const revisionOf = revisionsOf(platform);
  const journal = await openJournal<R>(store, fence);
  requireOwn(journal.current(), 'this release', (one) => !isInPlace(one));
  // Not before the journal has been written: where that cannot be, nothing is touched. What is seen after it counts.
  let claimed: Promise<void> | undefined;
  const claim = () => (claimed ??= router.claim?.(fence) ?? Promise.resolve());
  const driver: Driver<R> = {
    options,
    fence,
    journal,
    atLast,
    drained: true,
    event: (what, message, targets) =>
      options.onEvent({
        at: performance.now() - start,
        what,
        message,
        ...(targets === undefined
          ? {}
          : { weights: Object.fromEntries(targets.map(({ slot, weight }) => [slot, weight])) }),
      }),
  };
  const remember = async (ended: Journal<R>, by: RunIdentity, probe: ProbeCounts | null = null) => {
    try {
      await recordInHistory(store, fence, historyEntry(ended, by, revisionOf, probe));
    } catch (thrown) {
      if (thrown instanceof DeployError && thrown.reasonCode === 'lock_lost') throw thrown;
      // The release itself has come to its end; the next run makes up for the entry.
      options.log.warning(`The history could not be written: ${messageOf(thrown)}`);
    }
  };
  const finish = async (ended: Journal<R> | null, settled: Journal<R> | null): Promise<Delivery<R>> => {
    if (ended !== null) await remember(ended, run, (await options.probed?.()) ?? null);
    const { slots, traffic } = await orAbandon(look(options, atLast), atLast, 'looking at what serves');
    return { journal: ended, settled, serving: servingOf(slots, traffic), drained: driver.drained };
  };

  const revision = wanted === null ? null : revisionOf(wanted.release);
  let settled: Journal<R> | null = null;
  let recorded: Promise<void> | undefined;
  const found = journal.current();
  if (found !== null && !isSettled(found)) {
    // From here on it is this run's to finish, and its post step's.
    // The same release may have been asked for with more to know of it; what it began with holds.
    const isSame = revisionOf(found.to.release) === revision;
    const facts = { ...(isSame ? wanted?.facts : undefined), ...found.facts };
    const goOn = { ...settleWith(found, revision, revisionOf), run, facts };
    driver.event('note', `Found ${found.to.release.version} unfinished (${found.phase}).`);
    options.log.warning(
      `Found the release of ${found.to.release.version} unfinished in phase «${found.phase}»; ${goOn.phase === found.phase ? 'going on from there' : `now ${goOn.phase}`}.`,
    );
    await journal.write(goOn);
    await claim();
    const ended = await drive(driver);
    const wasGoingBack = goOn.phase === 'reverting' || goOn.phase === 'cleaning';
    // One that was being taken back is released anew, as it would be had that come to its end.
    if (revision === null || (revisionOf(ended.to.release) === revision && !wasGoingBack)) {
      return finish(ended, null);
    }
    await remember(ended, run);
    settled = ended;
  } else if (found !== null) {
    // A run that was killed between the end of its release and this entry. Nothing is planned by the history.
    recorded = remember(found, found.run);
    recorded.catch(() => {}); // told below, where it is waited for
  }
  if (wanted === null || options.signal.aborted) await recorded;
  if (wanted === null) return finish(null, settled);

  if (options.signal.aborted) throw cancelled('before the release began');
  let plan: Awaited<ReturnType<typeof planDelivery<R>>>;
  try {
    plan = await readPatiently(() => planDelivery(platform, router, wanted), {
      what: 'what runs and what has the traffic',
      log: options.log,
      signal: options.signal,
      pauses: options.readPauses,
    });
  } finally {
    await recorded;
  }
  if (plan.unchanged) {
    await claim();
    const observed = await router.verify(plan.traffic, deadlineIn(options.verifyTimeout), options.signal);
    if (!observed.matches) throw unverified(options, plan.traffic, observed.detail);
    return finish(null, settled);
  }
  await platform.check?.(plan.to, wanted.release);
  // Without an old version there is nothing to share traffic with.
  const weights = plan.from === null ? [100] : wanted.weights;
  await router.check?.(weights);
  const before = journal.current();
  await journal.write({
    id: randomUUID(),
    strategy: wanted.strategy,
    run,
    startedAt: new Date().toISOString(),
    from: plan.from,
    to: { slot: plan.to, release: wanted.release, adopted: plan.adopted },
    before: plan.traffic.targets,
    weights,
    step: 0,
    phase: 'starting',
    keepPrevious: wanted.keepPrevious,
    reason: null,
    resumed: 0,
    facts: wanted.facts ?? {},
    verdicts: [],
  });
  try {
    await claim();
  } catch (thrown) {
    // Nothing was begun: the journal says again what it said before. Where it cannot, the next run settles it.
    await journal.write(before).catch(() => undefined);
    throw thrown;
  }
  driver.event('phase', 'starting');
  return finish(await drive(driver), settled);
}
