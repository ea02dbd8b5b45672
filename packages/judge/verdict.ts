import type { ReasonCode } from '@deploy-actions/core';
import type { LatencySeries, RatioSeries } from '@deploy-actions/metrics';
import type { Interval } from './confidence-sequence.ts';
import type { Over, QuantileEstimate } from './histogram.ts';

/**
 * `pass` and `fail` are final. `undecided` is said before the end of a window: nothing is proven, carry on.
 * `inconclusive`: the data that a verdict needs are not there; what follows is the policy's to say (see `settle`).
 */
export type Outcome = 'pass' | 'fail' | 'inconclusive' | 'undecided';

/** `max` of an error rate is a share between 0 and 1; of a response time it is in milliseconds. */
export type Limit =
  { kind: 'error-rate'; max: number } | { kind: 'response-time'; max: number; quantile: number };

export interface Settings {
  /** Whether the window is over: only then is there a `pass`. */
  atEnd: boolean;
  /** Requests that a verdict by the estimate needs, at least 1. */
  minRequests: number;
  /** Pass only when the whole interval is under the limit. */
  strict: boolean;
  /**
   * The probability, between 0 and 0.5, of ever aborting at a look although the true value is within the limit. It
   * is for one limit over one window: with several, give each its part.
   */
  alpha: number;
}

/** No usable data, and why: the message of the source's `metrics_unavailable` error. */
export interface Unavailable {
  kind: 'unavailable';
  name: string;
  query: string;
  reason: string;
}

/** What was judged, as JSON: the overflow bucket's bound is written '+Inf'. */
export type Observed =
  | RatioSeries
  | (Omit<LatencySeries, 'buckets'> & { buckets: { le: number | '+Inf'; count: number }[] })
  | Unavailable;

export interface ErrorRateFindings {
  kind: 'error-rate';
  n: number;
  errors: number;
  /** Share of errors; null without requests. */
  estimate: number | null;
  /** Always-valid interval of the share of errors. */
  interval: Interval;
}

export interface ResponseTimeFindings {
  kind: 'response-time';
  n: number;
  over: Over;
  /** The quantile of the limit, in milliseconds. */
  estimate: QuantileEstimate;
  /** Share of requests that may take longer than the limit: 1 − quantile. */
  allowed: number;
  /**
   * Always-valid interval of the share that takes longer: its lower end from the requests that certainly did, its
   * upper end from those that possibly did.
   */
  interval: Interval;
  /** p50, p95 and p99. */
  quantiles: QuantileEstimate[];
}

/** A verdict is its own evidence: plain JSON that holds everything it was made from. */
export interface Verdict {
  outcome: Outcome;
  reasonCode: ReasonCode;
  /** One or two sentences for people. */
  words: string;
  limit: Limit;
  settings: Settings;
  observed: Observed;
  /** Null when the data are unavailable. */
  findings: ErrorRateFindings | ResponseTimeFindings | null;
}
