/** What is counted about requests; probes are not. Durations are in seconds, from the head of the request to the last byte of the answer. */
export interface ProxyMetrics {
  /** `code` is the status sent, 499 when the client left before its answer was complete. */
  answered(slot: string, code: number, seconds: number): void;
  upstreamFailed(slot: string, reason: string): void;
  /** Prometheus text exposition format, version 0.0.4. */
  text(): string;
}

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

/** The usual limits of response times are among the bounds, so that a share below a limit is a count, not a guess. */
export const durationBounds = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60,
] as const;

interface Durations {
  /** Requests by the first bound they do not exceed; the last element is +Inf. */
  counts: number[];
  sum: number;
}

export function createMetrics(inFlight: () => Record<string, number>): ProxyMetrics {
  const requests = new Map<string, number>();
  const errors = new Map<string, number>();
  const durations = new Map<string, Durations>();
  const started = Date.now() / 1_000;

  return {
    answered(slot, code, seconds) {
      increment(requests, labels({ slot, code: String(code) }));
      const observed = durations.get(slot) ?? {
        counts: Array.from({ length: durationBounds.length + 1 }, () => 0),
        sum: 0,
      };
      durations.set(slot, observed);
      const found = durationBounds.findIndex((bound) => seconds <= bound);
      const bucket = found === -1 ? durationBounds.length : found;
      observed.counts[bucket] = (observed.counts[bucket] ?? 0) + 1;
      observed.sum += seconds;
    },

    upstreamFailed(slot, reason) {
      increment(errors, labels({ slot, reason }));
    },

    text() {
      const lines: string[] = [];
      const family = (name: string, type: string, help: string, samples: string[]) =>
        lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples);
      const counter = (name: string, help: string, values: Iterable<[string, number]>) =>
        family(
          name,
          'counter',
          help,
          Array.from(values, ([label, value]) => `${name}${label} ${value}`),
        );

      counter('deploy_actions_proxy_requests_total', 'Requests by slot and status code.', requests);
      const histogram = 'deploy_actions_proxy_request_duration_seconds';
      family(
        histogram,
        'histogram',
        'Time from the head of the request to the last byte of the answer.',
        Array.from(durations).flatMap(([slot, observed]) => histogramSamples(histogram, slot, observed)),
      );
      const gauge = 'deploy_actions_proxy_in_flight';
      family(
        gauge,
        'gauge',
        'Requests and upgraded connections in flight.',
        Object.entries(inFlight()).map(([slot, count]) => `${gauge}${labels({ slot })} ${count}`),
      );
      counter(
        'deploy_actions_proxy_upstream_errors_total',
        'Requests that an instance of the slot did not answer completely, by reason.',
        errors,
      );
      family(
        'process_start_time_seconds',
        'gauge',
        'Start time of the process since unix epoch in seconds.',
        [`process_start_time_seconds ${started}`],
      );
      return `${lines.join('\n')}\n`;
    },
  };
}

function histogramSamples(name: string, slot: string, { counts, sum }: Durations): string[] {
  let cumulative = 0;
  const buckets = counts.map((count, index) => {
    cumulative += count;
    return `${name}_bucket${labels({ slot, le: String(durationBounds[index] ?? '+Inf') })} ${cumulative}`;
  });
  return [
    ...buckets,
    `${name}_sum${labels({ slot })} ${sum}`,
    `${name}_count${labels({ slot })} ${cumulative}`,
  ];
}

function labels(pairs: Record<string, string>): string {
  const escaped = (value: string) =>
    value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `{${Object.entries(pairs)
    .map(([name, value]) => `${name}="${escaped(value)}"`)
    .join(',')}}`;
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
