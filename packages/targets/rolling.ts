import { randomUUID } from 'node:crypto';
import {
  type Context,
  type DeploymentProgress,
  escapeMarkdown,
  type Outcome,
} from '@deploy-actions/action-kit';
import {
  cancelled,
  deadlineIn,
  delayedSignal,
  DeployError,
  formatDuration,
  messageOf,
} from '@deploy-actions/core';
import {
  describeChange,
  type FieldChange,
  fieldChanges,
  type KubernetesClient,
  type Workload,
} from '@deploy-actions/kubernetes';
import { asFacts, type ReleaseFacts, requireNotFrozen } from '@deploy-actions/ledger';
import {
  canHandOver,
  createRollout,
  describeWorkload,
  drained,
  held,
  isAbrupt,
  type KubernetesRelease,
  kubernetesRevision,
  knowsSleep,
  lossOfRunningPods,
  parseWorkload,
  type PodRevision,
  requireRolling,
  type Rollout,
  unheld,
  type WaitOptions,
  withImages,
  withTemplate,
  type WorkloadName,
} from '@deploy-actions/platforms';
import {
  type DeliveryEvent,
  historyEntry,
  isSettled,
  type Journal,
  type JournalWriter,
  type Lease,
  openJournal,
  peekJournal,
  type Probe,
  type ProbeCounts,
  readHistory,
  type Reason,
  recordInHistory,
  requireOwn,
  type RunIdentity,
  startProbe,
} from '@deploy-actions/release-engine';
import { connectKubernetes } from './connect-kubernetes.ts';
import { factsOf, passFreeze, summarizeEvents, summarizeProbe } from './delivery.ts';
import type { DeliveryInputs, LedgerInputs, TargetInputs } from './inputs.ts';
import {
  type KubernetesReleaseInputs,
  type KubernetesTargetInputs,
  textOfImage,
} from './kubernetes-inputs.ts';
import { stateIn } from './open-kubernetes.ts';
import { refuseLeftByOthers, runIdentity, withLease } from './open.ts';
import type { deliveryOutputs } from './outputs.ts';
import { openState, type State } from './state.ts';
import { deploymentPlan, tracked, trackedAfter, type TrackedInputs } from './tracked.ts';

type RollingOutcome = Outcome<typeof deliveryOutputs>;

/** A release of a workload, and the ReplicaSet or ControllerRevision that keeps its pod template, when it is known. */
export interface RollingRelease extends KubernetesRelease {
  template: string | null;
}

type RollingJournal = Journal<RollingRelease>;

/** A workload, opened. */
export interface RollingTarget extends State {
  /** `Deployment helpdesk in namespace production`, for messages. */
  label: string;
  workload: WorkloadName;
  client: KubernetesClient;
  rollout: Rollout;
  run: RunIdentity;
}

export type OpenWorkloadInputs = Pick<TargetInputs, 'app' | 'environment' | 'state'> &
  Partial<Pick<KubernetesTargetInputs, 'namespace' | 'kubeconfig' | 'context'>> &
  Partial<Pick<KubernetesReleaseInputs, 'image' | 'container'>> &
  TrackedInputs;

/**
 * Opens a workload without changing anything. State is kept in its namespace, by application and environment, or by
 * the workload where no environment is named.
 */
export async function openWorkload(
  name: string,
  inputs: OpenWorkloadInputs,
  context: Context,
): Promise<RollingTarget> {
  const workload = parseWorkload(name);
  if (workload === undefined) {
    throw new DeployError('invalid_input', `workload: "${name}" is no workload.`, {
      remedy: 'Give a kind and a name, such as deployment/helpdesk.',
    });
  }
  const client = await connectKubernetes(inputs, context);
  const { image } = inputs;
  const state =
    inputs.state === 'platform'
      ? stateIn(client, inputs, workload)
      : await openState({ ...inputs, 'state-directory': undefined }, context);
  return {
    label: `${describeWorkload(workload)} in namespace ${client.namespace}`,
    workload,
    client,
    rollout: createRollout({
      client,
      workload,
      scope:
        image === undefined
          ? undefined
          : { images: image.map(textOfImage), container: inputs.container ?? null },
      log: context.log,
    }),
    ...state,
    run: runIdentity(context),
  };
}

/** What a rolling update reads of the inputs of the action. */
export type RollingRequestInputs = TrackedInputs &
  LedgerInputs &
  Pick<
    DeliveryInputs,
    'ready-timeout' | 'lock-timeout' | 'probe-url' | 'probe-rate' | 'environment-url' | 'dry-run'
  >;

