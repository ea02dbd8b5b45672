import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { issue, makeAuthority } from '../../../test/support/certificates.ts';
import { fetchText } from '../http-text.ts';
import { createPrometheusApi, type PrometheusOptions } from './api.ts';
import { checkPrometheus } from './preflight.ts';
import {
  epoch,
  type FakePrometheus,
  startFakePrometheus,
  vector,
} from '../../../test/support/prometheus-double.ts';

const never = new AbortController().signal;
// Made here, so that no scanner takes them for real ones.
const secret = ['a', 'secret', String(process.pid)].join('-');

let fake: FakePrometheus;
beforeEach(async () => {
  fake = await startFakePrometheus();
});
afterEach(() => fake.close());

const optionsOf = (more: Partial<PrometheusOptions> = {}): PrometheusOptions => ({
  ...{ url: fake.url, timeout: 2_000, fetchText },
  ...more,
});
const ask = (query = 'up', more: Partial<PrometheusOptions> = {}) =>
  createPrometheusApi(optionsOf(more)).instant(query, epoch, never);
const respond = (status: number, headers: Record<string, string>, body: string) => {
  fake.instead = (_, response) => {
    response.writeHead(status, headers).end(body);
    return true;
  };
};

describe('a query', () => {
  test('has its time, its credentials and what the URL says', async () => {
    await createPrometheusApi(
      optionsOf({ url: `${fake.url}/base/?dedup=true`, bearerToken: secret }),
    ).instant('up', epoch, never);
    await ask('up', {
      basicAuth: { username: 'user', password: secret },
      headers: { 'x-scope-orgid': 'team' },
    });
    expect(fake.asked).toMatchObject([
      {
        method: 'GET',
        path: '/base/api/v1/query',
        time: epoch,
        headers: { authorization: `Bearer ${secret}` },
      },
      {
        path: '/api/v1/query',
        headers: { authorization: `Basic ${btoa(`user:${secret}`)}`, 'x-scope-orgid': 'team' },
      },
    ]);
  });

  test('is a form when it is long', async () => {
    const long = `up{instance=~"${'127.0.0.1:9090|'.repeat(200)}"}`;
    await ask(long);
    expect(fake.asked).toMatchObject([{ method: 'POST', path: '/api/v1/query', query: long, time: epoch }]);
  });

  test('of a range has both ends and a step', async () => {
    const seen: string[] = [];
    fake.instead = (asked) => {
      seen.push(asked.path);
      return false;
    };
    const span = { from: epoch, to: epoch + 60_000, step: 15_000 };
    await createPrometheusApi(optionsOf()).range('up', span, never);
    expect(seen).toEqual(['/api/v1/query_range']);
  });

  test('is asked again when the server is busy and says for how long', async () => {
    let left = 2;
    fake.instead = (_, response) => {
      left -= 1;
      if (left >= 0) response.writeHead(left === 1 ? 429 : 503, { 'retry-after': '0' }).end();
      return left >= 0;
    };
    expect((await ask()).result).toMatchObject({ type: 'vector' });
    expect(fake.asked).toHaveLength(3);
  });

  test('is given back with remarks; with warnings only where these are allowed', async () => {
    const answer = {
      ...vector(),
      warnings: ['PromQL info: no counter', 'store-2 did not answer'],
      infos: ['odd'],
    };
    respond(200, {}, JSON.stringify(answer));
    await expect(ask()).rejects.toMatchObject({
      reasonCode: 'metrics_unavailable',
      message: expect.stringMatching(/may be incomplete: store-2 did not answer$/) as string,
    });
    expect(await ask('up', { allowWarnings: true })).toMatchObject({
      warnings: ['store-2 did not answer'],
      infos: ['PromQL info: no counter', 'odd'],
    });
  });

  test.each<[string, number, Record<string, string>, string, string, RegExp]>([
    [
      'no credentials',
      401,
      {},
      `Unauthorized ${secret}`,
      'permission_denied',
      /wants other credentials \(status 401, beginning with "Unauthorized \*\*\*"\)/,
    ],
    [
      'credentials that are refused',
      403,
      {},
      '',
      'permission_denied',
      /refuses these credentials \(status 403\)/,
    ],
    [
      'a page',
      200,
      { 'content-type': 'text/html' },
      '<html>Log in',
      'invalid_input',
      /not its API \(status 200, beginning with "<html>Log in"\)/,
    ],
    ['another server', 404, {}, '404 page not found', 'invalid_input', /not its API \(status 404/],
    [
      'a redirect elsewhere',
      302,
      { location: 'http://localhost:1/login' },
      '',
      'invalid_input',
      /redirects to another host, localhost:1/,
    ],
    [
      'too many queries',
      429,
      { 'retry-after': '60' },
      '',
      'metrics_unavailable',
      /asked too often \(status 429\) and asks to wait for 1m/,
    ],
    [
      'bad_data',
      400,
      {},
      '{"status":"error","errorType":"bad_data","error":"parse error"}',
      'metrics_unavailable',
      /the query failed \(status 400, bad_data: parse error\)/,
    ],
    [
      'execution',
      422,
      {},
      '{"status":"error","errorType":"execution","error":"too many samples"}',
      'metrics_unavailable',
      /execution: too many samples/,
    ],
    [
      'timeout',
      503,
      {},
      '{"status":"error","errorType":"timeout","error":"query timed out"}',
      'metrics_unavailable',
      /timeout: query timed out/,
    ],
    [
      'an error of status 200',
      200,
      {},
      '{"status":"error","errorType":"internal","error":"x"}',
      'metrics_unavailable',
      /internal: x/,
    ],
    [
      'a gateway',
      502,
      { 'content-type': 'text/html' },
      '<html>Bad Gateway',
      'metrics_unavailable',
      /status 502/,
    ],
    [
      'half an answer',
      200,
      {},
      '{"status":"success","data":{"res',
      'metrics_unavailable',
      /is not JSON, or was cut off/,
    ],
    ['a success without data', 200, {}, '{"status":"success"}', 'metrics_unavailable', /it has no data/],
    ['no gzip', 200, { 'content-encoding': 'gzip' }, 'plain', 'unreachable', /incorrect header check/],
  ])(
    'that meets %s is an error with server and query',
    async (_, status, headers, body, reasonCode, message) => {
      respond(status, headers, body);
      const error: unknown = await ask('sum(x)', { bearerToken: secret }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        reasonCode,
        message: expect.stringMatching(message) as string,
        details: [`server: ${fake.url}/`, 'query: sum(x)'],
      });
      expect(JSON.stringify([error, (error as Error).message])).not.toContain(secret);
    },
  );

  test('that is not answered in time, or is cancelled, ends', async () => {
    fake.instead = () => true;
    await expect(ask('up', { timeout: 100 })).rejects.toMatchObject({ reasonCode: 'timeout' });
    const controller = new AbortController();
    const asking = createPrometheusApi(optionsOf()).instant('up', epoch, controller.signal);
    setTimeout(() => controller.abort(), 50);
    await expect(asking).rejects.toMatchObject({ reasonCode: 'cancelled' });
  });

  test('is not sent with a URL or secrets that cannot be', () => {
    const made = (more: Partial<PrometheusOptions>) => () => createPrometheusApi(optionsOf(more));
    expect(made({ url: `http://user:${secret}@host/` })).toThrow(
      'The URL of Prometheus, http://host/, has a user in it.',
    );
    expect(made({ url: 'prometheus:9090' })).toThrow('is no URL that metrics can be read from');
    expect(made({ bearerToken: `${secret}\nx` })).toThrow(
      'The token of Prometheus has characters that no token has.',
    );
    expect(made({ bearerToken: secret, basicAuth: { username: 'u', password: secret } })).toThrow(
      'allowed is one of them',
    );
  });
});

