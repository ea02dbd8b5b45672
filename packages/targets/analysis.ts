import { DeployError } from '@deploy-actions/core';
import { createMetricSource, fillQuery, type MetricQuery, parseSelector } from '@deploy-actions/metrics';
import type { Analysis, Criterion } from './hold.ts';
import type { LimitInputs } from './inputs.ts';

const requestTimeout = 5_000;

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
  const errorRate: MetricQuery = {
    kind: 'ratio',
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
    const selectors = query.kind === 'ratio' ? [query.errors, query.total] : [query.histogram];
    for (const selector of selectors) parseSelector(selector);
  }
  return {
    source: createMetricSource({ kind: 'scrape', urls, timeout: requestTimeout }),
    criteria,
    minRequests: inputs['min-requests'],
    strict: inputs.strict,
    alpha: (1 - inputs.confidence / 100) / windows,
    onInconclusive: inputs['on-inconclusive'],
    holdTimeout: inputs['hold-timeout'],
    interval: inputs['analysis-interval'],
  };
}
