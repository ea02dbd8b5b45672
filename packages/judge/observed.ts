import { isRecord } from '@deploy-actions/core';
import type { Limit, Observed, Unavailable } from './verdict.ts';

export function unavailable(name: string, query: string, reason: string): Unavailable {
  return { kind: 'unavailable', name, query, reason };
}

/**
 * What can be judged against this kind of limit, copied field by field into plain JSON. Everything else, whatever
 * its type says, is unavailable data with the reason in words: the last line of defence behind the metric sources.
 */
export function asObserved(kind: Limit['kind'], given: unknown): Observed {
  if (!isRecord(given)) return unavailable('', '', `one series was expected, not ${describe(given)}`);
  const name = typeof given.name === 'string' ? given.name : '';
  const query = typeof given.query === 'string' ? given.query : '';
  const wanted = kind === 'error-rate' ? 'ratio' : 'latency';
  if (given.kind === 'unavailable') {
    return unavailable(name, query, typeof given.reason === 'string' ? given.reason : 'no reason was given');
  }
  if (given.kind !== wanted) {
    return unavailable(name, query, `a ${wanted} series was expected, not ${describe(given.kind)}`);
  }
  const notes = Array.isArray(given.notes) ? given.notes.filter((note) => typeof note === 'string') : [];
  const { window } = given;
  if (!isAmount(window)) return unavailable(name, query, `the window is ${describe(window)} milliseconds`);
  const common = { name, query, window, ...(notes.length > 0 && { notes }) };
  try {
    return wanted === 'ratio'
      ? { kind: 'ratio', ...common, ...ratio(given) }
      : { kind: 'latency', ...common, ...histogram(given) };
  } catch (thrown) {
    if (thrown instanceof Unusable) return unavailable(name, query, thrown.message);
    throw thrown;
  }
}

class Unusable extends Error {}

function ratio(given: Record<string, unknown>): { errors: number; total: number } {
  const errors = count('the number of errors', given.errors);
  const total = count('the number of requests', given.total);
  if (errors > total) throw new Unusable(`there are more errors (${errors}) than requests (${total})`);
  return { errors, total };
}

function histogram(given: Record<string, unknown>) {
  if (!Array.isArray(given.buckets) || given.buckets.length === 0) {
    throw new Unusable('the histogram has no buckets');
  }
  const total = count('the number of requests', given.total);
  const sum = count('the sum of the response times', given.sum);
  const buckets: { le: number | '+Inf'; count: number }[] = [];
  let previous = { le: -Infinity, count: 0 };
  for (const bucket of given.buckets as unknown[]) {
    if (!isRecord(bucket)) throw new Unusable(`a bucket is ${describe(bucket)}`);
    const le = bucket.le === '+Inf' ? Infinity : bucket.le;
    if (typeof le !== 'number' || !(le >= 0 && le > previous.le)) {
      throw new Unusable(`the bucket bounds do not ascend from 0 at ${describe(bucket.le)}`);
    }
    const within = count(`the bucket up to ${le}`, bucket.count);
    if (within < previous.count)
      throw new Unusable(`the bucket up to ${le} counts less than the one before it`);
    previous = { le, count: within };
    buckets.push({ le: le === Infinity ? '+Inf' : le, count: within });
  }
  if (previous.le !== Infinity) throw new Unusable('the histogram does not end with the bucket +Inf');
  if (previous.count !== total) {
    throw new Unusable(`the bucket +Inf counts ${previous.count} of ${total} requests`);
  }
  return { buckets, total, sum };
}

function count(what: string, value: unknown): number {
  if (!isAmount(value)) throw new Unusable(`${what} is ${describe(value)}`);
  return value;
}

/** Not NaN, not infinite, not negative, not so large that a count of one is lost. */
function isAmount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return `${value.length} of them`;
  return typeof value === 'number' || typeof value === 'string' ? String(value) : typeof value;
}