export interface RollingRequest {
  target: RollingTarget;
  inputs: RollingRequestInputs;
  strategy: 'rolling' | 'rollback';
  release: KubernetesRelease;
  /** The kept pod template that is gone back to; null: the images of the release are put into the present one. */
  template: PodRevision | null;
  /** Seconds. */
  drain: number;
  /** Milliseconds for which all pods have to stay ready. */
  watch: number;
  onFailure: 'rollback' | 'leave';
  /** What the ledger has of the version already. */
  known?: Pick<ReleaseFacts, 'sha' | 'images'> | undefined;
}

/** What the request makes of the workload, and what there is to say about it. Refuses what cannot be rolled out. */
async function decider({
  target,
  release,
  template,
  drain,
}: RollingRequest): Promise<(workload: Workload) => { workload: Workload; notes: string[] }> {
  const { workload: what, client } = target;
  const nativeSleep = drain > 0 && template === null ? knowsSleep(await client.version()) : true;
  return (workload) => {
    requireRolling(workload, what);
    const decided =
      template === null
        ? drained(withImages(workload, what, release), what, { seconds: drain, nativeSleep })
        : { workload: withTemplate(workload, template.template, release), notes: [] };
    const loss = drain > 0 ? lossOfRunningPods(workload, what) : undefined;
    const isLost = loss !== undefined && changesOf(workload, decided.workload).length > 0;
    return isLost ? { ...decided, notes: [...decided.notes, loss] } : decided;
  };
}

/** Whether the pods that run now would be stopped abruptly, and can be handed over instead. */
function needsHandOver({ target, drain }: RollingRequest, now: Workload): boolean {
  return drain > 0 && canHandOver(now, target.workload) && isAbrupt(now.spec.template);
}

/** Whether anything but the note of whose release it is would be another. */
function changesOf(from: Workload, to: Workload): FieldChange[] {
  return fieldChanges(from, to).filter(({ path }) => !path.startsWith('metadata.'));
}

