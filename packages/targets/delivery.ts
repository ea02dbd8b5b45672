import {
  type Context,
  type DeploymentProgress,
  escapeMarkdown,
  type Outcome,
} from '@deploy-actions/action-kit';
import { DeployError, formatDuration, isRecord, type Log, messageOf } from '@deploy-actions/core';
import { asFacts, breakFreeze, type ReleaseFacts, requireNotFrozen } from '@deploy-actions/ledger';
import {
  deliver,
  type Delivery,
  type DeliveryEvent,
  type DeliveryOptions,
  describeTraffic,
  isInPlace,
  isSettled,
  type Journal,
  peekJournal,
  planDelivery,
  type Probe,
  type ProbeCounts,
  readHistory,
  requireOwn,
  revisionsOf,
  servingOf,
  startProbe,
  type Wanted,
} from '@deploy-actions/release-engine';
import { type SlotShare, trafficChart, weightChart } from './charts.ts';
import type { WindowResult } from './hold.ts';
import type { DeliveryInputs, LedgerInputs } from './inputs.ts';
import { refuseLeftByOthers, requireWritable, type Target, type TargetRelease, withLease } from './open.ts';
import type { deliveryOutputs } from './outputs.ts';
import { deploymentPlan, describeEvent, tracked, trackedAfter, type TrackedInputs } from './tracked.ts';

type Outputs = Outcome<typeof deliveryOutputs>['outputs'];
type DeliveryOutcome = Outcome<typeof deliveryOutputs>;
type TargetDelivery = Delivery<TargetRelease>;

/** What a delivery reads of the inputs of the action. */
export type RequestInputs = DeliveryInputs & LedgerInputs & TrackedInputs;

export interface DeliveryRequest {
  target: Target;
  inputs: RequestInputs;
  wanted: Wanted<TargetRelease> | null;
  /** What the ledger has of the version already, where it is not what this run says: when going back to it. */
  known?: Pick<ReleaseFacts, 'sha' | 'images'> | undefined;
  hold: DeliveryOptions<TargetRelease>['hold'];
  /** Filled by `hold`, for the summary. */
  windows: { weight: number; result: WindowResult }[];
}

function outputsOf(
  serving: TargetDelivery['serving'],
  previous: string | undefined,
  probe?: ProbeCounts,
): Outputs {
  const main = serving.toSorted((a, b) => b.weight - a.weight)[0];
  return {
    version: main?.release.version,
    slot: main?.slot,
    'previous-version': previous,
    'rejected-version': undefined,
    'requests-sent': probe?.sent,
    'requests-lost': probe?.lost,
  };
}

export function describeServing(serving: TargetDelivery['serving']): string {
  if (serving.length === 0) return 'Nothing serves.';
  const shares = serving.map(({ slot, release, weight }) =>
    weight === 100 ? `${release.version} (${slot}) serves` : `${release.version} (${slot}) has ${weight} %`,
  );
  return `${shares.join(', ')}.`;
}

/** Who has the traffic, and who had it. */
function sharesOf({ journal, serving }: TargetDelivery): SlotShare[] {
  const known = new Map<string, string>();
  // What was stopped is not there any more.
  if (journal?.phase === 'finished' && journal.from !== null && journal.keepPrevious) {
    known.set(journal.from.slot, journal.from.release.version);
  }
  for (const { slot, release } of serving) known.set(slot, release.version);
  const weightOf = (slot: string) => serving.find((entry) => entry.slot === slot)?.weight ?? 0;
  return [...known].map(([slot, version]) => ({ slot, version, weight: weightOf(slot) }));
}

/** A number and its unit stay on one line. */
function withUnits(text: string): string {
  return text.replace(/(?<=\d) (?=%|m?s\b)/g, '\u00a0');
}

function summarize(
  context: Context,
  request: DeliveryRequest,
  delivery: TargetDelivery,
  events: DeliveryEvent[],
  probe: ProbeCounts | undefined,
): void {
  const { summary } = context;
  summary.chart(trafficChart(sharesOf(delivery)));
  const slot = delivery.journal?.to.slot ?? '';
  const weights = weightChart(
    events.flatMap(({ at, weights: all }) => (all === undefined ? [] : [{ at, weight: all[slot] ?? 0 }])),
  );
  if (weights !== undefined) summary.chart(weights);
  if (request.windows.length > 0) {
    summary.heading('Verdicts', 3);
    summary.table(
      ['Weight', 'Verdict', 'Why'],
      request.windows.map(({ weight, result }) => [
        `${weight} %`,
        `${result.decision}<br>after ${formatDuration(result.elapsed)}`,
        result.combined.words.map((words) => withUnits(escapeMarkdown(words))).join('<br>'),
      ]),
    );
  }
  summarizeProbe(context, probe);
  summarizeEvents(context, events);
}

