import {
  type Deadline,
  deadlineIn,
  DeployError,
  formatDuration,
  type Log,
  sleep,
} from '@deploy-actions/core';
import {
  combine,
  type Combined,
  judgeLimit,
  type Limit,
  type OnInconclusive,
  settle,
  unavailable,
  type Verdict,
} from '@deploy-actions/judge';
import { type Baseline, describeQuery, type MetricQuery, type MetricSource } from '@deploy-actions/metrics';
import {
  type DeliveryOptions,
  type Held,
  isReady,
  type Platform,
  type Release,
} from '@deploy-actions/release-engine';

/** A limit with the query that it is held against. */
export interface Criterion {
  limit: Limit;
  query: MetricQuery;
}

export interface Analysis {
  source: MetricSource;
  criteria: Criterion[];
  minRequests: number;
  strict: boolean;
  /** Probability of a false abort over one window and all its limits. */
  alpha: number;
  onInconclusive: OnInconclusive;
  /** Milliseconds that `hold` waits beyond the window. */
  holdTimeout: number;
  /** Milliseconds between two looks. */
  interval: number;
}

/** What one window came to. */
export interface WindowResult {
  decision: 'pass' | 'fail' | 'hold';
  combined: Combined;
  /** Milliseconds from its begin to the decision. */
  elapsed: number;
}

function isUnavailable(thrown: unknown): thrown is DeployError {
  return thrown instanceof DeployError && thrown.reasonCode === 'metrics_unavailable';
}

async function begin(
  source: MetricSource,
  query: MetricQuery,
  signal: AbortSignal,
): Promise<Baseline | DeployError> {
  try {
    return await source.begin(query, signal);
  } catch (thrown) {
    if (isUnavailable(thrown)) return thrown;
    throw thrown;
  }
}

function withoutData(query: MetricQuery, error: DeployError) {
  return unavailable(query.name, describeQuery(query), error.message);
}

/**
 * Watches one window: looks at every interval, aborts early on evidence alone, and decides at its end by the rule for
 * limits. `stillWell` is asked at every look and throws when the version itself is not well any more.
 */
export async function watchWindow(
  analysis: Analysis,
  milliseconds: number,
  signal: AbortSignal,
  log: Log,
  stillWell: () => Promise<void>,
): Promise<WindowResult> {
  const { source, criteria } = analysis;
  const end = deadlineIn(milliseconds);
  const deadline = deadlineIn(milliseconds + analysis.holdTimeout);
  const alpha = analysis.alpha / Math.max(1, criteria.length);
  const baselines = new Map<Criterion, Baseline | DeployError>();
  for (const criterion of criteria) {
    baselines.set(criterion, await begin(source, criterion.query, signal));
  }

  const look = async (criterion: Criterion, atEnd: boolean): Promise<Verdict> => {
    const settings = {
      atEnd,
      minRequests: analysis.minRequests,
      strict: analysis.strict,
      alpha,
    };
    let baseline = baselines.get(criterion);
    if (baseline === undefined || baseline instanceof DeployError) {
      // A source that was not there when the window began may come: the window then counts from that look on.
      baseline = await begin(source, criterion.query, signal);
      baselines.set(criterion, baseline);
      if (baseline instanceof DeployError) {
        return judgeLimit(criterion.limit, withoutData(criterion.query, baseline), settings);
      }
    }
    try {
      const series = await source.series(criterion.query, baseline, signal);
      return judgeLimit(criterion.limit, series, settings);
    } catch (thrown) {
      if (!isUnavailable(thrown)) throw thrown;
      return judgeLimit(criterion.limit, withoutData(criterion.query, thrown), settings);
    }
  };

  for (;;) {
    await stillWell();
    // Asked before looking: a look that began within the window cannot be its last, however long it takes.
    const atEnd = end.passed();
    const isLast = deadline.passed() || (atEnd && analysis.onInconclusive !== 'hold');
    const combined = combine(await Promise.all(criteria.map((criterion) => look(criterion, atEnd))));
    const decision = settle(combined.outcome, analysis.onInconclusive, isLast);
    if (decision !== 'wait') return { decision, combined, elapsed: end.elapsed() };
    const next = end.passed() ? deadline : end;
    log.progress({
      what: end.passed() ? 'waiting for a verdict' : 'watching',
      elapsed: end.elapsed(),
      remaining: next.remaining(),
      detail: combined.words[0] ?? '',
    });
    await sleep(Math.min(analysis.interval, Math.max(50, next.remaining())), signal, 'watching');
  }
}

/** Watches a version without figures: it has to stay ready. */
export async function watchReadiness(
  milliseconds: number,
  signal: AbortSignal,
  log: Log,
  stillWell: () => Promise<void>,
): Promise<void> {
  const end: Deadline = deadlineIn(milliseconds);
  for (;;) {
    await stillWell();
    if (end.passed()) return;
    log.progress({ what: 'watching', elapsed: end.elapsed(), remaining: end.remaining() });
    await sleep(Math.min(1_000, Math.max(10, end.remaining())), signal, 'watching');
  }
}

/** How often, and how far apart in milliseconds, a slot is looked at before it counts as ailing. */
const looks = 3;
const betweenLooks = 500;

/**
 * Throws `unhealthy` when a slot lost an instance: what is not ready must not have traffic. One failed look, or one
 * late answer of a busy instance, is not enough to take a release back.
 */
export async function requireReady(
  platform: Platform,
  name: string,
  signal: AbortSignal = new AbortController().signal,
): Promise<void> {
  for (let look = 1; ; look += 1) {
    try {
      return await requireReadyNow(platform, name);
    } catch (thrown) {
      if (look >= looks) throw thrown;
      await sleep(betweenLooks, signal, `looking at ${name}`);
    }
  }
}

async function requireReadyNow(platform: Platform, name: string): Promise<void> {
  const slot = (await platform.observe()).find((candidate) => candidate.name === name);
  if (isReady(slot)) return;
  const reasons = (slot?.instances ?? [])
    .filter((instance) => !instance.ready)
    .map((instance) => `${instance.address}: ${instance.reason ?? 'not ready'}`);
  throw new DeployError(
    'unhealthy',
    `${slot?.release?.version ?? 'The new version'} in ${name} is not ready any more: ${slot?.ready ?? 0} of ${slot?.wanted ?? 0} instances.`,
    { details: reasons },
  );
}

/** The hold of a release that is watched without figures: the new version has to stay ready. */
export function holdWhileReady<R extends Release>(
  platform: Platform<R>,
  milliseconds: number,
  log: Log,
): DeliveryOptions<R>['hold'] {
  return async ({ journal }, signal) => {
    const stillWell = () => requireReady(platform, journal.to.slot, signal);
    await watchReadiness(milliseconds, signal, log, stillWell);
    return { pass: true };
  };
}

/** A window's result in the words of a release. */
export function heldBy(result: WindowResult, weight: number): Held {
  const { combined, decision, elapsed } = result;
  const verdict = { decision, words: combined.words, elapsed };
  if (decision === 'pass') return { pass: true, verdict };
  // What held is in the summary's table; the reason is what did not.
  const blamed = combined.verdicts.filter(({ outcome }) => outcome === combined.outcome);
  const why = blamed.map(({ words }) => words).join(' ') || combined.words.join(' ');
  const message =
    decision === 'fail'
      ? `At ${weight} % after ${formatDuration(elapsed)}: ${why}`
      : `No verdict at ${weight} % after ${formatDuration(elapsed)}: ${why}`;
  return { pass: false, reason: { reasonCode: combined.reasonCode, message, details: [] }, verdict };
}
