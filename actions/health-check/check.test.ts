import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { dependenciesOf, describeFailure, judgeAnswer, request } from './check.ts';

const expected = { status: [200], json: {}, body: undefined };
const answer = (body: string, status = 200, location?: string) => ({ status, body, location });

describe('judgeAnswer', () => {
  it('is content with the status alone when nothing else is asked for', () => {
    expect(judgeAnswer(answer('anything'), expected)).toEqual({
      healthy: true,
      seen: 'HTTP 200',
      dependencies: [],
    });
  });

  it.each([
    ['a wrong status', answer('', 503), expected, 'HTTP 503, expected 200'],
    [
      'a redirect',
      answer('', 302, 'https://x/login'),
      expected,
      'HTTP 302 (redirects to https://x/login), expected 200',
    ],
    ['one of several', answer('', 500), { ...expected, status: [200, 204] }, 'HTTP 500, expected 200 or 204'],
    [
      'no JSON',
      answer('<html> busy'),
      { ...expected, json: { status: 'ok' } },
      'the answer is not JSON: "<html> busy"',
    ],
    [
      'another value',
      answer('{"status":"ill"}'),
      { ...expected, json: { status: 'ok' } },
      'status is ill, expected ok',
    ],
    ['a missing field', answer('{}'), { ...expected, json: { 'a.b': '1' } }, 'a.b is missing, expected 1'],
    [
      'a number',
      answer('{"a":[{"b":2}]}'),
      { ...expected, json: { 'a.0.b': '1' } },
      'a.0.b is 2, expected 1',
    ],
    [
      'other text',
      answer('bye'),
      { ...expected, body: 'hello' },
      'the answer does not contain "hello": "bye"',
    ],
  ])('names %s', (_what, given, wanted, seen) => {
    expect(judgeAnswer(given, wanted)).toMatchObject({ healthy: false, seen });
  });

  it('compares values that are no text by their JSON', () => {
    const json = { up: 'true', at: 'null', list: '[1,2]' };
    const body = '{"up":true,"at":null,"list":[1,2]}';
    expect(judgeAnswer(answer(body), { ...expected, json }).healthy).toBe(true);
  });

  it('names everything that is wrong, and the dependencies that are ill, in one line', () => {
    const body = JSON.stringify({
      status: 'degraded',
      checks: {
        database: { status: 'healthy' },
        cache: { status: 'down', error: 'refused\nby host' },
        disk: true,
      },
    });
    const { seen } = judgeAnswer(answer(body, 503), {
      status: [200],
      json: { status: 'ok' },
      body: undefined,
    });
    expect(seen).toBe(
      'HTTP 503, expected 200; status is degraded, expected ok; cache is down (refused by host)',
    );
  });

  it('cuts what would flood the log', () => {
    const { seen } = judgeAnswer(answer('x'.repeat(5_000)), { ...expected, body: 'hello' });
    expect(seen.length).toBeLessThan(300);
  });
});

describe('dependenciesOf', () => {
  it('reads the names that health endpoints use', () => {
    for (const key of ['checks', 'dependencies', 'components', 'details']) {
      expect(dependenciesOf({ [key]: { db: { status: 'UP', response_time: 0.012, error: 7 } } })).toEqual([
        { name: 'db', status: 'UP', seconds: 0.012, error: null },
      ]);
    }
    expect(dependenciesOf({ checks: { db: 'ok' } })).toEqual([
      { name: 'db', status: 'ok', seconds: null, error: null },
    ]);
  });

  it('finds none in anything else', () => {
    for (const document of [undefined, null, [], 'ok', { checks: [] }, {}]) {
      expect(dependenciesOf(document)).toEqual([]);
    }
  });
});

describe('request', () => {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
  async function serve(listener: RequestListener): Promise<URL> {
    const server = createServer(listener);
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/health/`);
  }
  const never = new AbortController().signal;
  const failure = (work: Promise<unknown>) =>
    work.then(
      () => 'no failure',
      (thrown: unknown) => describeFailure(thrown),
    );

  it('sends the headers, and takes a redirect for an answer', async () => {
    const url = await serve((asked, response) => {
      response.writeHead(302, { location: `/as/${asked.headers['x-who']}` }).end('body');
    });
    expect(await request(url, { 'X-Who': 'ada' }, 1_000, never)).toEqual({
      status: 302,
      location: '/as/ada',
      body: 'body',
    });
  });

  it('says in words what went wrong', async () => {
    expect(await failure(request(new URL('http://127.0.0.1:1/'), {}, 1_000, never))).toMatch(
      /ECONNREFUSED.*\(nothing listens there\)/,
    );
    const silent = await serve(() => {});
    expect(await failure(request(silent, {}, 50, never))).toBe('no complete answer within 50ms');
    const stalled = await serve((_asked, response) => void response.writeHead(200).write('half'));
    expect(await failure(request(stalled, {}, 50, never))).toBe('no complete answer within 50ms');
    const cut = await serve((asked, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('half');
      setTimeout(() => asked.socket.destroy(), 5);
    });
    expect(await failure(request(cut, {}, 1_000, never))).toMatch(/the connection was cut/);
  });

  it('ends at once when it is cancelled', async () => {
    const silent = await serve(() => {});
    const start = performance.now();
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 10);
    await failure(request(silent, {}, 10_000, controller.signal));
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});
