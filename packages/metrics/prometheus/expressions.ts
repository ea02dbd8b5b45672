import { DeployError, formatDuration } from '@deploy-actions/core';
import { unavailable } from '../counters.ts';
import type { MetricQuery, RatioSeries } from '../port.ts';
import { describeLabels, type Point } from './answer.ts';
import type { PrometheusApi } from './api.ts';

type CountsQuery = Extract<MetricQuery, { kind: 'counts' }>;

/** Servers may align the time of an evaluation, but not by more. */
const tolerance = 60_000;
/** The span of which a count of 0 may show that the data ended: long enough for two scrapes a minute apart. */
const leastRecent = 150_000;
/** So many requests are not all missing from a span by chance. */
const surelyMany = 20;

/** Throws `invalid_input` unless both count over the window: without it, they would count another time, or rates. */
export function requireExpressions({ errors, total }: CountsQuery): void {
  for (const expression of [errors, total]) {
    if (!expression.includes('{window}')) {
      throw new DeployError(
        'invalid_input',
        `The expression ${JSON.stringify(expression)} has no {window}, so it does not count what was in the window.`,
        { remedy: 'Count over it: sum(increase(http_requests_total{slot="{slot}"}[{window}])).' },
      );
    }
  }
}

/**
 * Counts by two expressions of the user's own, each of one value: several series are an error, as the first of them would
 * be one series for all; so is none, which is "no errors" or a mistyped name. What a server extrapolates is no whole count,
 * so that errors are rounded up and requests down.
 *
 * An expression hides how old its samples are. Instead, the requests of the last quarter of the window (at least 2.5
 * minutes) are counted beside the ones before: none, where there were twenty a quarter, means that the data ended.
 */
export async function countByExpressions(
  api: PrometheusApi,
  query: CountsQuery,
  { from, now }: { from: number; now: number },
  signal: AbortSignal,
): Promise<RatioSeries> {
  const window = Math.floor((now - from) / 1_000) * 1_000;
  const text = `${query.errors} / ${query.total}`;
  const common = { kind: 'ratio', name: query.name, query: text, window } as const;
  if (window === 0) return { ...common, errors: 0, total: 0, notes: ['The window has just begun.'] };
  const notes = new Set<string>();
  const count = async (expression: string): Promise<number> => {
    const resolved = fillWindow(expression, window);
    const { result, warnings, infos } = await api.instant(resolved, now, signal);
    for (const remark of [...warnings, ...infos]) notes.add(`Prometheus remarks: ${remark}`);
    const value = result.type === 'scalar' ? result.point : onlyOf(api, resolved, result);
    if (Math.abs(value.at - now) > tolerance) {
      const age = formatDuration(Math.abs(value.at - now));
      throw told(api, resolved, `its value is ${age} ${value.at > now ? 'from the future' : 'old'}`);
    }
    if (!(value.value >= 0 && value.value < Infinity)) throw told(api, resolved, `it is ${value.value}`);
    return value.value;
  };
  const total = await count(query.total);
  const errors = await count(query.errors);
  // The errors are read after the requests; extrapolated, they may be a little more when every request fails.
  if (errors > total * 1.1 + 1) {
    throw unavailable(`there are ${errors} errors of ${total} requests`);
  }
  await requireRecent(api, query.total, { from, now }, signal);
  const whole = Math.floor(total);
  return {
    ...common,
    errors: Math.min(whole, Math.ceil(errors)),
    total: whole,
    ...(notes.size > 0 && { notes: [...notes] }),
  };
}

/** `{window}` as a duration of PromQL. */
function fillWindow(expression: string, milliseconds: number): string {
  return expression.replaceAll('{window}', `${Math.round(milliseconds / 1_000)}s`);
}

function onlyOf(
  api: PrometheusApi,
  resolved: string,
  result: { type: 'vector' | 'matrix'; series: { labels: ReadonlyMap<string, string>; points: Point[] }[] },
): Point {
  const [only, ...others] = result.series;
  const point = only?.points[0];
  if (result.type === 'matrix') throw told(api, resolved, 'it gives a range of samples, not one count');
  if (only === undefined || point === undefined) {
    const remedy = 'Where nothing means none, say so in the expression: … or vector(0).';
    throw told(api, resolved, 'it gives nothing', remedy);
  }
  if (others.length > 0) {
    const { length } = result.series;
    const shown = result.series.slice(0, 3).map(({ labels }) => describeLabels(labels));
    const which = `${shown.join(', ')}${length > 3 ? ', …' : ''}`;
    throw told(api, resolved, `it gives ${length} series (${which}), not one`, 'Aggregate them: sum(…).');
  }
  return point;
}

async function requireRecent(
  api: PrometheusApi,
  expression: string,
  { from, now }: { from: number; now: number },
  signal: AbortSignal,
): Promise<void> {
  const recent = Math.max(Math.ceil((now - from) / 4_000) * 1_000, leastRecent);
  const spans = Math.floor((now - from) / recent);
  if (spans < 2) return;
  const resolved = fillWindow(expression, recent);
  const span = { from: now - (spans - 1) * recent, to: now, step: recent };
  const { result } = await api.range(resolved, span, signal);
  if (result.type !== 'matrix' || result.series.length > 1) {
    throw told(api, resolved, 'over a range, it is not one series');
  }
  const points = result.series[0]?.points ?? [];
  const isLast = ({ at }: Point) => Math.abs(at - now) <= tolerance;
  const last = points.find(isLast)?.value ?? 0;
  const before = points.filter((point) => !isLast(point)).map(({ value }) => value);
  const usual = before.reduce((sum, value) => sum + value, 0) / (spans - 1);
  if (!(last > 0) && !(usual < surelyMany)) {
    const problem = `it is 0, and was ${usual.toFixed(0)} before: the data ended, or the requests did`;
    throw told(api, resolved, problem);
  }
}

function told(api: PrometheusApi, resolved: string, problem: string, remedy?: string): DeployError {
  return new DeployError('metrics_unavailable', `Prometheus at ${api.shown}: ${resolved}: ${problem}`, {
    remedy,
    details: [`server: ${api.shown}`, `query: ${resolved}`],
  });
}