/** What the live probe counted, where there was one. */
export function summarizeProbe({ summary }: Context, probe: ProbeCounts | undefined): void {
  if (probe === undefined) return;
  const reasons = Object.entries(probe.reasons).map(
    ([reason, count]) => `${escapeMarkdown(reason)}: ${count}`,
  );
  summary.heading('Live probe', 3);
  summary.table(
    ['Requests', 'Seen'],
    [
      ['Sent', String(probe.sent)],
      ['Answered', String(probe.answered)],
      ['**Lost**', [`**${probe.lost}**`, ...reasons].join('<br>')],
      ['Errors of the application', String(probe.failed)],
      ['Slowest', formatDuration(probe.slowest)],
    ],
  );
}

export function summarizeEvents({ summary }: Context, events: DeliveryEvent[]): void {
  if (events.length === 0) return;
  summary.details(
    'What happened, and when',
    events
      .map((event) => `${(event.at / 1_000).toFixed(3).padStart(9)} s  ${event.what}: ${event.message}`)
      .join('\n'),
  );
}

/** What is kept of the inputs with a release. */
type FactInputs = Pick<TrackedInputs, 'app' | 'environment' | 'platform' | 'router' | 'images' | 'notes'>;

/** What is kept with the release. */
export function factsOf(
  context: Context,
  { inputs, known }: { inputs: FactInputs; known?: DeliveryRequest['known'] },
  brokeFreeze: string | null,
): ReleaseFacts {
  const { app, environment, platform, router } = inputs;
  return {
    app,
    environment,
    platform,
    router,
    sha: known?.sha ?? context.facts.sha,
    images: inputs.images ?? known?.images ?? {},
    notes: inputs.notes ?? {},
    brokeFreeze,
  };
}

function describeRelease(release: TargetRelease): string {
  return 'images' in release ? `with ${release.images.join(', ')}` : `${release.instances} instance(s)`;
}

/** Until there are colours, what a release would do with them cannot be known. */
function planOfAdoption(
  { summary, log }: Context,
  { target }: DeliveryRequest,
  { release }: Wanted<TargetRelease>,
  adoption: string[],
): DeliveryOutcome {
  const steps = [
    ...adoption,
    `release ${release.version}, ${describeRelease(release)}, to the second colour`,
  ];
  summary.list(steps.map(escapeMarkdown));
  for (const [index, step] of steps.entries()) log.info(`  ${index + 1}. ${step}`);
  return {
    result: 'planned',
    reasonCode: 'dry_run',
    message: `The plan to release ${release.version} to ${target.label} has ${steps.length} steps; nothing was written.`,
    outputs: outputsOf([], undefined),
    report: { plan: steps },
  };
}

