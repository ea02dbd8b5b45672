import { DeployError } from '@deploy-actions/core';
import { unavailable, type Counters } from './counters.ts';
import { boundOf, requireHistograms, requireSameBounds, type HistogramSamples } from './histogram-samples.ts';
import type { LatencySeries, MetricQuery, RatioSeries, Series } from './port.ts';
import type { Exposition, Sample } from './prometheus-text.ts';
import { parseSelector, select, seriesKey, type Selector } from './selector.ts';

type RatioQuery = Extract<MetricQuery, { kind: 'ratio' }>;
type LatencyQuery = Extract<MetricQuery, { kind: 'latency' }>;

/** What a query needs of one endpoint's answer: the series by what they are for. */
export type Found =
  { kind: 'ratio'; errors: Sample[]; total: Sample[] } | ({ kind: 'latency' } & HistogramSamples);

/** One endpoint over the window. */
export interface Grown {
  endpoint: string;
  exposition: Exposition;
  found: Found;
  /** How much each series grew. */
  counters: Counters;
}

/** A query understood. `find` and `series` throw `metrics_unavailable` for what cannot be trusted. */
export interface Plan {
  /** The query in words of selectors, for evidence. */
  text: string;
  find(exposition: Exposition): Found;
  series(grown: readonly Grown[], window: number): Series;
}

/** Throws `invalid_input` for a selector that cannot be read. */
export function planFor(query: MetricQuery): Plan {
  switch (query.kind) {
    case 'ratio':
      return ratioPlan(query);
    case 'latency':
      return latencyPlan(query);
    case 'counts':
      throw new DeployError(
        'invalid_input',
        `${JSON.stringify(query.total)} is an expression; an endpoint that is scraped has only selectors.`,
        { remedy: 'Give a selector such as name{label="value"}, or read from a Prometheus server.' },
      );
  }
}

export function samplesOf(found: Found): Sample[] {
  return found.kind === 'ratio'
    ? [...found.errors, ...found.total]
    : [...found.bucket, ...found.sum, ...found.count];
}

function ratioPlan(query: RatioQuery): Plan {
  const errors = parseSelector(query.errors);
  const total = parseSelector(query.total);
  const text = `${errors.text} / ${total.text}`;
  return {
    text,
    find(exposition) {
      requireCounter(exposition, errors.name);
      requireCounter(exposition, total.name);
      return {
        kind: 'ratio',
        errors: select(exposition.samples, errors),
        total: select(exposition.samples, total),
      };
    },
    series(grown, window): RatioSeries {
      requirePresent(total, grown, total.name);
      const sum = (role: 'errors' | 'total') =>
        sumOf(grown, ({ found }) => (found.kind === 'ratio' ? found[role] : []));
      const counted = { errors: sum('errors'), total: sum('total') };
      if (counted.errors > counted.total) {
        throw unavailable(`${text}: there are ${counted.errors} errors of ${counted.total} requests`);
      }
      const nowhere = grown.every(({ exposition }) => isAbsent(exposition, errors.name, errors.name));
      const notes = nowhere ? [`No endpoint has a metric ${errors.name} yet: its errors count as 0.`] : [];
      return { kind: 'ratio', name: query.name, query: text, window, ...counted, notes };
    },
  };
}

function latencyPlan(query: LatencyQuery): Plan {
  const selector = parseSelector(query.histogram);
  return {
    text: selector.text,
    find(exposition) {
      requireType(exposition, selector.name, ['histogram', 'untyped', 'unknown'], 'a histogram is needed');
      const found = {
        bucket: select(exposition.samples, selector, '_bucket'),
        sum: select(exposition.samples, selector, '_sum'),
        count: select(exposition.samples, selector, '_count'),
      };
      requireHistograms(found);
      return { kind: 'latency', ...found };
    },
    series(grown, window): LatencySeries {
      requirePresent(selector, grown, `${selector.name}_bucket`);
      const sum = (role: keyof HistogramSamples, which?: (sample: Sample) => boolean) =>
        sumOf(grown, ({ found }) => (found.kind === 'latency' ? found[role] : []), which);
      const all = grown.flatMap(({ found }) => (found.kind === 'latency' ? found.bucket : []));
      requireSameBounds(all);
      const bounds = [...new Set([...all.map(boundOf), Infinity])].toSorted((a, b) => a - b);
      const buckets = bounds.map((le) => ({ le, count: sum('bucket', (sample) => boundOf(sample) === le) }));
      const total = sum('count');
      const fits = buckets.every(({ count }, i) => count >= (buckets[i - 1]?.count ?? 0));
      if (!fits || buckets.at(-1)?.count !== total) {
        throw unavailable(`${selector.text}: the buckets did not grow together`);
      }
      return {
        kind: 'latency',
        name: query.name,
        query: selector.text,
        window,
        buckets,
        total,
        sum: sum('sum'),
        notes: [],
      };
    },
  };
}

/** The sum of what these series grew by, over all endpoints. */
function sumOf(
  grown: readonly Grown[],
  samplesIn: (grown: Grown) => Sample[],
  which: (sample: Sample) => boolean = () => true,
): number {
  let sum = 0;
  for (const one of grown) {
    for (const sample of samplesIn(one).filter(which)) sum += one.counters.get(seriesKey(sample)) ?? 0;
  }
  return sum;
}

function requireCounter(exposition: Exposition, metric: string): void {
  const needed = `a counter is needed, such as ${metric}_count of a histogram`;
  requireType(exposition, metric, ['counter', 'untyped', 'unknown'], needed);
}

function requireType({ types }: Exposition, metric: string, allowed: string[], needed: string): void {
  const type = types.get(metric);
  if (type !== undefined && !allowed.includes(type)) throw unavailable(`${metric} is a ${type}; ${needed}`);
}

/** Libraries that declare a metric before its first series show that nothing was counted; silence shows nothing. */
function requirePresent({ name }: Selector, grown: readonly Grown[], sampleName: string): void {
  const without = grown.filter(({ exposition }) => isAbsent(exposition, name, sampleName));
  if (without.length > 0) {
    const where = without.map(({ endpoint }) => endpoint).join(', ');
    throw unavailable(`${where}: there is no metric ${name}, neither declared nor counted`);
  }
}

/** Whether a metric is neither declared nor counted under any labels. OpenMetrics declares `x_total` as `x`. */
function isAbsent({ types, samples }: Exposition, metric: string, sampleName: string): boolean {
  const family = metric.replace(/_(?:total|count|sum|bucket)$/, '');
  return !types.has(metric) && !types.has(family) && !samples.some(({ name }) => name === sampleName);
}
