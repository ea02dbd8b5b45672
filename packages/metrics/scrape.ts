import { DeployError, isRecord, messageOf } from '@deploy-actions/core';
import { beginning } from './beginning.ts';
import { countersOf, increase, isReading, unavailable, type Reading } from './counters.ts';
import { parseEndpoint, type Endpoint } from './endpoint.ts';
import type { FetchText } from './http-text.ts';
import type { Baseline, MetricSource } from './port.ts';
import { defaultMaxLength, parsePrometheusText, type Exposition } from './prometheus-text.ts';
import { planFor, samplesOf, type Found, type Plan } from './scrape-query.ts';

export interface ScrapeOptions {
  /** `http(s)://…` or `unix:/path/to/socket:/metrics`: every instance of what is measured, each exactly once. */
  urls: readonly string[];
  /** Sent with every request, such as an authorization; never shown. */
  headers?: Record<string, string>;
  /** Milliseconds for each answer. */
  timeout: number;
  /** Bytes of one answer; 16 Mi where nothing is said. */
  maxBytes?: number;
  fetchText: FetchText;
}

/**
 * Reads the metrics of applications and proxies themselves, with no server in between. A baseline holds the counters
 * of every URL; a series is what they grew by since, summed over all URLs and over all series that a selector matches.
 *
 * - Every URL must answer, both times, with sound text: from fewer instances than there are, nothing is concluded.
 * - A counter that fell, or a changed `process_start_time_seconds`, means that the process was started again: all
 *   counters of that URL count from zero, as in Prometheus, and the series notes it.
 * - Libraries show a labelled counter only from its first use, so series that are not there count as zero. But when
 *   the metric of `total`, or a histogram, is nowhere at the end, neither declared nor with other labels, it is
 *   unavailable; so is a series that was there at the beginning and is gone though nothing was started again.
 * - NaN, infinities, negative values, gauges and histograms that contradict themselves are unavailable.
 *
 * Throws `invalid_input` for URLs and selectors that cannot be read; the methods throw `metrics_unavailable` with
 * every endpoint that failed, and `cancelled`.
 */
export function createScrape(options: ScrapeOptions): MetricSource {
  const endpoints = options.urls.map(parseEndpoint);
  if (endpoints.length === 0) throw new DeployError('invalid_input', 'A scrape needs at least one URL.');
  const places = new Set(endpoints.map(({ url, socketPath }) => `${socketPath ?? ''} ${url.href}`));
  if (places.size < endpoints.length) {
    throw new DeployError(
      'invalid_input',
      'A scrape has the same URL twice: its requests would count double.',
    );
  }
  return {
    name: 'scrape',
    async begin(query, signal): Promise<Baseline> {
      const plan = planFor(query);
      const readings = (await scrapeAll(endpoints, plan, options, signal)).map(({ reading }) => ({
        ...reading,
      }));
      return { source: 'scrape', query: plan.text, readings };
    },
    async series(query, baseline, signal) {
      const plan = planFor(query);
      const before = readingsOf(baseline, plan, endpoints);
      const scraped = await scrapeAll(endpoints, plan, options, signal);
      const pairs = scraped.map((now, i) => ({ now, before: before[i] ?? now.reading }));
      const increases = pairs.map((pair) => increase(pair.before, pair.now.reading));
      const window = Math.max(0, ...pairs.map((pair) => pair.now.reading.at - pair.before.at));
      const grown = pairs.map(({ now }, i) => ({ ...now, counters: increases[i]?.counters ?? new Map() }));
      const { notes = [], ...series } = plan.series(grown, window);
      const all = [...increases.flatMap((one) => one.notes), ...notes];
      return all.length === 0 ? series : { ...series, notes: all };
    },
  };
}

interface Scraped {
  endpoint: string;
  exposition: Exposition;
  found: Found;
  reading: Reading;
}

const accepted = 'text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0;q=0.5';

/** Every endpoint's answer, or an error that names each that failed. */
async function scrapeAll(
  endpoints: readonly Endpoint[],
  plan: Plan,
  options: ScrapeOptions,
  signal: AbortSignal,
): Promise<Scraped[]> {
  const results = await Promise.allSettled(
    endpoints.map((endpoint) => scrape(endpoint, plan, options, signal)),
  );
  const failures: string[] = [];
  const scraped: Scraped[] = [];
  for (const [i, result] of results.entries()) {
    if (result.status === 'fulfilled') scraped.push(result.value);
    else if (result.reason instanceof DeployError && result.reason.reasonCode === 'cancelled')
      throw result.reason;
    else failures.push(`${endpoints[i]?.shown}: ${messageOf(result.reason)}`);
  }
  if (failures.length === 0) return scraped;
  const count = endpoints.length === 1 ? '' : ` (${failures.length} of ${endpoints.length} endpoints)`;
  throw unavailable(`${failures.join('; ')}${count}`);
}

async function scrape(
  endpoint: Endpoint,
  plan: Plan,
  { timeout, maxBytes = defaultMaxLength, headers = {}, fetchText }: ScrapeOptions,
  signal: AbortSignal,
): Promise<Scraped> {
  const answer = await fetchText(
    { endpoint, headers: { accept: accepted, ...headers }, timeout, maxBytes },
    signal,
  );
  if (answer.status !== 200) throw unavailable(`status ${answer.status}${beginning(answer.text)}`);
  const format = answer.contentType.includes('openmetrics') ? 'openmetrics' : 'prometheus';
  const exposition = parsePrometheusText(answer.text, { format, maxLength: maxBytes });
  if (exposition.samples.length === 0 && exposition.types.size === 0) {
    throw unavailable('the answer holds no metrics');
  }
  const found = plan.find(exposition);
  const reading = {
    url: endpoint.shown,
    at: answer.at,
    startTime: startTimeOf(exposition),
    counters: Object.fromEntries(countersOf(samplesOf(found))),
  };
  return { endpoint: endpoint.shown, exposition, found, reading };
}

function startTimeOf({ samples }: Exposition): number | null {
  const [started, ...others] = samples.filter(({ name }) => name === 'process_start_time_seconds');
  if (started === undefined || others.length > 0 || !Number.isFinite(started.value)) return null;
  return started.value;
}

/** A baseline comes back from a journal: it must be of this query and of these endpoints. */
function readingsOf(baseline: Baseline, plan: Plan, endpoints: readonly Endpoint[]): Reading[] {
  if (!isRecord(baseline) || baseline.source !== 'scrape' || !Array.isArray(baseline.readings)) {
    throw unavailable('the baseline is not one of a scrape');
  }
  if (baseline.query !== plan.text) {
    throw unavailable(`the baseline is of ${JSON.stringify(baseline.query)}, not of ${plan.text}`);
  }
  const readings = (baseline.readings as unknown[]).filter(isReading);
  const shown = endpoints.map((endpoint) => endpoint.shown).join(', ');
  const begun = readings.map(({ url }) => url).join(', ');
  if (begun !== shown) throw unavailable(`the baseline is of ${begun}, not of ${shown}`);
  return readings;
}
