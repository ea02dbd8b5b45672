import { formatDuration } from '@deploy-actions/core';
import { unavailable, type Counters } from '../counters.ts';
import type { Sample } from '../prometheus-text.ts';
import { seriesKey } from '../selector.ts';
import { describeLabels, type Point, type RawSeries } from './answer.ts';

/** Raw samples that a window is counted from. Times in milliseconds by the server's clock. */
export interface Sampled {
  /** Series of what is counted: all requests, or a histogram's. */
  total: readonly RawSeries[];
  /** Series of errors that are not among those of `total`. */
  errors: readonly RawSeries[];
  /** `up` of their targets, as far as the server has it. */
  up: readonly RawSeries[];
  /** When the window began. Samples from before it only tell the rhythm of the scrapes. */
  from: number;
  now: number;
}

export interface Growth {
  /** The newest sample of every series in the window. */
  samples: Sample[];
  counters: Counters;
  /** Milliseconds between the first and the last scrape that was counted. */
  window: number;
  notes: string[];
}

/** A target that was not read for so many scrapes counts as not read any more. */
const missedScrapes = 3;
/** Servers that are written to from afar are some seconds behind. */
const leastAge = 10_000;
/** For a target of which fewer than two scrapes are known. */
const unknownInterval = 60_000;

/**
 * How much counters grew within a window, out of the raw samples that a server stored.
 *
 * `increase()` is not used: it extrapolates to the ends of the range, so its counts are not whole, and it takes the first
 * sample of a series for its zero, so that the first errors of a version, which make the series of errors appear, are not
 * counted. Here the arithmetic is that of a scrape, target by target (the same `job` and `instance`):
 *
 * - A target's window begins with its first scrape at or after `from`. Nothing from before it is counted.
 * - A series that was not in that scrape and is in a later one counts from zero; one that has times of its own, or was
 *   there before and only not in that scrape, counts from its first sample, unless the process began again in between.
 * - When a counter falls, the process began again: all counters of the target count from zero from there on.
 *
 * `up` says which scrapes there were; without it, the samples themselves do. Undefined when no series has a sample in
 * the window yet. Throws `metrics_unavailable`:
 *
 * - for NaN, infinities and negative values;
 * - for a target whose last scrape failed (`up` is 0), of which `up` is there twice (two servers' data, not merged), or
 *   which is scraped but lost the series;
 * - when the newest sample is older than three scrapes, and 10 s: of one target without `up`, or of all. One that the
 *   server stopped to scrape while others go on is counted up to then, and noted.
 */
export function growthOf(sampled: Sampled): Growth | undefined {
  const { total, errors, up, from } = sampled;
  const all = [...total, ...errors];
  for (const one of all) requireCounts(one, from);
  const upOf = Map.groupBy(up, targetOf);
  const targets = [...Map.groupBy(all, targetOf)].map(([name, series]) =>
    targetState(name, series, upOf.get(name) ?? [], sampled),
  );
  const active = targets.filter(({ newest, maxAge }) => newest >= from - maxAge);
  const stopped = active.filter(({ status }) => status === 'stopped');
  const late = stopped.length === active.length ? stopped[0] : stopped.find(({ hasUp }) => !hasUp);
  if (late !== undefined) {
    const age = formatDuration(sampled.now - late.newest);
    throw unavailable(
      `the newest sample of ${late.name} is ${age} old, though it is read every ${formatDuration(late.interval)} (at most ${formatDuration(late.maxAge)} is trusted)`,
    );
  }
  const totals = new Set(total);
  const bare = active.find(({ hasUp, series }) => !hasUp && !series.some((one) => totals.has(one)));
  if (bare !== undefined) {
    throw unavailable(
      `${bare.name} has errors but no requests, and the server has no up of it: whether its errors are new cannot be told`,
    );
  }

  const counted = active.filter((target): target is Started => target.start !== undefined);
  if (active.length === 0 && all.length > 0) {
    const newest = Math.max(...targets.map((target) => target.newest));
    throw unavailable(`the newest sample is ${formatDuration(sampled.now - newest)} old: the series ended`);
  }
  if (!counted.some(({ series }) => series.some((one) => totals.has(one) && inWindow(one, from))))
    return undefined;
  const samples: Sample[] = [];
  const counters: Counters = new Map();
  const notes: string[] = [];
  for (const target of counted) {
    const restarts = restartsOf(target);
    const within = restarts.filter((at) => at > target.start).length;
    if (within > 0) {
      notes.push(
        `The counters of ${target.name} began again at zero ${within === 1 ? 'once' : `${within} times`}: what was counted since the last scrape before is not included.`,
      );
    }
    if (target.start - from > target.maxAge) {
      notes.push(
        `${target.name} was first read ${formatDuration(target.start - from)} after the window began.`,
      );
    }
    if (target.status === 'stopped') {
      notes.push(
        `${target.name} is not read any more since ${formatDuration(sampled.now - target.newest)}: it is counted up to then.`,
      );
    }
    for (const series of target.series) {
      const newest = series.points.at(-1);
      if (newest === undefined || newest.at < target.start) continue;
      const sample = sampleOf(series, newest.value);
      samples.push(sample);
      counters.set(seriesKey(sample), grown(series, target, restarts));
    }
  }
  const first = Math.min(...counted.map(({ start }) => start));
  const last = Math.max(...counted.map(({ newest }) => newest));
  return { samples, counters, window: Math.max(0, last - first), notes };
}