async function plan(
  context: Context,
  request: DeliveryRequest,
  wanted: Wanted<TargetRelease>,
): Promise<DeliveryOutcome> {
  const { target, inputs } = request;
  const unfinished = await peekJournal<TargetRelease>(target.store);
  const adoption = (await target.adoption?.plan()) ?? [];
  if (adoption.length > 1) return planOfAdoption(context, request, wanted, adoption);
  const planned = await planDelivery(target.platform, target.router, wanted);
  const serving = servingOf(planned.slots, planned.traffic);
  const revisionOf = revisionsOf(target.platform);
  const steps: string[] = [...adoption];
  if (unfinished !== null && !isSettled(unfinished)) {
    steps.push(
      revisionOf(unfinished.to.release) === revisionOf(wanted.release)
        ? `go on with the unfinished release of ${unfinished.to.release.version} in phase «${unfinished.phase}»`
        : `settle the unfinished release of ${unfinished.to.release.version} in phase «${unfinished.phase}»`,
    );
  }
  if (!planned.unchanged) {
    await target.platform.check?.(planned.to, wanted.release);
    const weights = planned.from === null ? [100] : wanted.weights;
    await target.router.check?.(weights);
    steps.push(
      `start ${wanted.release.version} in ${planned.to}, ${describeRelease(wanted.release)}, and wait until it is ready`,
    );
    for (const weight of weights) {
      const rest = planned.from === null || weight === 100 ? '' : `, ${planned.from.slot} ${100 - weight} %`;
      steps.push(
        `set the traffic to ${planned.to} ${weight} %${rest}, verify it at the data plane and watch it`,
      );
    }
    if (planned.from !== null) {
      steps.push(
        `wait up to ${formatDuration(inputs['drain-timeout'])} for requests to ${planned.from.slot} to finish`,
      );
      steps.push(...((await target.platform.followers?.plan(planned.to)) ?? []));
      steps.push(
        wanted.keepPrevious
          ? `keep ${planned.from.release.version} in ${planned.from.slot} for a rollback`
          : `stop ${planned.from.release.version} in ${planned.from.slot}`,
      );
    }
  }
  context.summary.paragraph(
    `**Now:** ${escapeMarkdown(describeServing(serving))} (${describeTraffic(planned.traffic.targets)})`,
  );
  context.summary.list(steps.length === 0 ? ['nothing to do'] : steps.map(escapeMarkdown));
  context.log.info(`Now: ${describeServing(serving)}`);
  for (const [index, step] of steps.entries()) context.log.info(`  ${index + 1}. ${step}`);
  return {
    result: 'planned',
    reasonCode: 'dry_run',
    message:
      steps.length === 0
        ? `${wanted.release.version} serves already; there is nothing to do.`
        : `The plan to release ${wanted.release.version} to ${target.label} has ${steps.length} steps; nothing was written.`,
    outputs: outputsOf(serving, planned.from?.release.version),
    report: { plan: steps, traffic: planned.traffic.targets },
  };
}

/** A report is uploaded and read by many: what releases have in their environment is not for them. */
function withoutEnvironments(report: Record<string, unknown>): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(report, (key, value: unknown) =>
      key === 'environment' && isRecord(value) ? Object.keys(value) : value,
    ),
  ) as Record<string, unknown>;
}

/** The result of a delivery that came to an end. */
function outcomeOf(
  request: DeliveryRequest,
  delivery: TargetDelivery,
  events: DeliveryEvent[],
  probe?: ProbeCounts,
): DeliveryOutcome {
  const { journal, serving, settled } = delivery;
  const rejected = journal?.phase === 'reverted' ? journal.to.release.version : undefined;
  const outputs = {
    ...outputsOf(serving, journal?.from?.release.version, probe),
    'rejected-version': rejected,
  };
  const report = withoutEnvironments({ journal, settled, serving, events, probe, windows: request.windows });
  const settledText =
    settled === null
      ? ''
      : ` The unfinished release of ${settled.to.release.version} was ${settled.phase === 'finished' ? 'finished' : 'taken back'} first.`;
  if (journal === null) {
    const took = settled?.phase === 'reverted' ? 'reverted' : 'resumed';
    return {
      result: settled === null ? 'unchanged' : 'succeeded',
      reasonCode: settled === null ? 'already_current' : took,
      message: `${describeServing(serving)} There was nothing ${settled === null ? '' : 'else '}to do.${settledText}`,
      outputs,
      report,
    };
  }
  const lost = probe === undefined ? '' : ` ${probe.lost} of ${probe.sent} probe requests were lost.`;
  const { version } = journal.to.release;
  if (journal.phase === 'finished') {
    const resumed = journal.resumed > 0;
    return {
      result: 'succeeded',
      reasonCode: resumed ? 'resumed' : 'ok',
      message: `${version} has all traffic of ${request.target.label}.${resumed ? ' An interrupted release was resumed.' : ''}${delivery.drained ? '' : ' Some requests to the old version were still in flight at the end.'}${lost}${settledText}`,
      outputs,
      report,
    };
  }
  const reason = journal.reason ?? {
    reasonCode: 'reverted' as const,
    message: 'It was taken back.',
    details: [],
  };
  const nothingMoved = !events.some((event) => event.what === 'traffic');
  const neverFit = ['not_ready', 'start_failed', 'not_found', 'permission_denied', 'invalid_input'].includes(
    reason.reasonCode,
  );
  const inconclusive = ['insufficient_data', 'metrics_unavailable'].includes(reason.reasonCode);
  if (serving.some(({ slot }) => slot === journal.to.slot)) {
    // A first release: there is nothing to give the traffic back to.
    return {
      result: reason.reasonCode === 'cancelled' ? 'cancelled' : inconclusive ? 'inconclusive' : 'failed',
      reasonCode: reason.reasonCode,
      message: `${version} keeps the traffic, for there is no earlier version to give it back to: ${reason.message} ${describeServing(serving)}${lost}${settledText}`,
      remedy: `Release a version that is well; ${version} serves until then.`,
      outputs,
      report: { ...report, details: reason.details },
    };
  }
  return {
    result:
      reason.reasonCode === 'cancelled'
        ? 'cancelled'
        : neverFit && nothingMoved
          ? 'refused'
          : inconclusive
            ? 'inconclusive'
            : nothingMoved && journal.resumed === 0
              ? 'failed'
              : 'rolled-back',
    reasonCode: reason.reasonCode,
    message: `${version} ${nothingMoved && journal.resumed === 0 ? 'got no traffic' : 'was taken back'}: ${reason.message} ${describeServing(serving)}${lost}${settledText}`,
    remedy: remedyFor(reason.reasonCode, version),
    outputs,
    report: { ...report, details: reason.details },
  };
}

