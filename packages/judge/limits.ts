import { DeployError, isRecord, type ReasonCode } from '@deploy-actions/core';
import type { Series } from '@deploy-actions/metrics';
import { confidenceInterval, mixtureAround } from './confidence-sequence.ts';
import { quantileOf, requestsOver } from './histogram.ts';
import { asObserved } from './observed.ts';
import type {
  ErrorRateFindings,
  Limit,
  Observed,
  Outcome,
  ResponseTimeFindings,
  Settings,
  Verdict,
} from './verdict.ts';
import { wordsFor } from './words.ts';

/**
 * Judges what was observed against a limit.
 *
 * At any time it fails on evidence: the always-valid interval lies wholly beyond the limit. One failed request never
 * is evidence (see `mixtureAround`). At the end of the window, with at least `minRequests`, it passes when the
 * estimate is under the limit and fails when it is not; `strict` passes only when the whole interval is under it.
 * Fewer requests, or data that cannot be trusted, are inconclusive and never pass.
 *
 * A response time is judged as a proportion: the share of requests that took longer than the limit, against
 * 1 − quantile. Where the limit is no bucket bound, evidence counts only the requests that certainly took longer.
 *
 * Throws `invalid_input` for a limit or settings that make no sense; never for what was observed.
 */
export function judgeLimit(limit: Limit, observed: Series | Observed, settings: Settings): Verdict {
  requireSound(limit, settings);
  const sound = asObserved(limit.kind, observed);
  const findings = findingsOf(limit, sound, settings.alpha);
  const ruling = findings === null ? unavailableRuling : rule(findings, limit, settings);
  const { atEnd, minRequests, strict, alpha } = settings;
  return {
    outcome: ruling.outcome,
    reasonCode: reasonOf(ruling),
    words: wordsFor(ruling, limit, settings, sound, findings),
    limit: limit.kind === 'error-rate' ? { kind: limit.kind, max: limit.max } : { ...limit },
    settings: { atEnd, minRequests, strict, alpha },
    observed: sound,
    findings,
  };
}

/**
 * Judges stored evidence again: the same bytes come out as went in, or the evidence was altered or made by other
 * rules. Throws `state_corrupt` for what is no verdict.
 */
export function replay(stored: unknown): Verdict {
  if (!isRecord(stored) || !isRecord(stored.limit) || !isRecord(stored.settings)) {
    throw new DeployError(
      'state_corrupt',
      'The stored evidence is not a verdict: it has no limit and settings.',
    );
  }
  return judgeLimit(
    stored.limit as Limit,
    stored.observed as Observed,
    stored.settings as unknown as Settings,
  );
}

/** Why a verdict is what it is. */
export type Because = 'evidence' | 'estimate' | 'too-few' | 'not-certain' | 'beyond-buckets' | 'unavailable';

export interface Ruling {
  outcome: Outcome;
  because: Because;
}

const unavailableRuling: Ruling = { outcome: 'inconclusive', because: 'unavailable' };

function findingsOf(limit: Limit, observed: Observed, alpha: number): Verdict['findings'] {
  if (limit.kind === 'error-rate' && observed.kind === 'ratio') {
    const { errors, total } = observed;
    return {
      kind: 'error-rate',
      n: total,
      errors,
      estimate: total === 0 ? null : errors / total,
      interval: confidenceInterval(errors, total, alpha, mixtureAround(limit.max)),
    };
  }
  if (limit.kind === 'response-time' && observed.kind === 'latency') {
    const buckets = observed.buckets.map(({ le, count }) => ({ le: le === '+Inf' ? Infinity : le, count }));
    const n = observed.total;
    const over = requestsOver(buckets, limit.max / 1_000);
    const allowed = Number((1 - limit.quantile).toPrecision(12));
    const share = (count: number) => confidenceInterval(count, n, alpha, mixtureAround(allowed));
    return {
      kind: 'response-time',
      n,
      over,
      estimate: quantileOf(buckets, limit.quantile, alpha),
      allowed,
      interval: { lower: share(over.least).lower, upper: share(over.most).upper },
      quantiles: [0.5, 0.95, 0.99].map((quantile) => quantileOf(buckets, quantile, alpha)),
    };
  }
  return null;
}

function rule(findings: ErrorRateFindings | ResponseTimeFindings, limit: Limit, settings: Settings): Ruling {
  const { n, interval } = findings;
  const allowed = findings.kind === 'error-rate' ? limit.max : findings.allowed;
  if (interval.lower > allowed) return { outcome: 'fail', because: 'evidence' };
  if (!settings.atEnd) return { outcome: 'undecided', because: n === 0 ? 'too-few' : 'not-certain' };
  if (n < settings.minRequests) return { outcome: 'inconclusive', because: 'too-few' };

  const within = isWithin(findings, limit);
  if (within === 'unknown') return { outcome: 'inconclusive', because: 'beyond-buckets' };
  if (within === 'no') return { outcome: 'fail', because: 'estimate' };
  if (settings.strict && interval.upper >= allowed)
    return { outcome: 'inconclusive', because: 'not-certain' };
  return { outcome: 'pass', because: 'estimate' };
}

/** Whether the estimate is under the limit, by quotients: 95 / 100 is exactly the number that 0.95 is read as. */
function isWithin(
  findings: ErrorRateFindings | ResponseTimeFindings,
  limit: Limit,
): 'yes' | 'no' | 'unknown' {
  if (limit.kind === 'error-rate' || findings.kind === 'error-rate') {
    return findings.kind === 'error-rate' && findings.errors / findings.n < limit.max ? 'yes' : 'no';
  }
  const { n, over } = findings;
  if ((n - (over.estimate ?? over.most)) / n > limit.quantile) return 'yes';
  return over.estimate === null ? 'unknown' : 'no';
}

function reasonOf({ outcome, because }: Ruling): ReasonCode {
  if (outcome === 'pass') return 'ok';
  if (outcome === 'fail') return 'limit_exceeded';
  return because === 'unavailable' ? 'metrics_unavailable' : 'insufficient_data';
}

function requireSound(limit: Limit, settings: Settings): void {
  const share = (value: number) => value > 0 && value < 1;
  const problems: string[] = [];
  if (limit.kind === 'error-rate') {
    if (!share(limit.max))
      problems.push(`the error rate's limit is ${limit.max}; it must be between 0 and 1`);
  } else if (limit.kind === 'response-time') {
    if (!(limit.max > 0 && limit.max < Infinity)) {
      problems.push(`the response time's limit is ${limit.max} ms; it must be more than 0`);
    }
    if (!share(limit.quantile))
      problems.push(`the quantile is ${limit.quantile}; it must be between 0 and 1`);
  } else {
    problems.push(
      `the limit's kind is ${String((limit as { kind: unknown }).kind)}; known: error-rate, response-time`,
    );
  }
  if (!(settings.alpha > 0 && settings.alpha <= 0.5)) {
    problems.push(`alpha is ${settings.alpha}; it must be more than 0 and at most 0.5`);
  }
  if (!Number.isSafeInteger(settings.minRequests) || settings.minRequests < 1) {
    problems.push(`min-requests is ${settings.minRequests}; it must be a whole number from 1 up`);
  }
  if (problems.length > 0) {
    throw new DeployError('invalid_input', `Nothing can be judged like this: ${problems.join('; ')}.`);
  }
}