describe('a check before anything depends on the server', () => {
  const check = (more: Partial<PrometheusOptions> = {}) => checkPrometheus(optionsOf(more), never);

  test('is content with one that says what time it is', async () => {
    expect(await check()).toBeUndefined();
  });

  test('throws what somebody has to put right', async () => {
    respond(401, {}, '');
    await expect(check()).rejects.toMatchObject({ reasonCode: 'permission_denied' });
    respond(200, { 'content-type': 'text/html' }, '<html>');
    await expect(check()).rejects.toMatchObject({ reasonCode: 'invalid_input' });
  });

  test('tells of what may pass', async () => {
    respond(200, {}, JSON.stringify(vector()));
    expect(await check()).toMatch(/does not say what time it is/);
    respond(503, {}, '');
    expect(await check()).toMatch(/status 503/);
    await fake.close();
    expect(await check()).toMatch(/ECONNREFUSED/);
  });

  test('throws for a certificate that nobody vouches for, and takes one that the authority given does', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ca-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const authority = await makeAuthority(folder, 'authority');
    const { key, cert } = await issue(authority, folder, 'server', ['IP:127.0.0.1']);
    const now = [epoch / 1_000, String(epoch / 1_000)];
    const server = createTlsServer({ key, cert }, (_, response: ServerResponse) => {
      response.end(JSON.stringify({ status: 'success', data: { resultType: 'scalar', result: now } }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await expect(check({ url })).rejects.toMatchObject({
      reasonCode: 'unreachable',
      remedy: expect.stringContaining('certificate of the authority') as string,
    });
    expect(await check({ url, ca: authority.cert })).toBeUndefined();
  });
});