function remedyFor(reasonCode: string, version: string): string {
  switch (reasonCode) {
    case 'not_ready':
    case 'start_failed':
      return `Look at the last log lines of ${version} below, correct it and release again.`;
    case 'limit_exceeded':
      return `Look at the errors and response times of ${version}, correct it and release again. Users are on the old version.`;
    case 'insufficient_data':
      return 'Give it more traffic or time (`pause`, `hold-timeout`), or lower `min-requests`.';
    case 'metrics_unavailable':
      return 'See that the metric endpoint answers with the metrics that are asked for, then release again.';
    case 'cancelled':
      return 'Run the workflow again when you are ready.';
    default:
      return 'Correct the cause and run the workflow again.';
  }
}

/**
 * Throws `environment_frozen`, unless there is a reason to go on all the same: that is then recorded, and returned where
 * there was a freeze to break.
 */
export async function passFreeze(
  target: Pick<Target, 'label' | 'store' | 'run'>,
  reason: string | undefined,
  log: Log,
): Promise<string | null> {
  if (reason === undefined) {
    await requireNotFrozen(target.store, target.label);
    return null;
  }
  const broken = await breakFreeze(target.store, { reason, run: target.run });
  const what = broken ? 'is frozen; going on' : 'is not frozen; there was no need to break it open';
  log.warning(`${target.label} ${what}: ${reason}`);
  return broken ? reason : null;
}

/** What was begun before it was frozen is brought to its end. */
async function respectFreeze({ target, inputs, wanted }: DeliveryRequest): Promise<void> {
  if (wanted === null || inputs['break-freeze'] !== undefined) return;
  await requireNotFrozen(target.store, target.label);
}

/** A workload that is rolled out in place shares the state of its environment: what was begun there is not this run's to settle. */
const isOwn = (journal: Journal) => !isInPlace(journal);

/** Releases, or plans to: from the lease to the summary, with a deployment on GitHub that says how far it is. */
export async function runDelivery(context: Context, request: DeliveryRequest): Promise<DeliveryOutcome> {
  const { inputs, wanted, known } = request;
  if (wanted === null) return moveTraffic(context, request);
  // Before anything is written, the lease and the deployment on GitHub included: what is frozen is not touched at all.
  try {
    await respectFreeze(request);
    await refuseLeftByOthers(request.target, isOwn);
  } catch (thrown) {
    throw await withServing(request.target, thrown);
  }
  if (inputs['dry-run']) return plan(context, request, wanted);
  const { release, strategy } = wanted;
  const planned = deploymentPlan(inputs, { version: release.version, strategy, known });
  return tracked(context, inputs, planned, (progress) => moveTraffic(context, request, progress));
}

