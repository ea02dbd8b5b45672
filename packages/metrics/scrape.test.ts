import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { fetchText } from './http-text.ts';
import type { Baseline, MetricQuery } from './port.ts';
import { createMetricSource, type MetricSourceConfig } from './registry.ts';
import { createScrape } from './scrape.ts';

const ratio: MetricQuery = {
  kind: 'ratio',
  name: 'error rate',
  errors: 'http_requests_total{code=~"5.."}',
  total: 'http_requests_total',
};
const latency: MetricQuery = { kind: 'latency', name: 'latency', histogram: 'http_seconds{slot="blue"}' };
const never = new AbortController().signal;

const cleanUps: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

/** A real server on the loopback interface, or on a socket; answers with what `answer` is set to. */
async function endpoint(initial: string | RequestListener, socketPath?: string) {
  const served = { answer: initial, url: '' };
  const server: Server = createServer((request, response) => {
    if (typeof served.answer === 'string') response.end(served.answer);
    else served.answer(request, response);
  });
  if (socketPath === undefined) server.listen(0, '127.0.0.1');
  else server.listen(socketPath);
  await once(server, 'listening');
  const close = () =>
    new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    });
  cleanUps.push(close);
  served.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`;
  return { served, close };
}

function scrapeOf(...urls: string[]) {
  return createScrape({ urls, timeout: 2_000, fetchText });
}

function counters(ok: number, failed: number | undefined, started?: number): string {
  return [
    '# TYPE http_requests_total counter',
    `http_requests_total{code="200",method="GET"} ${ok}`,
    'http_requests_total{code="404",method="GET"} 10',
    ...(failed === undefined ? [] : [`http_requests_total{code="500",method="GET"} ${failed}`]),
    ...(started === undefined ? [] : [`process_start_time_seconds ${started}`]),
    '',
  ].join('\n');
}

function histogram(slot: string, counts: [number, number, number], bound = '1.0'): string {
  const [fast, slow, all] = counts;
  return [
    `http_seconds_bucket{slot="${slot}",le="0.5"} ${fast}`,
    `http_seconds_bucket{slot="${slot}",le="${bound}"} ${slow}`,
    `http_seconds_bucket{slot="${slot}",le="+Inf"} ${all}`,
    `http_seconds_sum{slot="${slot}"} ${all / 2}`,
    `http_seconds_count{slot="${slot}"} ${all}`,
    '',
  ].join('\n');
}

/** What a query makes of a first and a second answer. */
async function between(first: string, second: string | RequestListener, query: MetricQuery = ratio) {
  const { served } = await endpoint(first);
  const source = scrapeOf(served.url);
  const baseline = JSON.parse(JSON.stringify(await source.begin(query, never))) as Baseline;
  served.answer = second;
  return source.series(query, baseline, never);
}

describe('counters', () => {
  test('are counted from the baseline, over all series and endpoints', async () => {
    const [a, b] = [await endpoint(counters(100, 5)), await endpoint(counters(1_000, undefined))];
    const source = scrapeOf(a.served.url, b.served.url);
    const baseline = await source.begin(ratio, never);
    a.served.answer = counters(190, 15);
    b.served.answer = counters(1_100, 3);
    expect(await source.series(ratio, baseline, never)).toEqual({
      kind: 'ratio',
      name: 'error rate',
      query: 'http_requests_total{code=~"5.."} / http_requests_total',
      window: expect.any(Number) as number,
      errors: 13,
      total: 203,
    });
  });

  test('no series of errors, ever, means no errors', async () => {
    expect(await between(counters(0, undefined), counters(60, undefined))).toMatchObject({
      errors: 0,
      total: 60,
    });
    const other: MetricQuery = {
      ...ratio,
      kind: 'ratio',
      name: 'e',
      errors: 'failures_total',
      total: 'http_requests_total',
    };
    expect(await between(counters(0, undefined), counters(60, undefined), other)).toMatchObject({
      errors: 0,
      notes: ['No endpoint has a metric failures_total yet: its errors count as 0.'],
    });
  });

  test('a metric that is declared but has no series yet counts zero; one that is nowhere is unavailable', async () => {
    const declared = '# TYPE http_requests_total counter\n';
    expect(await between(declared, declared)).toMatchObject({ errors: 0, total: 0 });
    expect(await between('up 1\n', counters(60, 6))).toMatchObject({ errors: 6, total: 76 });
    await expect(between('up 1\n', 'up 1\n')).rejects.toThrow('there is no metric http_requests_total');
    await expect(between('', counters(1, 1))).rejects.toThrow('the answer holds no metrics');
  });

  test('a series that was there and is gone is unavailable', async () => {
    await expect(between(counters(100, 5), counters(200, undefined))).rejects.toThrow(
      'http_requests_total{code="500",method="GET"} was there at the beginning and is gone',
    );
  });

  test('a counter that fell, or another start time, counts that endpoint from zero and says so', async () => {
    expect(await between(counters(100, 5), counters(90, 7))).toMatchObject({
      errors: 7,
      total: 107,
      notes: [
        expect.stringMatching(/began again at zero \(http_requests_total\{code="200",method="GET"\} fell\)/),
      ],
    });
    expect(await between(counters(100, 5, 1_000), counters(200, undefined, 2_000))).toMatchObject({
      errors: 0,
      total: 210,
      notes: [expect.stringMatching(/its process was started again/)],
    });
  });

  test.each(['NaN', '+Inf', '-Inf', '-1'])('of %s are unavailable', async (value) => {
    const text = `http_requests_total{code="200"} 100\nhttp_requests_total{code="500"} ${value}\n`;
    await expect(between(text, counters(1, 1))).rejects.toMatchObject({ reasonCode: 'metrics_unavailable' });
    await expect(between(counters(0, 0), text)).rejects.toThrow(
      /line 2: http_requests_total\{code="500"\} is -?\w+$/,
    );
  });

  test('that are gauges, or more errors than requests, are unavailable', async () => {
    const gauge = counters(1, 1).replace('counter', 'gauge');
    await expect(between(gauge, gauge)).rejects.toThrow(
      'http_requests_total is a gauge; a counter is needed',
    );
    const reversed: MetricQuery = { kind: 'ratio', name: 'r', errors: 'a', total: 'b' };
    await expect(between('a 0\nb 0\n', 'a 2\nb 1\n', reversed)).rejects.toThrow('2 errors of 1 requests');
  });
});

describe('histograms', () => {
  test('are summed over series with the same bounds', async () => {
    const query: MetricQuery = { kind: 'latency', name: 'latency', histogram: 'http_seconds' };
    const first = histogram('blue', [1, 2, 3]) + histogram('green', [0, 0, 0], '1');
    const second = histogram('blue', [11, 22, 33]) + histogram('green', [5, 5, 5], '1');
    expect(await between(first, second, query)).toMatchObject({
      kind: 'latency',
      buckets: [
        { le: 0.5, count: 15 },
        { le: 1, count: 25 },
        { le: Infinity, count: 35 },
      ],
      total: 35,
      sum: 17.5,
    });
  });

  test('a selector takes one slot of several', async () => {
    const first = histogram('blue', [1, 2, 3]) + histogram('green', [9, 9, 9]);
    const second = histogram('blue', [11, 22, 33]) + histogram('green', [99, 99, 99]);
    const series = await between(first, second, latency);
    expect(series).toEqual({
      kind: 'latency',
      name: 'latency',
      query: 'http_seconds{slot="blue"}',
      window: expect.any(Number) as number,
      buckets: [
        { le: 0.5, count: 10 },
        { le: 1, count: 20 },
        { le: Infinity, count: 30 },
      ],
      total: 30,
      sum: 15,
    });
  });

  const sound = histogram('blue', [1, 2, 3]);
  test.each([
    [
      'of other bounds',
      sound + histogram('green', [1, 2, 3], '2'),
      'http_seconds{slot="green"} has the bounds 0.5, 2, Infinity, but',
    ],
    ['without +Inf', sound.replace(/.*\+Inf.*\n/, ''), 'there is no bucket +Inf'],
    [
      'whose +Inf is not their count',
      sound.replace('count{slot="blue"} 3', 'count{slot="blue"} 4'),
      '+Inf counts 3, _count says 4',
    ],
    ['without a sum', sound.replace(/.*_sum.*\n/, ''), 'there is no _sum'],
    ['without buckets', sound.replaceAll(/.*_bucket.*\n/g, ''), 'there are no buckets'],
    ['whose buckets fall', histogram('blue', [5, 2, 5]), 'the bucket up to 1 counts less'],
    ['with a bucket of NaN', histogram('blue', [NaN, 2, 3]), 'is NaN'],
    ['with a bound twice', sound.replace('le="1.0"', 'le="0.50"'), 'the bound 0.5 is there twice'],
    ['with a bound of no number', sound.replace('le="0.5"', 'le="fast"'), 'the bucket has the bound "fast"'],
    [
      'that are summaries',
      `# TYPE http_seconds summary\n${sound}`,
      'http_seconds is a summary; a histogram is needed',
    ],
    ['that are not there', 'up 1\n', 'there is no metric http_seconds'],
  ])('%s are unavailable', async (_, second, problem) => {
    const query: MetricQuery = { kind: 'latency', name: 'latency', histogram: 'http_seconds' };
    await expect(between('up 1\n', second, query)).rejects.toThrow(problem);
  });
});

