import { DeployError } from '@deploy-actions/core';
import { fetchText } from './http-text.ts';
import type { MetricSource } from './port.ts';
import type { PrometheusOptions } from './prometheus/api.ts';
import { createPrometheus } from './prometheus/source.ts';
import { createScrape, type ScrapeOptions } from './scrape.ts';

/** Every metric source there is, with what it is made from. */
export type MetricSourceConfig =
  | ({ kind: 'scrape' } & Omit<ScrapeOptions, 'fetchText'>)
  | ({ kind: 'prometheus' } & Omit<PrometheusOptions, 'fetchText'>);

export const metricSources = [
  'scrape',
  'prometheus',
] as const satisfies readonly MetricSourceConfig['kind'][];

/** Throws `invalid_input` for a kind that is not known; there is no default. */
export function createMetricSource(config: MetricSourceConfig): MetricSource {
  switch (config.kind) {
    case 'scrape':
      return createScrape({ ...config, fetchText });
    case 'prometheus':
      return createPrometheus({ ...config, fetchText });
    default:
      return unknownKind((config as { kind: never }).kind);
  }
}

function unknownKind(kind: never): never {
  throw new DeployError('invalid_input', `${JSON.stringify(kind)} is no metric source.`, {
    remedy: `Known: ${metricSources.join(', ')}.`,
  });
}
