import { confidenceInterval, mixtureAround } from './confidence-sequence.ts';

/** A cumulative histogram: how many requests took at most `le` seconds; ascending from 0, the last bound is Infinity. */
export type Buckets = readonly { le: number; count: number }[];

/** How many requests took longer than a limit, as far as the buckets can tell. */
export interface Over {
  least: number;
  most: number;
  /**
   * Interpolated between the two bounds around the limit; equal to `least` and `most` when the limit is itself a
   * bound; null when the limit is beyond the last finite bound and anything between `least` and `most` is possible.
   */
  estimate: number | null;
  /** The bounds in seconds around the limit; equal when it is one of them; `above` null is the overflow bucket. */
  below: number;
  above: number | null;
}

/** A quantile of the response times, in milliseconds. */
export interface QuantileEstimate {
  quantile: number;
  /** Null when it lies beyond the last finite bound, or there were no requests. */
  estimate: number | null;
  /** Always-valid interval, at bucket bounds; `upper` null means that no bound is known to be above it. */
  lower: number;
  upper: number | null;
}

/** Bounds that differ by less are the same: a limit of 570 ms is the bound 0.57 s in whatever unit it came. */
const sameBound = 1e-9;

export function requestsOver(buckets: Buckets, limitSeconds: number): Over {
  const total = buckets.at(-1)?.count ?? 0;
  let below = { le: 0, count: 0 };
  for (const bucket of buckets) {
    if (Math.abs(bucket.le - limitSeconds) <= sameBound * limitSeconds) {
      const over = total - bucket.count;
      return { least: over, most: over, estimate: over, below: bucket.le, above: bucket.le };
    }
    if (bucket.le > limitSeconds) {
      const overflow = bucket.le === Infinity;
      const within = interpolate(below.le, bucket.le, below.count, bucket.count, limitSeconds);
      return {
        least: total - bucket.count,
        most: total - below.count,
        estimate: overflow ? null : total - within,
        below: below.le,
        above: overflow ? null : bucket.le,
      };
    }
    below = bucket;
  }
  return { least: 0, most: total, estimate: null, below: below.le, above: null };
}

/**
 * The quantile and its interval. The estimate is linear inside a bucket, from 0 in the first, as Prometheus does it.
 * A bound is below the quantile when the share of requests within it is certainly smaller than the quantile, and
 * above it when that share is certainly larger; both from one confidence sequence, because the count at any bound
 * below the true quantile is at most the count at the quantile itself (Howard and Ramdas 2022, "Sequential estimation
 * of quantiles with applications to A/B testing and best-arm identification", Bernoulli 28(3)).
 */
export function quantileOf(buckets: Buckets, quantile: number, alpha: number): QuantileEstimate {
  const total = buckets.at(-1)?.count ?? 0;
  const mixture = mixtureAround(1 - quantile);
  let lower = 0;
  let upper: number | null = null;
  for (const { le, count } of buckets) {
    if (le === Infinity) continue;
    const over = confidenceInterval(total - count, total, alpha, mixture);
    if (over.lower > 1 - quantile) lower = le;
    if (over.upper < 1 - quantile) upper ??= le;
  }
  return {
    quantile,
    estimate: interpolatedQuantile(buckets, quantile * total),
    lower: milliseconds(lower),
    upper: upper === null ? null : milliseconds(upper),
  };
}

/** Where a run of empty buckets leaves a range of answers, the highest: then it agrees with the share over a limit. */
function interpolatedQuantile(buckets: Buckets, rank: number): number | null {
  let below = { le: 0, count: 0 };
  for (const bucket of buckets) {
    if (bucket.count > rank) {
      if (bucket.le === Infinity) return null;
      return milliseconds(interpolate(below.count, bucket.count, below.le, bucket.le, rank));
    }
    below = bucket;
  }
  return null;
}

function interpolate(fromX: number, toX: number, fromY: number, toY: number, x: number): number {
  return fromY + ((x - fromX) / (toX - fromX)) * (toY - fromY);
}

/** Milliseconds without the noise of binary fractions (0.07 s is 70 ms, not 70.00000000000001). */
function milliseconds(seconds: number): number {
  return Number((seconds * 1_000).toPrecision(12));
}