describe('endpoints', () => {
  const respond =
    (status: number, headers: Record<string, string>, body: string): RequestListener =>
    (_, response) =>
      response.writeHead(status, headers).end(body);

  test.each<[string, RequestListener, RegExp, timeout?: number]>([
    ['a status', respond(500, {}, '<h1>no\n\u0007db</h1>'), /status 500, beginning with "<h1>no db<\/h1>"/],
    ['no content', respond(204, {}, ''), /status 204$/],
    ['a page', respond(200, {}, '<html>\n'), /line 1: a metric name was expected/],
    ['a compressed answer', respond(200, { 'content-encoding': 'gzip' }, 'x'), /encoding gzip/],
    ['bytes that are no text', (_, response) => response.end(Buffer.from([0xff, 0xfe])), /not UTF-8/],
    [
      'a cut',
      (_, response) => {
        response.writeHead(200, { 'content-length': '999' }).write('a 1\n', () => response.destroy());
      },
      /aborted|ECONNRESET/,
    ],
    [
      'a cut of chunks',
      (_, response) => {
        response.write('a 1\n', () => response.destroy());
      },
      /aborted|ECONNRESET/,
    ],
    [
      'a redirect to another host',
      respond(302, { location: 'http://localhost:1/metrics' }, ''),
      /redirects to another host, localhost:1/,
    ],
    ['a redirect in a circle', respond(302, { location: '/metrics' }, ''), /redirects more than 3 times/],
    [
      'no end',
      (_, response) => {
        response.write('a 1\n');
      },
      /no complete answer within 500ms/,
      500,
    ],
    ['no answer', () => {}, /no complete answer within 500ms/, 500],
    [
      'too much',
      (_, response) => {
        response.end('a 1\n'.repeat(5_000));
      },
      /more than 10000 bytes/,
    ],
  ])('%s is unavailable and names the URL', async (_, answer, problem, timeout = 5_000) => {
    const { served } = await endpoint(answer);
    const url = served.url.replace('//', '//user:geheim@') + '?token=geheim';
    const source = createScrape({ urls: [url], timeout, maxBytes: 10_000, fetchText });
    const error: unknown = await source.begin(ratio, never).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      reasonCode: 'metrics_unavailable',
      message: expect.stringMatching(problem) as string,
    });
    expect((error as Error).message).toContain(`${served.url}?…: `);
    expect(JSON.stringify([error, (error as Error).message])).not.toContain('geheim');
  });

  test('all have to answer, and those that did not are named', async () => {
    const [a, b] = [await endpoint(counters(1, 1)), await endpoint(counters(1, 1))];
    const source = scrapeOf(a.served.url, b.served.url);
    const baseline = await source.begin(ratio, never);
    await b.close();
    await expect(source.series(ratio, baseline, never)).rejects.toThrow(
      new RegExp(`^${b.served.url}: .*ECONNREFUSED.* \\(1 of 2 endpoints\\)$`),
    );
  });

  test('are sent credentials and headers, and followed within their host', async () => {
    const seen: unknown[] = [];
    const { served } = await endpoint((request, response) => {
      seen.push([request.url, request.headers.authorization, request.headers['x-scope']]);
      if (request.url === '/metrics') response.writeHead(307, { location: '/real' }).end();
      else response.end(counters(1, 1));
    });
    const urls = [served.url.replace('//', '//user:pass@')];
    const source = createScrape({ urls, headers: { 'x-scope': 'team' }, timeout: 2_000, fetchText });
    const baseline = await source.begin(ratio, never);
    expect(JSON.stringify(baseline)).not.toContain('pass');
    expect(seen[0]).toEqual(['/metrics', `Basic ${btoa('user:pass')}`, 'team']);
    expect(seen[1]).toEqual(['/real', `Basic ${btoa('user:pass')}`, 'team']);
  });

  test('may be Unix sockets and OpenMetrics, timed by the server’s clock', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'scrape-'));
    cleanUps.push(() => rm(folder, { recursive: true }));
    const at =
      (seconds: number): RequestListener =>
      (_, response) =>
        response
          .writeHead(200, {
            'content-type': 'application/openmetrics-text; version=1.0.0',
            date: new Date(seconds * 1_000).toUTCString(),
          })
          .end(`${counters(seconds, 1)}# EOF\n`);
    const { served } = await endpoint(at(100), join(folder, 'admin.sock'));
    const source = scrapeOf(`unix:${join(folder, 'admin.sock')}:/metrics`);
    const baseline = await source.begin(ratio, never);
    served.answer = at(160);
    expect(await source.series(ratio, baseline, never)).toMatchObject({
      errors: 0,
      total: 60,
      window: 60_000,
    });
  });

  test('are no longer waited for when the run is cancelled', async () => {
    const { served } = await endpoint(() => {});
    const controller = new AbortController();
    const reading = scrapeOf(served.url).begin(ratio, controller.signal);
    setTimeout(() => controller.abort(), 50);
    await expect(reading).rejects.toMatchObject({ reasonCode: 'cancelled' });
  });

  test('a baseline of another query, of other endpoints, or damaged is refused', async () => {
    const [a, b] = [await endpoint(counters(1, 1)), await endpoint(counters(1, 1))];
    const baseline = await scrapeOf(a.served.url).begin(ratio, never);
    const other: MetricQuery = { ...ratio, total: 'other' };
    await expect(scrapeOf(a.served.url).series(other, baseline, never)).rejects.toThrow('the baseline is of');
    await expect(scrapeOf(b.served.url).series(ratio, baseline, never)).rejects.toThrow('the baseline is of');
    for (const damaged of [null, 5, [], {}, { ...(baseline as object), readings: [{}] }]) {
      await expect(scrapeOf(a.served.url).series(ratio, damaged, never)).rejects.toMatchObject({
        reasonCode: 'metrics_unavailable',
      });
    }
  });

  test.each([
    [['ftp://host/metrics'], 'is no URL that metrics can be read from'],
    [['unix:/socket-without-path'], 'is no URL'],
    [['http://user:geheim@ho st/'], '"http://…@ho st/" is no URL'],
    [[], 'needs at least one URL'],
    [['http://a/metrics', 'http://a/metrics'], 'same URL twice'],
  ])('%j is refused', (urls, problem) => {
    expect(() => scrapeOf(...urls)).toThrow(problem);
  });

  test('an expression is refused: nothing here would evaluate it', async () => {
    const counts: MetricQuery = { kind: 'counts', name: 'e', errors: 'a[{window}]', total: 'b[{window}]' };
    await expect(scrapeOf('http://127.0.0.1:1/').begin(counts, never)).rejects.toMatchObject({
      reasonCode: 'invalid_input',
    });
  });

  test('an unknown kind of source is an error that lists the known ones', () => {
    const unknown = { kind: 'graphite', urls: [], timeout: 1 } as unknown as MetricSourceConfig;
    expect(() => createMetricSource(unknown)).toThrow(
      expect.objectContaining({ remedy: 'Known: scrape, prometheus.' }),
    );
    expect(createMetricSource({ kind: 'scrape', urls: ['http://a/'], timeout: 1 }).name).toBe('scrape');
  });
});
