import { readFileSync } from 'node:fs';
import { codeOf, DeployError, type Log } from '@deploy-actions/core';
import {
  checkPrometheus,
  createMetricSource,
  fetchText,
  fillQuery,
  type MetricQuery,
  type MetricSourceConfig,
  parseSelector,
} from '@deploy-actions/metrics';
import type { Analysis, Criterion } from './hold.ts';
import { isExpression, type LimitInputs } from './inputs.ts';

const requestTimeout = 5_000;
/** A query makes a server read the samples of a whole window. */
const queryTimeout = 15_000;

/**
 * What a version in a slot is judged by over `windows` windows, out of the inputs. `ownMetrics` is where the router
 * counts by slot. Throws `invalid_input` for what nothing could be judged by.
 */
export function analysisOf(
  inputs: LimitInputs,
  ownMetrics: string | undefined,
  names: { slot: string; version: string },
  windows: number,
): Analysis {
  const source = createMetricSource(sourceOf(inputs, ownMetrics));
  const errorRate: MetricQuery = {
    kind: isExpression(inputs['requests-metric']) ? 'counts' : 'ratio',
    name: 'error rate',
    errors: inputs['errors-metric'],
    total: inputs['requests-metric'],
  };
  const responseTime: MetricQuery = {
    kind: 'latency',
    name: 'response time',
    histogram: inputs['response-time-metric'],
  };
  const criteria: Criterion[] = [
    {
      limit: { kind: 'error-rate', max: inputs['max-error-rate'] / 100 },
      query: fillQuery(errorRate, names),
    },
    {
      limit: {
        kind: 'response-time',
        max: inputs['max-response-time'],
        quantile: inputs['response-time-percentile'] / 100,
      },
      query: fillQuery(responseTime, names),
    },
  ];
  for (const { query } of criteria) {
    if (query.kind === 'counts') continue;
    const selectors = query.kind === 'ratio' ? [query.errors, query.total] : [query.histogram];
    for (const selector of selectors) parseSelector(selector);
  }
  return {
    source,
    criteria,
    minRequests: inputs['min-requests'],
    strict: inputs.strict,
    alpha: (1 - inputs.confidence / 100) / windows,
    onInconclusive: inputs['on-inconclusive'],
    holdTimeout: inputs['hold-timeout'],
    interval: inputs['analysis-interval'],
  };
}

/** Throws `invalid_input` for what has no figures, `not_found` for a certificate that cannot be read. */
function sourceOf(inputs: LimitInputs, ownMetrics: string | undefined): MetricSourceConfig {
  if (inputs.metrics === 'prometheus') return { kind: 'prometheus', ...prometheusOf(inputs) };
  const urls = inputs['metrics-url'] ?? (ownMetrics === undefined ? [] : [ownMetrics]);
  if (urls.length === 0) {
    throw new DeployError(
      'invalid_input',
      '`metrics-url` is missing: this router counts no requests itself.',
      {
        remedy:
          'Give the Prometheus text endpoints of the application, with selectors that tell the versions apart.',
      },
    );
  }
  return { kind: 'scrape', urls, timeout: requestTimeout };
}

function prometheusOf(
  inputs: LimitInputs,
): Omit<Extract<MetricSourceConfig, { kind: 'prometheus' }>, 'kind'> {
  const { 'prometheus-url': url, 'prometheus-token': bearerToken, 'prometheus-username': username } = inputs;
  if (url === undefined) throw new DeployError('invalid_input', '`prometheus-url` is missing.');
  const caFile = inputs['prometheus-ca-file'];
  return {
    url: url.href,
    ...(bearerToken !== undefined && { bearerToken }),
    ...(username !== undefined && {
      basicAuth: { username, password: inputs['prometheus-password'] ?? '' },
    }),
    ...(caFile !== undefined && { ca: certificateIn(caFile) }),
    allowWarnings: inputs['prometheus-allow-warnings'],
    timeout: queryTimeout,
  };
}

function certificateIn(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (thrown) {
    throw new DeployError(
      'not_found',
      `\`prometheus-ca-file\`: ${file} cannot be read (${codeOf(thrown) ?? 'unknown'}).`,
      { cause: thrown },
    );
  }
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw new DeployError('invalid_input', `\`prometheus-ca-file\`: ${file} holds no certificate in PEM.`);
}

/**
 * Asks a Prometheus server once, before anything depends on it. Throws what somebody has to put right, as `checkPrometheus`
 * does; what may pass by itself is warned of, and leads to no verdict if it stays.
 */
export async function checkMetrics(inputs: LimitInputs, signal: AbortSignal, log: Log): Promise<void> {
  if (inputs.metrics !== 'prometheus') return;
  const problem = await checkPrometheus({ ...prometheusOf(inputs), fetchText }, signal);
  if (problem !== undefined) log.warning(problem);
}
