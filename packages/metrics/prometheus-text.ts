import { DeployError } from '@deploy-actions/core';

/**
 * A strict reader of what `/metrics` answers: the Prometheus text format 0.0.4 and the basics of OpenMetrics 1.0
 * (https://prometheus.io/docs/instrumenting/exposition_formats/, https://prometheus.io/docs/specs/om/open_metrics_spec/).
 * Anything that is not that format is an error with its line, never skipped: a text that was cut or mixed up must
 * not be judged. Names in quotes (UTF-8 names) are not read.
 */
export interface Exposition {
  /** The declared type of each metric family, as written: `counter`, `gauge`, `histogram`, … */
  types: Map<string, string>;
  samples: Sample[];
}

export interface Sample {
  name: string;
  labels: ReadonlyMap<string, string>;
  /** As written: may be NaN or infinite. */
  value: number;
  /** As written, in the format's own unit; undefined for nearly every exporter. */
  timestamp: number | undefined;
  line: number;
}

export interface ParseOptions {
  /** OpenMetrics has to end with `# EOF`, may have exemplars, and counts timestamps in seconds. */
  format?: 'prometheus' | 'openmetrics';
  /** Characters; 16 Mi where nothing is said. */
  maxLength?: number;
}

export const defaultMaxLength = 16 * 1024 * 1024;

const types = {
  prometheus: new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped']),
  openmetrics: new Set([
    'counter',
    'gauge',
    'histogram',
    'gaugehistogram',
    'summary',
    'info',
    'stateset',
    'unknown',
  ]),
};
const comment = /^#[ \t]*(HELP|TYPE)(?:[ \t]+([^ \t]+))?(?:[ \t]+(.*))?$/s;
const metricName = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const label = /[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"([^"\\]*(?:\\[\\"n][^"\\]*)*)"[ \t]*/y;
const number = /[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)(?=[ \t]|$)/iy;
const timestamp = { prometheus: /-?\d+(?=[ \t]|$)/y, openmetrics: /-?\d+(?:\.\d+)?(?=[ \t]|$)/y };
const noLabels: ReadonlyMap<string, string> = new Map();

/** Throws `metrics_unavailable` with `line N: …` for the first thing that is not the format. */
export function parsePrometheusText(text: string, options: ParseOptions = {}): Exposition {
  const format = options.format ?? 'prometheus';
  const maxLength = options.maxLength ?? defaultMaxLength;
  if (text.length > maxLength) {
    throw unreadable(1, `the text has ${text.length} characters; at most ${maxLength} are read`);
  }
  const result: Exposition = { types: new Map(), samples: [] };
  const sampled = new Set<string>();
  let ended = false;
  for (let start = 0, line = 1; start < text.length; line += 1) {
    const end = text.indexOf('\n', start);
    if (end === -1) throw unreadable(line, 'the text ends within a line; the answer was cut off');
    if (ended) throw unreadable(line, 'there is more after # EOF');
    const content = text.slice(skipBlanks(text, start), end);
    start = end + 1;
    if (content.startsWith('#')) {
      ended = format === 'openmetrics' && content === '# EOF';
      if (!ended) readComment(content, line, format, result.types, sampled);
    } else if (content !== '') {
      const sample = readSample(content, line, format);
      sampled.add(sample.name);
      result.samples.push(sample);
    }
  }
  if (format === 'openmetrics' && !ended) {
    throw unreadable(text.split('\n').length, 'the text does not end with # EOF; the answer was cut off');
  }
  return result;
}

function readComment(
  content: string,
  line: number,
  format: 'prometheus' | 'openmetrics',
  declared: Map<string, string>,
  sampled: Set<string>,
): void {
  const [, keyword, name, rest] = comment.exec(content) ?? [];
  if (keyword === undefined) return;
  if (name === undefined || matchAt(metricName, name, 0)?.[0] !== name) {
    throw unreadable(line, `${keyword} needs the name of a metric, not ${quote(name ?? '')}`);
  }
  if (keyword === 'HELP') return;
  const type = (rest ?? '').trim();
  if (!types[format].has(type)) {
    throw unreadable(line, `${quote(type)} is no type of a metric; known: ${[...types[format]].join(', ')}`);
  }
  if (declared.has(name)) throw unreadable(line, `the type of ${name} is declared a second time`);
  if (sampled.has(name)) throw unreadable(line, `the type of ${name} is declared after its samples`);
  declared.set(name, type);
}

function readSample(content: string, line: number, format: 'prometheus' | 'openmetrics'): Sample {
  const name = matchAt(metricName, content, 0)?.[0];
  if (name === undefined) throw unreadable(line, `a metric name was expected at ${quote(content)}`);
  let at = skipBlanks(content, name.length);
  let labels = noLabels;
  if (content[at] === '{') {
    const read = readLabels(content, at + 1, line);
    labels = read.labels;
    at = skipBlanks(content, read.end);
  } else if (at === name.length && at < content.length) {
    throw unreadable(line, `a blank or { was expected after ${name}, not ${quote(content.slice(at))}`);
  }
  const value = matchAt(number, content, at)?.[0];
  if (value === undefined) throw unreadable(line, `a number was expected at ${quote(content.slice(at))}`);
  at = skipBlanks(content, at + value.length);
  const time = matchAt(timestamp[format], content, at)?.[0];
  if (time !== undefined) at = skipBlanks(content, at + time.length);
  const exemplar = format === 'openmetrics' && content.startsWith('# {', at);
  if (at < content.length && !exemplar) {
    throw unreadable(line, `the end of the line was expected, not ${quote(content.slice(at))}`);
  }
  return {
    name,
    labels,
    value: toNumber(value),
    timestamp: time === undefined ? undefined : Number(time),
    line,
  };
}

/** Labels from behind `{` to behind `}`. */
function readLabels(
  content: string,
  from: number,
  line: number,
): { labels: ReadonlyMap<string, string>; end: number } {
  const labels = new Map<string, string>();
  let at = skipBlanks(content, from);
  while (content[at] !== '}') {
    const match = matchAt(label, content, at);
    if (match === null) throw unreadable(line, `a label was expected at ${quote(content.slice(at))}`);
    const [whole, name = '', value = ''] = match;
    if (labels.has(name)) throw unreadable(line, `the label ${name} is there twice`);
    labels.set(name, unescape(value));
    at += whole.length;
    if (content[at] === ',') at = skipBlanks(content, at + 1);
    else if (content[at] !== '}')
      throw unreadable(line, `, or } was expected at ${quote(content.slice(at))}`);
  }
  return { labels, end: at + 1 };
}

function unescape(value: string): string {
  return value.includes('\\')
    ? value.replace(/\\(.)/g, (_, char: string) => (char === 'n' ? '\n' : char))
    : value;
}

function toNumber(written: string): number {
  const plain = Number(written);
  if (!Number.isNaN(plain)) return plain;
  if (/nan/i.test(written)) return NaN;
  return written.startsWith('-') ? -Infinity : Infinity;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (text[at] === ' ' || text[at] === '\t') at += 1;
  return at;
}

function quote(text: string): string {
  return text === ''
    ? 'the end of the line'
    : JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

function unreadable(line: number, problem: string): DeployError {
  return new DeployError('metrics_unavailable', `line ${line}: ${problem}`);
}
