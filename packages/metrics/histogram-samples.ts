import { unavailable } from './counters.ts';
import type { Sample } from './prometheus-text.ts';
import { seriesKey } from './selector.ts';

/** The three kinds of series that a histogram is written as. */
export interface HistogramSamples {
  bucket: Sample[];
  sum: Sample[];
  count: Sample[];
}

/** The upper bound of a bucket. Throws `metrics_unavailable` when it has none. */
export function boundOf({ labels, line }: Sample): number {
  const le = labels.get('le') ?? '';
  const bound = le === '+Inf' ? Infinity : le.trim() === '' ? NaN : Number(le);
  if (Number.isNaN(bound)) throw unavailable(`line ${line}: the bucket has the bound ${JSON.stringify(le)}`);
  return bound;
}

/**
 * Throws `metrics_unavailable`, naming the series, unless each has counts that rise with its bounds, a bucket +Inf
 * that equals its `_count`, a `_sum`, and the same bounds as the others.
 */
export function requireHistograms({ bucket, sum, count }: HistogramSamples): void {
  const series = Map.groupBy(bucket, (sample) => familyKey(sample, '_bucket'));
  const counts = new Map(count.map((sample) => [familyKey(sample, '_count'), sample.value]));
  const sums = new Set(sum.map((sample) => familyKey(sample, '_sum')));
  for (const [key, buckets] of series) {
    const inOrder = buckets.toSorted((a, b) => boundOf(a) - boundOf(b));
    for (const [i, one] of inOrder.entries()) {
      const previous = inOrder[i - 1];
      if (previous === undefined) continue;
      if (boundOf(one) === boundOf(previous))
        throw unavailable(`${key}: the bound ${boundOf(one)} is there twice`);
      if (one.value < previous.value) {
        throw unavailable(`${key}: the bucket up to ${boundOf(one)} counts less than the one before it`);
      }
    }
    const last = inOrder.at(-1);
    if (last === undefined || boundOf(last) !== Infinity)
      throw unavailable(`${key}: there is no bucket +Inf`);
    if (counts.get(key) !== last.value) {
      throw unavailable(
        `${key}: the bucket +Inf counts ${last.value}, _count says ${counts.get(key) ?? 'nothing'}`,
      );
    }
    if (!sums.has(key)) throw unavailable(`${key}: there is no _sum`);
  }
  const bare = [...counts.keys(), ...sums].find((key) => !series.has(key));
  if (bare !== undefined) throw unavailable(`${bare}: there are no buckets`);
  requireSameBounds(bucket);
}

/** Sums over series with different bounds would mean nothing. */
export function requireSameBounds(buckets: readonly Sample[]): void {
  let first: { key: string; bounds: string } | undefined;
  for (const [key, group] of Map.groupBy(buckets, (sample) => familyKey(sample, '_bucket'))) {
    const bounds = [...new Set(group.map(boundOf))].toSorted((a, b) => a - b).join(', ');
    first ??= { key, bounds };
    if (bounds !== first.bounds) {
      throw unavailable(`${key} has the bounds ${bounds}, but ${first.key} has ${first.bounds}`);
    }
  }
}

/** The key of a histogram's series, the same from each of its parts. */
function familyKey({ name, labels }: Sample, suffix: string): string {
  const others = [...labels].filter(([label]) => label !== 'le');
  return seriesKey({ name: name.slice(0, -suffix.length), labels: new Map(others) });
}
