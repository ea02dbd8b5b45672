import { type Exposition, parsePrometheusText } from '@deploy-actions/metrics';

/** What a pod counted of its requests since it started. */
export interface RequestFigures {
  pod: string;
  /** Path that was scraped. */
  path: string;
  requests: number | null;
  /** Answered with 5xx; null where the counter says no status. */
  errors: number | null;
  /** Seconds; null without a histogram or summary of durations. */
  mean: number | null;
}

const counters = [
  /^(?:django_)?http_(?:server_)?(?:requests|responses)(?:_by\w*|_count)?_total$/,
  /requests?_total$/,
];
const durations = /^(?:\w+_)?(?:request|http)\w*(?:duration|latency|seconds)\w*_(sum|count)$/;
const statusLabels = ['status', 'code', 'status_code', 'http_status', 'http_response_status_code'];

/**
 * Requests, errors and mean duration of an exposition, by the names that client libraries use; null where there is no such
 * metric. Throws `metrics_unavailable` for what is no exposition.
 */
export function requestFigures(pod: string, path: string, text: string): RequestFigures {
  const { samples }: Exposition = parsePrometheusText(text);
  const name = counters
    .map((pattern) => samples.find((sample) => pattern.test(sample.name))?.name)
    .find((found) => found !== undefined);
  let requests: number | null = null;
  let errors: number | null = null;
  for (const { name: own, labels, value } of samples) {
    if (own !== name || !Number.isFinite(value)) continue;
    requests = (requests ?? 0) + value;
    const status = statusLabels.map((label) => labels.get(label)).find((found) => found !== undefined);
    if (status !== undefined) errors = (errors ?? 0) + (status.startsWith('5') ? value : 0);
  }
  const family = samples.find((sample) => durations.test(sample.name))?.name.replace(/_(?:sum|count)$/, '');
  const total = (suffix: string) =>
    samples
      .filter((sample) => sample.name === `${family}_${suffix}` && Number.isFinite(sample.value))
      .reduce((sum, { value }) => sum + value, 0);
  const count = family === undefined ? 0 : total('count');
  return { pod, path, requests, errors, mean: count > 0 ? total('sum') / count : null };
}
