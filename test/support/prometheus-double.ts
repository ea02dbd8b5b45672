// A stand-in for a Prometheus server, on a loopback port: it keeps raw samples and answers the queries that the source asks.
// Any of its answers can be replaced.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { parseSelector } from '../../packages/metrics/selector.ts';

/** The beginning of every window in these tests, in milliseconds. */
export const epoch = 1_700_000_000_000;

export interface Stored {
  labels: Record<string, string>;
  /** Seconds from `epoch`, and the value as Prometheus writes it. */
  samples: [number, string][];
}

export interface Asked {
  method: string;
  path: string;
  query: string;
  time: number | undefined;
  headers: IncomingMessage['headers'];
}

export interface FakePrometheus {
  url: string;
  /** Its time, in seconds from `epoch`. */
  now: number;
  series: Stored[];
  asked: Asked[];
  /** Results of queries that are no raw samples: by the first pattern that matches. */
  results: [RegExp, unknown][];
  /** Answers instead, when it says true. */
  instead: ((asked: Asked, response: ServerResponse) => boolean) | undefined;
  close(): Promise<void>;
}

/** One series that is scraped every `step` seconds from `from` to `to`; its value by the second. */
export function series(
  labels: Record<string, string>,
  value: (second: number) => number | undefined,
  { from = -30, to = 60, step = 5 } = {},
): Stored {
  const samples: [number, string][] = [];
  for (let second = from; second <= to; second += step) {
    const now = value(second);
    if (now !== undefined)
      samples.push([second, Number.isNaN(now) ? 'NaN' : String(now).replace('Infinity', '+Inf')]);
  }
  return { labels, samples };
}

export const matrix = (result: unknown) => ({ status: 'success', data: { resultType: 'matrix', result } });
export const vector = (...values: [Record<string, string>, string, number?][]) => ({
  status: 'success',
  data: {
    resultType: 'vector',
    result: values.map(([metric, value, at]) => ({ metric, value: [at ?? (epoch + 60_000) / 1_000, value] })),
  },
});

export async function startFakePrometheus(stored: Stored[] = []): Promise<FakePrometheus> {
  const fake: FakePrometheus = {
    url: '',
    now: 60,
    series: stored,
    asked: [],
    results: [],
    instead: undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  const server = createServer((request, response) => {
    void answer(fake, request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  fake.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return fake;
}

async function answer(
  fake: FakePrometheus,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? '/', fake.url);
  let body = '';
  for await (const chunk of request) body += String(chunk);
  const parameters = request.method === 'POST' ? new URLSearchParams(body) : url.searchParams;
  const time = parameters.get('time');
  const asked: Asked = {
    method: request.method ?? '',
    path: url.pathname,
    query: parameters.get('query') ?? '',
    time: time === null ? undefined : Number(time) * 1_000,
    headers: request.headers,
  };
  fake.asked.push(asked);
  if (fake.instead?.(asked, response) === true) return;
  const text = JSON.stringify(resultOf(fake, asked));
  response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
  response.end(gzipSync(text));
}

/** What the server says when nothing is wrong with it. */
export function resultOf(fake: FakePrometheus, { query, time }: Asked): unknown {
  const now = (epoch + fake.now * 1_000) / 1_000;
  if (query === 'time()') {
    return { status: 'success', data: { resultType: 'scalar', result: [now, String(now)] } };
  }
  const known = fake.results.find(([pattern]) => pattern.test(query));
  if (known !== undefined) return known[1];
  const [, selector, range] = /^(.*)\[(\d+)ms\]$/s.exec(query) ?? [];
  if (selector === undefined) return vector();
  const to = (time ?? now * 1_000) - epoch;
  const matches = matcherOf(selector);
  const result = fake.series
    .filter(({ labels }) => matches(labels))
    .map(({ labels, samples }) => ({
      metric: labels,
      values: samples
        .filter(([second]) => second * 1_000 <= to && second * 1_000 >= to - Number(range))
        .map(([second, value]) => [epoch / 1_000 + second, value]),
    }))
    .filter(({ values }) => values.length > 0);
  return matrix(result);
}

function matcherOf(selector: string): (labels: Record<string, string>) => boolean {
  const { name, matchers } = parseSelector(selector.startsWith('{') ? `any${selector}` : selector);
  return (labels) =>
    (name === 'any' || labels['__name__'] === name) &&
    matchers.every(({ label, matches }) => matches(labels[label] ?? ''));
}