/** Environment variables may be secret. */
function shown(change: FieldChange): string {
  return /\.env(?:\[|$|\.)/.test(change.path) ? `${change.path}: changed` : describeChange(change);
}

/** The one slot that there is. */
export const slotOf = ({ workload }: RollingTarget): string => `${workload.kind}/${workload.name}`;

function outputsOf(
  target: RollingTarget,
  serving: string | undefined,
  previous: string | undefined,
  probe?: ProbeCounts,
): RollingOutcome['outputs'] {
  return {
    version: serving,
    slot: slotOf(target),
    'previous-version': previous,
    'rejected-version': undefined,
    'requests-sent': probe?.sent,
    'requests-lost': probe?.lost,
  };
}

async function plan(context: Context, request: RollingRequest): Promise<RollingOutcome> {
  const { target, release, watch } = request;
  const [decide, unfinished, now] = await Promise.all([
    decider(request),
    peekJournal<RollingRelease>(target.store),
    target.rollout.read(),
  ]);
  const { workload, notes } = decide(now);
  const changes = changesOf(now, workload);
  const serving = target.rollout.releaseOf(now);
  const steps: string[] = [];
  if (unfinished !== null && !isSettled(unfinished)) {
    steps.push(`settle the unfinished release of ${unfinished.to.release.version}`);
  }
  if (changes.length > 0) {
    steps.push(
      `write ${changes.length} ${changes.length === 1 ? 'field' : 'fields'} of ${target.label} at once`,
      `wait until all its pods are of ${release.version} and ready${watch > 0 ? `, and have been for ${formatDuration(watch)}` : ''}`,
    );
  }
  const { summary, log } = context;
  summary.paragraph(`**Now:** ${escapeMarkdown(target.label)} is ${escapeMarkdown(serving.version)}.`);
  if (changes.length > 0) {
    summary.table(
      ['Field', 'Change'],
      changes.map((change) => {
        const [path = '', ...rest] = shown(change).split(': ');
        return [escapeMarkdown(path), escapeMarkdown(rest.join(': '))];
      }),
    );
  }
  summary.list([...notes, ...steps, ...(changes.length === 0 ? ['nothing to do'] : [])].map(escapeMarkdown));
  for (const note of notes) log.info(note);
  for (const change of changes) log.info(`  ${shown(change)}`);
  return {
    result: 'planned',
    reasonCode: 'dry_run',
    message:
      changes.length === 0
        ? `${target.label} is ${release.version} already; there is nothing to do.`
        : `The plan to release ${release.version} to ${target.label} changes ${changes.length} fields; nothing was written.`,
    outputs: outputsOf(target, serving.version, serving.version),
    report: { plan: steps, notes, changes: changes.map(shown) },
  };
}

/** Releases, or plans to: from the lease to the summary, with a deployment on GitHub that says how far it is. */
export async function runRolling(context: Context, request: RollingRequest): Promise<RollingOutcome> {
  const { target, inputs, release, strategy, known } = request;
  if (inputs['break-freeze'] === undefined) await requireNotFrozen(target.store, target.label);
  // Before anything is written, and again under the lease.
  await refuseLeftByOthers(target, isOwnOf(target));
  if (inputs['dry-run']) return plan(context, request);
  const planned = deploymentPlan(inputs, { version: release.version, strategy, known });
  return tracked(context, inputs, planned, (progress) => roll(context, target, inputs, request, progress));
}

/** What one run at a workload has in its hands. */
interface Work {
  context: Context;
  target: RollingTarget;
  lease: Lease;
  journal: JournalWriter<RollingRelease>;
  readyTimeout: number;
  /** Aborts when a cancelled run has to be gone. */
  atLast: AbortSignal;
  event(what: DeliveryEvent['what'], message: string): void;
  probed(): Promise<ProbeCounts | undefined>;
}

/** Milliseconds that a cancelled run may still take, of the 7.5 s that the runner gives. */
const cancelBudget = 4_000;

async function record(work: Work): Promise<void> {
  const { target, lease, journal } = work;
  const current = journal.current();
  if (current === null) return;
  const probe = (await work.probed()) ?? null;
  const entry = historyEntry(current, target.run, kubernetesRevision, probe);
  await recordInHistory(target.store, lease.fence, entry);
}

async function waitUntilReady(work: Work, signal: AbortSignal, how: WaitOptions): Promise<void> {
  const { target, context, readyTimeout } = work;
  const deadline = deadlineIn(readyTimeout);
  for await (const { ready, message } of target.rollout.wait(deadline, signal, how)) {
    if (ready) {
      work.event('note', message);
      return;
    }
    context.log.progress({
      what: `rolling out ${describeWorkload(target.workload)}`,
      elapsed: deadline.elapsed(),
      remaining: deadline.remaining(),
      detail: message,
    });
  }
}

function reasonOf(thrown: unknown): Reason {
  return thrown instanceof DeployError
    ? { reasonCode: thrown.reasonCode, message: thrown.message, details: thrown.details }
    : { reasonCode: 'internal', message: messageOf(thrown), details: [] };
}

const isLost = (thrown: unknown) => thrown instanceof DeployError && thrown.reasonCode === 'lock_lost';

async function write(work: Work, journal: RollingJournal): Promise<RollingJournal> {
  await work.journal.write(journal);
  work.event('phase', journal.phase);
  return journal;
}

async function revisionsNow({ rollout }: RollingTarget): Promise<PodRevision[]> {
  return rollout.revisions(await rollout.read());
}

/** The new template is everywhere: the release is finished. */
async function finish(work: Work, journal: RollingJournal): Promise<RollingJournal> {
  const { rollout } = work.target;
  await rollout.change(unheld, work.lease.fence);
  await rollout.stopLeaving(work.lease.fence);
  const template = (await revisionsNow(work.target)).find(({ isCurrent }) => isCurrent)?.name ?? null;
  const { to } = journal;
  const finished = await write(work, {
    ...journal,
    to: { ...to, release: { ...to.release, template } },
    phase: 'finished',
  });
  await record(work);
  return finished;
}

/**
 * The way back: the pod template that was there before, from the ReplicaSet or ControllerRevision that keeps it, else
 * its images. What somebody else rolled out meanwhile is left alone.
 */
async function goBack(work: Work, journal: RollingJournal): Promise<RollingJournal> {
  const { target, context, lease, atLast } = work;
  const { rollout, workload: what } = target;
  const { from, to } = journal;
  const signal = context.signal.aborted ? atLast : new AbortController().signal;
  try {
    let overtaken = false;
    const kept = (await revisionsNow(target)).find(({ name }) => name === from?.release.template);
    if (from !== null) {
      const changes = await rollout.change((workload) => {
        const now = kubernetesRevision(rollout.releaseOf(workload));
        overtaken = ![from, to].some(({ release }) => kubernetesRevision(release) === now);
        if (overtaken) return unheld(workload);
        return unheld(
          kept === undefined
            ? withImages(workload, what, from.release)
            : withTemplate(workload, kept.template, from.release),
        );
      }, lease.fence);
      for (const change of changes) context.log.info(shown(change));
    }
    if (overtaken) {
      context.log.warning(`${target.label} was changed by somebody else meanwhile; that is left as it is.`);
    } else {
      await waitUntilReady(work, signal, { unstick: lease.fence });
    }
    await rollout.stopLeaving(lease.fence);
    const reverted = await write(work, { ...journal, phase: 'reverted' });
    await record(work);
    return reverted;
  } catch (thrown) {
    if (isLost(thrown)) throw thrown;
    const { reasonCode, message, details } = reasonOf(thrown);
    const why = journal.reason === null ? '' : ` It was taken back because: ${journal.reason.message}`;
    throw new DeployError(
      reasonCode === 'cancelled' ? 'cancelled' : 'revert_failed',
      `The release of ${to.release.version} could not be taken back completely: ${message}${why}`,
      {
        remedy: 'The journal is kept: the post step, or the next run of this action, goes on from here.',
        details,
        cause: thrown,
      },
    );
  }
}

async function takeBack(work: Work, journal: RollingJournal, reason: Reason): Promise<RollingJournal> {
  work.context.log.info(`${reason.message} Going back.`);
  return goBack(work, await write(work, { ...journal, phase: 'reverting', reason }));
}

/** An environment may have several workloads, or another strategy. */
const isOwnOf =
  (target: RollingTarget) =>
  ({ to }: Journal): boolean =>
    to.slot === slotOf(target);

/** Brings an unfinished release of an earlier run to one of the two good states. */
async function settle(work: Work): Promise<RollingJournal | null> {
  const journal = work.journal.current();
  if (journal === null) return null;
  requireOwn(journal, work.target.label, isOwnOf(work.target));
  if (isSettled(journal)) {
    // It may have died before its entry in the history.
    if (journal.to.slot === slotOf(work.target)) await record(work);
    return null;
  }
  const resumed = { ...journal, resumed: journal.resumed + 1 };
  work.context.log.warning(
    `The release of ${journal.to.release.version} was left in phase «${journal.phase}»; settling it.`,
  );
  if (journal.phase === 'reverting') return goBack(work, resumed);
  const { rollout } = work.target;
  const now = kubernetesRevision(rollout.releaseOf(await rollout.read()));
  if (now === kubernetesRevision(journal.to.release) && (await rollout.isDone()))
    return finish(work, resumed);
  return takeBack(work, resumed, {
    reasonCode: 'unfinished_release',
    message: `The run that released ${journal.to.release.version} ended before all its pods were ready.`,
    details: [],
  });
}

/** Writes the new template and waits until it is everywhere; back, when it does not get there. */
async function forth(
  work: Work,
  journal: RollingJournal,
  request: RollingRequest,
  decide: (workload: Workload) => { workload: Workload; notes: string[] },
): Promise<RollingJournal> {
  const { context, target, lease } = work;
  try {
    let isHeld = false;
    const changes = await target.rollout.change((workload) => {
      const wanted = decide(workload).workload;
      // On the second try of a run that was killed, the hold is on already.
      isHeld = unheld(workload) !== workload || needsHandOver(request, workload);
      return isHeld && changesOf(workload, wanted).length + Number(unheld(workload) !== workload) > 0
        ? held(wanted)
        : wanted;
    }, lease.fence);
    for (const change of changes) {
      work.event('note', shown(change));
      context.log.info(shown(change));
    }
    if (context.signal.aborted) throw cancelled('rolling out');
    await waitUntilReady(work, context.signal, {
      steady: request.watch,
      ...(isHeld ? { handOver: { seconds: request.drain, fence: lease.fence } } : {}),
    });
    return await finish(work, journal);
  } catch (thrown) {
    if (isLost(thrown)) throw thrown;
    const current = work.journal.current();
    // What is finished is not taken back for an entry that could not be written.
    if (current !== null && isSettled(current)) throw thrown;
    const reason = reasonOf(thrown);
    if (request.onFailure === 'rollback' || reason.reasonCode === 'cancelled') {
      return takeBack(work, journal, reason);
    }
    await target.rollout.change(unheld, lease.fence);
    await target.rollout.stopLeaving(lease.fence);
    const left = await write(work, { ...journal, phase: 'reverted', reason });
    await record(work);
    return left;
  }
}

interface Rolled {
  /** Null when nothing had to be done. */
  journal: RollingJournal | null;
  settled: RollingJournal | null;
  previous: string | undefined;
}

async function rollUnderLease(work: Work, request: RollingRequest, facts: ReleaseFacts): Promise<Rolled> {
  const { target, context } = work;
  const { rollout, run } = target;
  const { release, strategy, template } = request;
  const decide = await decider(request);
  const unfinished = work.journal.current();
  const isSame =
    unfinished !== null &&
    unfinished.phase === 'starting' &&
    unfinished.to.slot === slotOf(target) &&
    unfinished.to.release.template === (template?.name ?? null) &&
    kubernetesRevision(unfinished.to.release) === kubernetesRevision(release);
  if (isSame) {
    const resumed = await write(work, { ...unfinished, run, resumed: unfinished.resumed + 1 });
    const journal = await forth(work, resumed, request, decide);
    return { journal, settled: null, previous: journal.from?.release.version };
  }
  const settled = await settle(work);
  const now = await rollout.read();
  const wanted = decide(now);
  const before = rollout.releaseOf(now);
  const changes = changesOf(now, wanted.workload);
  if (changes.length === 0 && (await rollout.isDone())) {
    return { journal: null, settled, previous: before.version };
  }
  for (const note of wanted.notes) context.log.warning(note);
  if (needsHandOver(request, now)) {
    context.log.info(
      `The pods that run now have no preStop hook, and cannot be given one: each is taken out of its Service (by its labels), goes on serving for ${request.drain} s, and is then stopped.`,
    );
  }
  const slot = slotOf(target);
  const kept = (await rollout.revisions(now)).find(({ isCurrent }) => isCurrent)?.name ?? null;
  const journal = await write(work, {
    id: randomUUID(),
    strategy,
    run,
    startedAt: new Date().toISOString(),
    from: { slot, release: { ...before, template: kept } },
    to: { slot, release: { ...release, template: template?.name ?? null } },
    before: [],
    weights: [100],
    step: 0,
    phase: 'starting',
    keepPrevious: true,
    reason: null,
    resumed: 0,
    facts: asFacts(facts),
  });
  return { journal: await forth(work, journal, request, decide), settled, previous: before.version };
}

async function roll(
  context: Context,
  target: RollingTarget,
  inputs: RollingRequestInputs,
  /** Null: settle only. */
  request: RollingRequest | null,
  progress?: DeploymentProgress,
): Promise<RollingOutcome> {
  const began = performance.now();
  const events: DeliveryEvent[] = [];
  const version = request?.release.version ?? 'the new version';
  let probe: Probe | undefined;
  let counted: Promise<ProbeCounts> | undefined;
  const probed = async () => (counted ??= probe?.stop(context.signal.aborted ? 250 : undefined));
  const atLast = delayedSignal(context.signal, cancelBudget);
  try {
    const rolled = await withLease(
      target,
      inputs['lock-timeout'],
      context.signal,
      context.log,
      async (lease) => {
        const brokeFreeze =
          request === null ? null : await passFreeze(target, inputs['break-freeze'], context.log);
        const work: Work = {
          context,
          target,
          lease,
          journal: await openJournal<RollingRelease>(target.store, lease.fence),
          readyTimeout: inputs['ready-timeout'],
          atLast: atLast.signal,
          probed,
          event(what, message) {
            events.push({ at: performance.now() - began, what, message });
            const news = what === 'phase' ? newsOf(message, version) : undefined;
            if (news !== undefined) progress?.phase(news);
          },
        };
        if (request === null) return { journal: null, settled: await settle(work), previous: undefined };
        if (inputs['probe-url'] !== undefined) probe = startProbe(inputs['probe-url'], inputs['probe-rate']);
        const { known } = request;
        return rollUnderLease(
          work,
          request,
          factsOf(context, known === undefined ? { inputs } : { inputs, known }, brokeFreeze),
        );
      },
    );
    const counts = await probed();
    summarizeProbe(context, counts);
    summarizeEvents(context, events);
    return await outcomeOf(target, rolled, request, events, counts);
  } catch (thrown) {
    await probed();
    throw await withPresent(target, thrown);
  } finally {
    atLast.clear();
  }
}

function newsOf(phase: string, version: string): string | undefined {
  if (phase === 'starting') return `Rolling out ${version}`;
  return phase === 'reverting' ? 'Going back to the version before' : undefined;
}

async function presentOf({ rollout, label }: RollingTarget): Promise<{ version: string; words: string }> {
  const { version } = rollout.releaseOf(await rollout.read());
  return { version, words: `${label} is ${version}.` };
}

/** Says what runs now, whatever went wrong. */
async function withPresent(target: RollingTarget, thrown: unknown): Promise<unknown> {
  if (!(thrown instanceof DeployError)) return thrown;
  const now = await presentOf(target).then(
    ({ words }) => `Now: ${words}`,
    (unreadable: unknown) => `What runs now cannot be read: ${messageOf(unreadable)}`,
  );
  return new DeployError(thrown.reasonCode, `${thrown.message} ${now}`, {
    remedy: thrown.remedy,
    details: thrown.details,
    cause: thrown,
  });
}

async function outcomeOf(
  target: RollingTarget,
  { journal, settled, previous }: Rolled,
  request: RollingRequest | null,
  events: DeliveryEvent[],
  probe: ProbeCounts | undefined,
): Promise<RollingOutcome> {
  const now = await presentOf(target);
  const outputs = outputsOf(target, now.version, previous, probe);
  const report = { journal, settled, events, probe };
  const lost = probe === undefined ? '' : ` ${probe.lost} of ${probe.sent} probe requests were lost.`;
  const settledText =
    settled === null
      ? ''
      : ` The unfinished release of ${settled.to.release.version} was ${settled.phase === 'finished' ? 'finished' : 'taken back'} first.`;
  if (journal === null) {
    return {
      result: settled === null ? 'unchanged' : 'succeeded',
      reasonCode:
        settled === null ? 'already_current' : settled.phase === 'reverted' ? 'reverted' : 'resumed',
      message: `${now.words} There was nothing ${settled === null ? '' : 'else '}to do.${settledText}`,
      outputs,
      report,
    };
  }
  const { version } = journal.to.release;
  if (journal.phase === 'finished') {
    const took = formatDuration(Date.now() - Date.parse(journal.startedAt));
    return {
      result: 'succeeded',
      reasonCode: journal.resumed > 0 ? 'resumed' : 'ok',
      message: `All pods of ${target.label} are of ${version} and ready, after ${took}.${lost}${settledText}`,
      outputs,
      report,
    };
  }
  const reason = journal.reason ?? { reasonCode: 'reverted' as const, message: '', details: [] };
  const wasLeft = request?.onFailure === 'leave' && reason.reasonCode !== 'cancelled';
  return {
    result: reason.reasonCode === 'cancelled' ? 'cancelled' : wasLeft ? 'failed' : 'rolled-back',
    reasonCode: reason.reasonCode,
    message: `${version} was ${wasLeft ? 'left as it is (`on-failure: leave`)' : 'taken back'}: ${reason.message} ${now.words}${lost}${settledText}`,
    remedy: wasLeft
      ? `Correct ${version} and release again, or go back with \`rollback\`.`
      : `Look at the last log lines and events of ${version}, correct it and release again.`,
    outputs: { ...outputs, 'rejected-version': version },
    report: { ...report, details: reason.details },
  };
}

/** The post step: settles what this run's main step left unfinished, and nothing else. */
export async function settleWorkloadAfter(
  context: Context,
  target: RollingTarget,
  inputs: RollingRequestInputs,
): Promise<void> {
  const journal = await peekJournal<RollingRelease>(target.store);
  const version = journal?.to.release.version ?? '';
  await trackedAfter(context, inputs, version, async () => {
    if (journal?.run.id !== target.run.id || journal.to.slot !== slotOf(target)) {
      return {
        result: 'cancelled',
        message: 'The run ended before it changed anything.',
        serving: undefined,
      };
    }
    const isKnown = (await readHistory(target.store)).some(({ id }) => id === journal.id);
    if (isSettled(journal) && isKnown) {
      return journal.phase === 'finished'
        ? { result: 'succeeded', message: `All pods are of ${version}.`, serving: version }
        : { result: 'cancelled', message: `${version} was taken back.`, serving: undefined };
    }
    const patient = { ...inputs, 'lock-timeout': Math.max(inputs['lock-timeout'], 60_000) };
    const outcome = await roll(context, target, patient, null);
    context.log.info(outcome.message);
    const serving = outcome.outputs.version;
    return {
      result: serving === version ? 'succeeded' : 'cancelled',
      message: outcome.message,
      serving: typeof serving === 'string' ? serving : undefined,
    };
  });
}
