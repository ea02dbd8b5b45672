import { formatDuration } from '@deploy-actions/core';
import type { Over, QuantileEstimate } from './histogram.ts';
import type { Ruling } from './limits.ts';
import type {
  ErrorRateFindings,
  Limit,
  Observed,
  ResponseTimeFindings,
  Settings,
  Verdict,
} from './verdict.ts';

/** The verdict in one or two sentences that a person reads, and what the source noted about the counts. */
export function wordsFor(
  { outcome, because }: Ruling,
  limit: Limit,
  settings: Settings,
  observed: Observed,
  findings: Verdict['findings'],
): string {
  const measure = limit.kind === 'error-rate' ? 'The error rate' : `${nameOf(limit.quantile)} response time`;
  const max = limit.kind === 'error-rate' ? percent(limit.max) : milliseconds(limit.max);
  if (observed.kind === 'unavailable' || findings === null) {
    const reason = observed.kind === 'unavailable' ? observed.reason : 'the data are of another kind';
    return `${measure} cannot be judged against the limit of ${max}: ${reason.replace(/\.$/, '')}.`;
  }
  const seen =
    findings.kind === 'error-rate'
      ? errorRate(findings, limit, settings)
      : responseTime(findings, limit, settings);
  const tail = observed.notes === undefined ? '' : ` ${observed.notes.join(' ')}`;
  const over = `${formatDuration(observed.window)}`;
  if (findings.n === 0) {
    return outcome === 'undecided'
      ? `No requests were seen in ${over}.${tail}`
      : `No requests were seen in ${over}; a verdict on the limit of ${max} needs ${settings.minRequests}.${tail}`;
  }
  switch (because) {
    case 'evidence':
      return `${seen} is over the limit of ${max}.${tail}`;
    case 'estimate':
      return `${seen} ${outcome === 'pass' ? 'is' : 'is not'} under the limit of ${max}.${tail}`;
    case 'too-few':
      return `${seen}: a verdict on the limit of ${max} needs ${settings.minRequests} requests.${tail}`;
    case 'beyond-buckets':
      return `${seen}: the histogram's buckets end before the limit of ${max}, so it cannot tell. Give it a bucket at the limit.${tail}`;
    default:
      return outcome === 'undecided'
        ? `${seen} is not certainly over the limit of ${max}.${tail}`
        : `${seen} is under the limit of ${max}, but not certainly, as strict wants it.${tail}`;
  }
}

function errorRate(
  { estimate, errors, n, interval }: ErrorRateFindings,
  limit: Limit,
  { alpha }: Settings,
): string {
  const range = `${percent(interval.lower)} and ${percent(interval.upper)}`;
  return `Error rate ${percent(estimate ?? 0, limit.max)} (${whole(errors)} of ${requests(n)}; with ${percent(1 - alpha)} confidence between ${range})`;
}

function responseTime(findings: ResponseTimeFindings, limit: Limit, { alpha }: Settings): string {
  const { estimate, over, n } = findings;
  const about =
    estimate.estimate === null
      ? 'beyond the last bucket'
      : `about ${milliseconds(estimate.estimate, limit.max)}`;
  const interval = `with ${percent(1 - alpha)} confidence ${between(estimate)}`;
  return `${nameOf(estimate.quantile)} response time ${about} (${interval}; ${slower(over, n, limit)})`;
}

function between({ lower, upper }: QuantileEstimate): string {
  if (upper === null) return lower === 0 ? 'nothing is known' : `over ${milliseconds(lower)}`;
  return lower === 0
    ? `at most ${milliseconds(upper)}`
    : `between ${milliseconds(lower)} and ${milliseconds(upper)}`;
}

/** How many took longer than the limit, and by which bounds that is known. */
function slower({ least, most, below, above }: Over, n: number, limit: Limit): string {
  const took = `of ${requests(n)} took longer than ${milliseconds(limit.max)}`;
  if (least === most) return `${whole(least)} ${took}`;
  const bounds =
    above === null
      ? `the last bucket bound is ${milliseconds(below * 1_000)}`
      : `the bucket bounds are ${milliseconds(below * 1_000)} and ${milliseconds(above * 1_000)}`;
  return `${whole(least)} to ${whole(most)} ${took}: ${bounds}`;
}

function nameOf(quantile: number): string {
  return `p${Number((quantile * 100).toPrecision(6))}`;
}

function percent(share: number, unlike?: number): string {
  return `${digits(share * 100, unlike === undefined ? undefined : unlike * 100)} %`;
}

function milliseconds(value: number, unlike?: number): string {
  return `${digits(value, unlike)} ms`;
}

/** Three significant digits, or as many as it takes to be seen to differ from the limit. */
function digits(value: number, unlike?: number): string {
  const limit = unlike === undefined ? undefined : Number(unlike.toPrecision(12));
  for (let precision = 3; precision < 12; precision += 1) {
    const shown =
      value >= 1_000 && precision === 3 ? Math.round(value) : Number(value.toPrecision(precision));
    if (shown !== limit) return String(shown);
  }
  return String(Number(value.toPrecision(12)));
}

function whole(count: number): string {
  return String(Number(count.toFixed(1)));
}

function requests(n: number): string {
  return `${whole(n)} ${n === 1 ? 'request' : 'requests'}`;
}
