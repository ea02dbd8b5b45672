import { DeployError, isRecord } from '@deploy-actions/core';
import type { Sample } from './prometheus-text.ts';
import { seriesKey } from './selector.ts';

/** Values of counters by the key of their series. */
export type Counters = Map<string, number>;

/** The counters of one endpoint at one time. Plain JSON. */
export interface Reading {
  url: string;
  /** Milliseconds since 1970. */
  at: number;
  /** `process_start_time_seconds`, where there is one. */
  startTime: number | null;
  counters: Record<string, number>;
}

/** Throws `metrics_unavailable` for what no counter can be: NaN, infinite, negative. */
export function countersOf(samples: readonly Sample[]): Counters {
  return new Map(
    samples.map((sample) => {
      if (!(sample.value >= 0 && sample.value < Infinity)) {
        throw unavailable(`line ${sample.line}: ${seriesKey(sample)} is ${sample.value}`);
      }
      return [seriesKey(sample), sample.value];
    }),
  );
}

/**
 * How much the counters of one endpoint grew. When one fell, or the process has another start time, all began again
 * and count from zero; the note says so. Throws `metrics_unavailable` when a series is gone though nothing shows
 * that the process began again.
 */
export function increase(before: Reading, now: Reading): { counters: Counters; notes: string[] } {
  const current = Object.entries(now.counters);
  const restarted = before.startTime !== null && now.startTime !== null && before.startTime !== now.startTime;
  const fallen = current.find(([key, value]) => value < (before.counters[key] ?? 0))?.[0];
  if (restarted || fallen !== undefined) {
    const why = restarted ? 'its process was started again' : `${fallen} fell`;
    return {
      counters: new Map(current),
      notes: [
        `The counters of ${now.url} began again at zero (${why}): what was counted before is not included.`,
      ],
    };
  }
  const gone = Object.keys(before.counters).find((key) => now.counters[key] === undefined);
  if (gone !== undefined) throw unavailable(`${now.url}: ${gone} was there at the beginning and is gone`);
  return {
    counters: new Map(current.map(([key, value]) => [key, value - (before.counters[key] ?? 0)])),
    notes: [],
  };
}

export function isReading(value: unknown): value is Reading {
  return (
    isRecord(value) &&
    typeof value.url === 'string' &&
    typeof value.at === 'number' &&
    (value.startTime === null || typeof value.startTime === 'number') &&
    isRecord(value.counters) &&
    Object.values(value.counters).every((counter) => typeof counter === 'number')
  );
}

export function unavailable(what: string, cause?: unknown): DeployError {
  return new DeployError('metrics_unavailable', what, cause === undefined ? {} : { cause });
}