async function moveTraffic(
  context: Context,
  request: DeliveryRequest,
  progress?: DeploymentProgress,
): Promise<DeliveryOutcome> {
  const { target, inputs, wanted } = request;
  const events: DeliveryEvent[] = [];
  let probe: Probe | undefined;
  let counted: Promise<ProbeCounts> | undefined;
  // A cancelled run has no time to wait for answers.
  const stopProbing = async () => (counted ??= probe?.stop(context.signal.aborted ? 250 : undefined));
  try {
    if (target.keptIn === 'platform') await requireWritable(target);
    const delivery = await withLease(
      target,
      inputs['lock-timeout'],
      context.signal,
      context.log,
      async (lease) => {
        // Adoption changes who gets the traffic; else it can be asked for together with the freeze.
        const reading = target.adoption === undefined ? target.router.read() : undefined;
        reading?.catch(() => {}); // told below, where it is waited for
        // Under the lease: it may have been frozen while this run waited for it.
        const brokeFreeze =
          wanted === null ? null : await passFreeze(target, inputs['break-freeze'], context.log);
        requireOwn(await peekJournal(target.store), target.label, isOwn);
        // Where the state is elsewhere, the host is not touched before that is the run's own.
        if (target.keptIn !== 'platform') await requireWritable(target);
        const startProbing = () => {
          if (inputs['probe-url'] !== undefined)
            probe ??= startProbe(inputs['probe-url'], inputs['probe-rate']);
        };
        if (wanted !== null && target.adoption !== undefined) {
          startProbing();
          const [ready, verify, drain] = [
            inputs['ready-timeout'],
            inputs['verify-timeout'],
            inputs['drain-timeout'],
          ];
          await target.adoption.run(lease.fence, { ready, verify, drain }, context.signal);
        }
        // Before a first release nobody answers, and nothing can be lost.
        const { targets } = await (reading ?? target.router.read());
        if (targets.some(({ weight }) => weight > 0)) startProbing();
        const facts = asFacts(factsOf(context, request, brokeFreeze));
        return deliver<TargetRelease>(lease, wanted === null ? null : { ...wanted, facts }, {
          platform: target.platform,
          router: target.router,
          store: target.store,
          log: context.log,
          signal: context.signal,
          run: target.run,
          readyTimeout: inputs['ready-timeout'],
          verifyTimeout: inputs['verify-timeout'],
          drainTimeout: inputs['drain-timeout'],
          hold: request.hold,
          probed: stopProbing,
          onEvent(event) {
            events.push(event);
            const news = describeEvent(event, wanted?.release.version ?? 'the new version');
            if (news !== undefined) progress?.phase(news);
            if (event.what === 'verified') startProbing();
          },
        });
      },
    );
    const counts = await stopProbing();
    summarize(context, request, delivery, events, counts);
    return outcomeOf(request, delivery, events, counts);
  } catch (thrown) {
    await stopProbing();
    throw await withServing(target, thrown);
  }
}

/** Says what is serving now, whatever went wrong. */
export async function withServing(target: Target, thrown: unknown): Promise<unknown> {
  if (!(thrown instanceof DeployError)) return thrown;
  try {
    const [slots, traffic] = await Promise.all([target.platform.observe(), target.router.read()]);
    return new DeployError(
      thrown.reasonCode,
      `${thrown.message} Now: ${traffic.apart === undefined ? '' : `${traffic.apart.words}; `}${describeServing(servingOf(slots, traffic))}`,
      {
        remedy: thrown.remedy,
        details: thrown.details,
        cause: thrown,
      },
    );
  } catch (unreadable) {
    return new DeployError(
      thrown.reasonCode,
      `${thrown.message} What serves now cannot be read: ${messageOf(unreadable)}`,
      { remedy: thrown.remedy, details: thrown.details, cause: thrown },
    );
  }
}

/** The post step: settles what this run's main step left unfinished, and nothing else. */
export async function settleAfter(context: Context, target: Target, inputs: RequestInputs): Promise<void> {
  const journal = await peekJournal<TargetRelease>(target.store);
  const version = journal?.to.release.version ?? '';
  await trackedAfter(context, inputs, version, async () => {
    if (journal === null || journal.run.id !== target.run.id || isInPlace(journal)) {
      return {
        result: 'cancelled',
        message: 'The run ended before it changed anything.',
        serving: undefined,
      };
    }
    const known = (await readHistory(target.store)).some((entry) => entry.id === journal.id);
    // A main step may have died between the end of its release and its entry in the history.
    if (isSettled(journal) && known) {
      return journal.phase === 'finished'
        ? { result: 'succeeded', message: `${version} has all traffic.`, serving: version }
        : { result: 'cancelled', message: `${version} was taken back.`, serving: undefined };
    }
    context.log.warning(`The release of ${version} was left in phase «${journal.phase}»; settling it.`);
    const outcome = await moveTraffic(context, {
      target,
      inputs: { ...inputs, 'lock-timeout': Math.max(inputs['lock-timeout'], 60_000), 'dry-run': false },
      wanted: null,
      hold: () => Promise.resolve({ pass: true }),
      windows: [],
    });
    context.log.info(outcome.message);
    const serving = outcome.outputs.version;
    return {
      result: serving === version ? 'succeeded' : 'cancelled',
      message: outcome.message,
      serving: typeof serving === 'string' ? serving : undefined,
    };
  });
}
