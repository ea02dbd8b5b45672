import { DeployError, formatDuration, isRecord } from '@deploy-actions/core';
import { unavailable } from '../counters.ts';
import { boundOf } from '../histogram-samples.ts';
import type { Baseline, MetricQuery, MetricSource, Series } from '../port.ts';
import { describeQuery } from '../query.ts';
import { planFor } from '../scrape-query.ts';
import { parseSelector, type Selector } from '../selector.ts';
import { describeLabels, type Answer, type RawSeries } from './answer.ts';
import { createPrometheusApi, type PrometheusApi, type PrometheusOptions } from './api.ts';
import { countByExpressions, requireExpressions } from './expressions.ts';
import { growthOf, targetOf } from './growth.ts';
import { serverTime } from './preflight.ts';

/** How far back before the window samples are read, to know the rhythm of scrapes: what Prometheus itself looks back. */
const lookback = 300_000;
/** A longer window is read in parts, so that no answer is larger than its time. */
const longestPart = 900_000;

/**
 * Reads counters out of a Prometheus server, or what has its API (Thanos, Mimir, VictoriaMetrics). The server keeps the
 * past, so a baseline is but its own time when the window began; a series is counted from the raw samples since, which
 * `selector[window]` gives: exact, whole and aware of restarts (see `growthOf`). Selectors mean what they mean to a scrape.
 *
 * What is counted was scraped between the first and the last scrape within the window, so a window needs at least two
 * scrapes, and before the second nothing is counted (which no verdict passes). Beyond what `growthOf` and the API refuse,
 * it is `metrics_unavailable` when no series of the requests is there, and when none of the errors is and nothing shows
 * that one would have the labels that are asked for: a mistyped selector must not read as "no errors".
 *
 * Throws `invalid_input` for a URL, a secret, a selector or an expression that cannot be used; the methods throw
 * `metrics_unavailable` with server and query in its details, and `cancelled`.
 */
export function createPrometheus(options: PrometheusOptions): MetricSource {
  const api = createPrometheusApi(options);
  return {
    name: 'prometheus',
    begin: (query, signal) =>
      orUnavailable(api, query, async () => {
        requireReadable(query);
        const at = await serverTime(api, signal);
        return { source: 'prometheus', server: api.shown, query: describeQuery(query), at };
      }),
    series: (query, baseline, signal) =>
      orUnavailable(api, query, async () => {
        requireReadable(query);
        const from = beginningOf(baseline, query, api);
        const now = await serverTime(api, signal);
        if (now < from) {
          throw unavailable(`the clock of the server went back by ${formatDuration(from - now)}`);
        }
        return query.kind === 'counts'
          ? countByExpressions(api, query, { from, now }, signal)
          : countBySamples(api, query, { from, now }, signal);
      }),
  };
}

function requireReadable(query: MetricQuery): void {
  if (query.kind === 'counts') requireExpressions(query);
  else planFor(query);
}

/** Whatever a server does to a query leaves the figures unknown; whoever asks has one error to expect. */
async function orUnavailable<T>(api: PrometheusApi, query: MetricQuery, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (thrown) {
    const about = thrown instanceof DeployError ? thrown : undefined;
    if (about === undefined || about.reasonCode === 'cancelled') throw thrown;
    // The queries of the API name themselves; what was found wrong in the answers is of the whole.
    const isTold = about.details.length > 0;
    if (about.reasonCode === 'invalid_input' && !isTold) throw about;
    const message = isTold ? about.message : `Prometheus at ${api.shown}: ${about.message}`;
    const details = isTold ? about.details : [`server: ${api.shown}`, `query: ${describeQuery(query)}`];
    throw new DeployError('metrics_unavailable', message, {
      remedy: about.remedy,
      details,
      cause: about.cause ?? about,
    });
  }
}

/** A baseline comes back from a journal: it must be of this query and of this server. */
function beginningOf(baseline: Baseline, query: MetricQuery, api: PrometheusApi): number {
  if (!isRecord(baseline) || baseline['source'] !== 'prometheus' || !Number.isFinite(baseline['at'])) {
    throw unavailable('the baseline is not one of Prometheus');
  }
  const wanted = describeQuery(query);
  for (const [name, expected] of [
    ['query', wanted],
    ['server', api.shown],
  ] as const) {
    if (baseline[name] !== expected) {
      throw unavailable(`the baseline is of ${JSON.stringify(baseline[name])}, not of ${expected}`);
    }
  }
  return baseline['at'] as number;
}