interface Target {
  name: string;
  series: RawSeries[];
  hasUp: boolean;
  /** Times of the scrapes that succeeded, in order. */
  scrapes: number[];
  interval: number;
  maxAge: number;
  /** The newest sample of its series. */
  newest: number;
  status: 'read' | 'stopped';
}

type Started = Target & { start: number };

function targetState(
  name: string,
  series: RawSeries[],
  ups: readonly RawSeries[],
  { from, now }: Sampled,
): Target & { start: number | undefined } {
  const up = scrapesOf(
    name,
    ups.filter((one) => series.some((other) => agree(one, other))),
  );
  const scrapes =
    up === undefined
      ? [...new Set(series.flatMap(({ points }) => points.map(({ at }) => at)))].toSorted((a, b) => a - b)
      : up.filter(({ value }) => value === 1).map(({ at }) => at);
  const interval = medianStep(up?.map(({ at }) => at) ?? scrapes) ?? unknownInterval;
  const maxAge = Math.max(missedScrapes * interval, leastAge);
  const newest = Math.max(...series.map(({ points }) => points.at(-1)?.at ?? -Infinity));
  const start = scrapes.find((at) => at >= from);
  const isLate = now - newest > maxAge;
  const lastUp = up?.at(-1);
  if (newest >= from - maxAge && lastUp !== undefined && now - lastUp.at <= maxAge) {
    if (lastUp.value !== 1) throw unavailable(`Prometheus cannot read ${name} (up is ${lastUp.value})`);
    if (isLate) {
      throw unavailable(`${name} is read, but its series ended ${formatDuration(now - newest)} ago`);
    }
  }
  return {
    ...{ name, series, hasUp: up !== undefined, scrapes, interval, maxAge, newest, start },
    status: isLate ? 'stopped' : 'read',
  };
}

/** The samples of `up` in order, undefined without any: of one series, or of several that followed one another. */
function scrapesOf(name: string, ups: readonly RawSeries[]): Point[] | undefined {
  const inTurn = ups
    .filter(({ points }) => points.length > 0)
    .toSorted((a, b) => (a.points[0]?.at ?? 0) - (b.points[0]?.at ?? 0));
  for (const [i, { points }] of inTurn.entries()) {
    const next = inTurn[i + 1]?.points[0];
    if (next !== undefined && next.at <= (points.at(-1)?.at ?? 0)) {
      const shown = inTurn.map(({ labels }) => describeLabels(labels)).join(', ');
      throw unavailable(
        `${name} is scraped ${inTurn.length} times (${shown}): its requests would count double`,
      );
    }
  }
  return inTurn.length === 0 ? undefined : inTurn.flatMap(({ points }) => points);
}

/** Labels of a target are on all its series: where both have a label, it is the same. */
function agree(up: RawSeries, { labels }: RawSeries): boolean {
  return [...up.labels].every(
    ([label, value]) => label === '__name__' || (labels.get(label) ?? value) === value,
  );
}

/** `job/instance`, or what there is of it. */
export function targetOf({ labels }: RawSeries): string {
  return `${labels.get('job') ?? '-'}/${labels.get('instance') ?? '-'}`;
}

function medianStep(times: readonly number[]): number | undefined {
  const steps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
  return steps.toSorted((a, b) => a - b)[Math.floor(steps.length / 2)];
}

function inWindow({ points }: RawSeries, from: number): boolean {
  return (points.at(-1)?.at ?? -Infinity) >= from;
}

function requireCounts({ labels, points }: RawSeries, from: number): void {
  const wrong = points.find(({ at, value }) => at >= from && !(value >= 0 && value < Infinity));
  if (wrong !== undefined) throw unavailable(`${describeLabels(labels)} is ${wrong.value}`);
}

/** When counters of the target fell: each time once, and before the window, too. */
function restartsOf({ series }: Target): number[] {
  const times = new Set<number>();
  for (const { points } of series) {
    for (const [i, point] of points.entries()) {
      if (point.value < (points[i - 1]?.value ?? 0)) times.add(point.at);
    }
  }
  return [...times];
}

function grown({ points }: RawSeries, { start, scrapes }: Started, restarts: readonly number[]): number {
  const beganAgain = (after: number, until: number) => restarts.some((at) => at > after && at <= until);
  const [first, ...rest] = points.filter(({ at }) => at >= start);
  if (first === undefined) return 0;
  const known = points.findLast(({ at }) => at < start);
  const isNew = known === undefined || beganAgain(known.at, first.at);
  let sum = first.at > start && scrapes.includes(first.at) && isNew ? first.value : 0;
  let before = first;
  for (const point of rest) {
    sum += beganAgain(before.at, point.at) ? point.value : point.value - before.value;
    before = point;
  }
  return sum;
}

function sampleOf({ labels }: RawSeries, value: number): Sample {
  const others = new Map([...labels].filter(([label]) => label !== '__name__'));
  return { name: labels.get('__name__') ?? '', labels: others, value, timestamp: undefined, line: 0 };
}
