import { DeployError, isRecord } from '@deploy-actions/core';
import { unavailable } from '../counters.ts';

/** Milliseconds since 1970 by the server's clock, and a value that may be NaN or infinite. */
export interface Point {
  at: number;
  value: number;
}

export interface RawSeries {
  labels: ReadonlyMap<string, string>;
  points: Point[];
}

/** The `data` of a query. A vector's series have one point each. */
export type Result = { type: 'scalar'; point: Point } | { type: 'vector' | 'matrix'; series: RawSeries[] };

export interface Answer {
  result: Result;
  /** What made the server's answer incomplete, such as a store that did not answer. */
  warnings: string[];
  /** What the server remarks about the expression. */
  infos: string[];
}

/**
 * Reads a successful answer of /api/v1/query and /api/v1/query_range strictly
 * (https://prometheus.io/docs/prometheus/latest/querying/api/): anything that is not of that shape is an error, so that a
 * proxy's page, a cut text or another API's answer is never read as "no series". Throws `metrics_unavailable`.
 */
export function parseAnswer(json: unknown): Answer {
  if (!isRecord(json) || json['status'] !== 'success') throw wrong('its status is not "success"');
  const data = json['data'];
  if (!isRecord(data)) throw wrong('it has no data');
  const said = [...texts(json['warnings'], 'warnings')];
  // Before 3.0, remarks were among the warnings.
  const isInfo = (text: string) => text.startsWith('PromQL info:');
  return {
    result: resultOf(data['resultType'], data['result']),
    warnings: said.filter((text) => !isInfo(text)),
    infos: [...said.filter(isInfo), ...texts(json['infos'], 'infos')],
  };
}

function resultOf(type: unknown, result: unknown): Result {
  switch (type) {
    case 'scalar':
      return { type, point: pointOf(result, 'the scalar') };
    case 'vector':
    case 'matrix': {
      if (!Array.isArray(result)) throw wrong(`its ${type} is no list`);
      const series = (result as unknown[]).map((one, index) => seriesOf(type, one, `series ${index + 1}`));
      const seen = new Set<string>();
      for (const { labels } of series) {
        const key = describeLabels(labels);
        if (seen.has(key)) throw wrong(`${key} is there twice`);
        seen.add(key);
      }
      return { type, series };
    }
    default:
      throw wrong(`it holds ${typeof type === 'string' ? `a ${type}` : 'nothing that has a type'}`);
  }
}

function seriesOf(type: 'vector' | 'matrix', given: unknown, where: string): RawSeries {
  if (!isRecord(given) || !isRecord(given['metric'])) throw wrong(`${where} has no labels`);
  const labels = new Map<string, string>();
  for (const [name, value] of Object.entries(given['metric'])) {
    if (typeof value !== 'string') throw wrong(`${where}: the label ${name} is no text`);
    labels.set(name, value);
  }
  const shown = describeLabels(labels);
  if (given['histogram'] !== undefined || given['histograms'] !== undefined) {
    throw new DeployError(
      'metrics_unavailable',
      `${shown} is a native histogram; only classic ones are judged`,
      {
        remedy: 'Have Prometheus keep the classic buckets, too (`always_scrape_classic_histograms: true`).',
      },
    );
  }
  if (type === 'vector') return { labels, points: [pointOf(given['value'], shown)] };
  const { values } = given;
  if (!Array.isArray(values)) throw wrong(`${shown} has no values`);
  // Without one it would count as a series that does not rise, which errors must not be taken for.
  if (values.length === 0) throw wrong(`${shown} has no samples`);
  const points = (values as unknown[]).map((value) => pointOf(value, shown));
  const unordered = points.find(({ at }, i) => i > 0 && at <= (points[i - 1]?.at ?? -Infinity));
  if (unordered !== undefined) throw wrong(`the samples of ${shown} are not in order`);
  return { labels, points };
}

function pointOf(given: unknown, where: string): Point {
  const [at, text] = Array.isArray(given) && given.length === 2 ? (given as unknown[]) : [];
  if (typeof at !== 'number' || !Number.isFinite(at) || typeof text !== 'string') {
    throw wrong(`${where} has a sample that is no pair of time and value`);
  }
  return { at: Math.round(at * 1_000), value: numberOf(text, where) };
}

function numberOf(text: string, where: string): number {
  if (text === 'NaN') return Number.NaN;
  if (/^[+-]?Inf$/.test(text)) return text.startsWith('-') ? -Infinity : Infinity;
  const value = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) throw wrong(`${where} has the value ${JSON.stringify(text.slice(0, 40))}`);
  return value;
}

function texts(given: unknown, name: string): string[] {
  if (given === undefined || given === null) return [];
  if (!Array.isArray(given) || !given.every((text) => typeof text === 'string')) {
    throw wrong(`its ${name} are no texts`);
  }
  return given;
}

/** `name{a="1",b="2"}`, its labels in order. */
export function describeLabels(labels: ReadonlyMap<string, string>): string {
  const others = [...labels]
    .filter(([label]) => label !== '__name__')
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `${labels.get('__name__') ?? ''}{${others.map(([label, value]) => `${label}=${JSON.stringify(value)}`).join(',')}}`;
}

function wrong(problem: string): DeployError {
  return unavailable(`the answer is not one of Prometheus: ${problem}`);
}