interface Span {
  from: number;
  now: number;
}

async function countBySamples(
  api: PrometheusApi,
  query: Exclude<MetricQuery, { kind: 'counts' }>,
  { from, now }: Span,
  signal: AbortSignal,
): Promise<Series> {
  const plan = planFor(query);
  const reader = readerOf(api, { from: from - lookback, now }, signal);
  const total = await reader.read(wantedTotal(query));
  const counted = query.kind === 'ratio' ? parseSelector(query.total).text : query.histogram;
  if (total.length === 0) {
    throw unavailable(
      `no series of ${counted} has a sample of the last ${formatDuration(now - from + lookback)}`,
    );
  }
  const errors = query.kind === 'ratio' ? await readErrors(api, reader, query, total, now, signal) : [];
  if (query.kind === 'latency') requireBounds(total);
  const up = await reader.read(wantedUp([...total, ...errors]));
  const growth = growthOf({ total, errors, up, from, now });
  const noted = (series: Series): Series => {
    const notes = [...reader.notes(), ...(growth?.notes ?? []), ...(series.notes ?? [])];
    const { notes: _, ...bare } = series;
    return notes.length === 0 ? bare : { ...bare, notes };
  };
  if (growth === undefined) return noted(nothingYet(query, plan.text, now - from));
  const { samples, counters, window } = growth;
  const exposition = { types: new Map<string, string>(), samples };
  return noted(
    plan.series([{ endpoint: api.shown, exposition, found: plan.find(exposition), counters }], window),
  );
}

function nothingYet(query: MetricQuery, text: string, window: number): Series {
  const common = { name: query.name, query: text, window, total: 0 };
  const notes = ['Prometheus has no sample since the window began.'];
  return query.kind === 'latency'
    ? { kind: 'latency', ...common, buckets: [{ le: Infinity, count: 0 }], sum: 0, notes }
    : { kind: 'ratio', ...common, errors: 0, notes };
}

/** What is asked for: its text, and whether a series is of it. */
interface Wanted {
  text: string;
  includes(series: RawSeries): boolean;
}

function wantedBy({ text, name, matchers }: Selector, names: readonly string[] = [name]): Wanted {
  return {
    text,
    includes: ({ labels }) =>
      names.includes(labels.get('__name__') ?? '') &&
      matchers.every(({ label, matches }) => matches(labels.get(label) ?? '')),
  };
}

/** All that is counted; of a histogram its three kinds of series at once, out of the same scrapes. */
function wantedTotal(query: Exclude<MetricQuery, { kind: 'counts' }>): Wanted {
  if (query.kind === 'ratio') return wantedBy(parseSelector(query.total));
  const selector = parseSelector(query.histogram);
  const names = ['bucket', 'sum', 'count'].map((part) => `${selector.name}_${part}`);
  const others = selector.matchers.map(
    ({ label, operator, value }) => `${label}${operator}${JSON.stringify(value)}`,
  );
  const text = `{${[`__name__=~"${names.join('|')}"`, ...others].join(',')}}`;
  return wantedBy({ ...selector, text }, names);
}

/**
 * Series of errors that are not among those of all requests. They are read after them, and samples of scrapes that those
 * do not have yet are left out: both are counted over the same scrapes.
 */
async function readErrors(
  api: PrometheusApi,
  reader: Reader,
  query: Extract<MetricQuery, { kind: 'ratio' }>,
  total: readonly RawSeries[],
  now: number,
  signal: AbortSignal,
): Promise<RawSeries[]> {
  const [errors, all] = [parseSelector(query.errors), parseSelector(query.total)];
  const known = new Set(total.map(({ labels }) => describeLabels(labels)));
  if (covers(all, errors)) {
    if (!total.some(wantedBy(errors).includes)) await requireLabels(api, errors, now, signal);
    return [];
  }
  const found = await reader.read(wantedBy(errors));
  if (found.length === 0) await requireLabels(api, errors, now, signal);
  const newestOf = new Map<string, number>();
  for (const one of total) {
    const target = targetOf(one);
    newestOf.set(target, Math.max(newestOf.get(target) ?? -Infinity, one.points.at(-1)?.at ?? -Infinity));
  }
  return found
    .filter(({ labels }) => !known.has(describeLabels(labels)))
    .map((one) => {
      const newest = newestOf.get(targetOf(one)) ?? Infinity;
      return { ...one, points: one.points.filter(({ at }) => at <= newest) };
    })
    .filter(({ points }) => points.length > 0);
}

