import type { Json } from '@deploy-actions/core';

/**
 * What is asked of a metric source. Texts may hold `{slot}` and `{version}`, filled in by the caller. `ratio` and `latency`
 * have selectors of counters; `counts` has two expressions in the source's own language, each of which gives the number of
 * events of the last `{window}`, which the source fills in.
 */
export type MetricQuery =
  | { kind: 'ratio'; name: string; errors: string; total: string }
  | { kind: 'counts'; name: string; errors: string; total: string }
  | { kind: 'latency'; name: string; histogram: string };

/** A count of events out of a total, over a window. */
export interface RatioSeries {
  kind: 'ratio';
  name: string;
  query: string;
  /** Milliseconds that the counts cover. */
  window: number;
  errors: number;
  total: number;
  /** Sentences that a reader of the counts should know: a counter that began again, a series that is not there. */
  notes?: string[];
}

/** A histogram over a window: how many requests took at most `le` seconds (cumulative), ending with Infinity. */
export interface LatencySeries {
  kind: 'latency';
  name: string;
  query: string;
  window: number;
  buckets: { le: number; count: number }[];
  total: number;
  /** Sum of the durations in seconds. */
  sum: number;
  notes?: string[];
}

export type Series = RatioSeries | LatencySeries;

/** What a source needs to count from: readings of counters, or a time. Plain JSON, so that it can be journalled. */
export type Baseline = Json;

/**
 * What is observed. A window begins with `begin` and ends when `series` is called; counts are of what happened in
 * between, never a bare number. Because a baseline is data, a window survives the process that began it. Both throw
 * `metrics_unavailable` for anything that cannot be trusted: NaN, infinities, an endpoint that is unreachable, late
 * or malformed, a series that is not there.
 */
export interface MetricSource {
  readonly name: string;
  begin(query: MetricQuery, signal: AbortSignal): Promise<Baseline>;
  series(query: MetricQuery, baseline: Baseline, signal: AbortSignal): Promise<Series>;
}