/** Whether every series that `part` selects is one that `whole` does, by how they are written. */
function covers(whole: Selector, part: Selector): boolean {
  return (
    whole.name === part.name &&
    whole.matchers.every(({ label, operator, value }) =>
      part.matchers.some((one) => one.label === label && one.operator === operator && one.value === value),
    )
  );
}

/** Without errors there need be no series of them, but the metric has to be there, with the labels that tell them. */
async function requireLabels(
  api: PrometheusApi,
  { name, matchers }: Selector,
  now: number,
  signal: AbortSignal,
): Promise<void> {
  const needed = matchers.filter(({ matches }) => !matches('')).map(({ label }) => `${label}!=""`);
  const { result } = await api.instant(
    `count(last_over_time(${name}{${needed.join(',')}}[1h]))`,
    now,
    signal,
  );
  if (result.type === 'vector' && result.series.length > 0) return;
  const labels =
    needed.length === 0 ? '' : ` with ${needed.map((one) => one.replace('!=""', '')).join(' and ')}`;
  throw new DeployError(
    'metrics_unavailable',
    `there is no series ${name}${labels}, so that no errors would be seen if there were any`,
    { remedy: 'Check the selector; have the application show the counter of errors from its start, at 0.' },
  );
}

function requireBounds(series: readonly RawSeries[]): void {
  for (const { labels } of series) {
    if (labels.get('__name__')?.endsWith('_bucket') !== true) continue;
    const le = labels.get('le') ?? '';
    try {
      boundOf({ name: '', labels, value: 0, timestamp: undefined, line: 0 });
    } catch {
      throw unavailable(`${describeLabels(labels)}: the bucket has the bound ${JSON.stringify(le)}`);
    }
  }
}

function wantedUp(series: readonly RawSeries[]): Wanted {
  const matchers = ['job', 'instance'].map((label) => {
    const values = new Set(series.map(({ labels }) => labels.get(label) ?? ''));
    const escaped = [...values].map((value) => value.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')).join('|');
    return `${label}=~${JSON.stringify(escaped)}`;
  });
  return wantedBy(parseSelector(`up{${matchers.join(',')}}`));
}

interface Reader {
  read(wanted: Wanted): Promise<RawSeries[]>;
  /** What the server remarked. */
  notes(): string[];
}

/** Reads the raw samples of a span, part by part. */
function readerOf(api: PrometheusApi, { from, now }: Span, signal: AbortSignal): Reader {
  const notes = new Set<string>();
  const part = async (
    { text: selector, includes }: Wanted,
    start: number,
    end: number,
  ): Promise<RawSeries[]> => {
    const text = `${selector}[${end - start}ms]`;
    const answer: Answer = await api.instant(text, end, signal);
    for (const warning of answer.warnings) notes.add(`Prometheus warns: ${warning}`);
    if (answer.result.type !== 'matrix') throw unavailable(`${text} gave a ${answer.result.type}`);
    for (const one of answer.result.series) {
      const { labels, points } = one;
      // Left out without a word, it could be the one of the errors.
      if (!includes(one)) throw unavailable(`${describeLabels(labels)} is no series of ${selector}`);
      const stray = points.find(({ at }) => at < start || at > end);
      if (stray !== undefined) {
        const where = stray.at > end ? 'from the future' : 'from before the window';
        throw unavailable(`${describeLabels(labels)} has a sample ${where}`);
      }
    }
    return answer.result.series;
  };
  return {
    notes: () => [...notes],
    async read(wanted) {
      const found = new Map<string, RawSeries>();
      for (let start = from; start < now; start += longestPart) {
        for (const one of await part(wanted, start, Math.min(now, start + longestPart))) {
          const key = describeLabels(one.labels);
          const known = found.get(key);
          const last = known?.points.at(-1)?.at ?? -Infinity;
          // Before 3.0, a range has both its ends.
          const points = one.points.filter(({ at }) => at > last);
          found.set(key, { labels: one.labels, points: [...(known?.points ?? []), ...points] });
        }
      }
      return [...found.values()].filter(({ points }) => points.length > 0);
    },
  };
}
