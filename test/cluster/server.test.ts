// The test server on its own: what it does at SIGTERM is what the tests on the cluster rely on.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { testServer } from './binaries.ts';

let program: string;
let child: ChildProcess;
let ended: Promise<unknown[]>;
let port: number;

beforeAll(async () => {
  program = await testServer(console.error);
}, 180_000);
afterEach(async () => {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await ended;
});

async function start(env: Record<string, string> = {}): Promise<void> {
  child = spawn(program, {
    env: { HOST: '127.0.0.1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  ended = once(child, 'exit');
  if (child.stdout === null) throw new Error('no output');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  port = (JSON.parse(line) as { listening: number }).listening;
}

interface Seen {
  status: number;
  version: unknown;
  connection: string | undefined;
  body: string;
  /** Whether the connection had been used before. */
  reused: boolean;
}

/** What is answered, or the error's code. */
function send(path: string, options: { agent?: Agent; body?: string } = {}): Promise<Seen | string> {
  const { promise, resolve } = Promise.withResolvers<Seen | string>();
  const { agent = false, body } = options;
  const sent = request(
    { host: '127.0.0.1', port, path, agent, method: body === undefined ? 'GET' : 'POST' },
    (response) => {
      void text(response).then((content) =>
        resolve({
          status: response.statusCode ?? 0,
          version: response.headers['x-version'],
          connection: response.headers.connection,
          body: content,
          reused: sent.reusedSocket,
        }),
      );
    },
  );
  sent.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message)).end(body);
  return promise;
}

/** What a path is answered; an error's code has none. */
async function statusOf(path: string): Promise<number | string> {
  const seen = await send(path);
  return typeof seen === 'string' ? seen : seen.status;
}

/** Waits until the server has so many requests that it has not answered. */
async function haveInFlight(count: number): Promise<void> {
  await expect
    .poll(async () => {
      const metrics = await send('/metrics');
      return typeof metrics === 'string' ? metrics : metrics.body;
    })
    .toContain(`http_requests_in_flight ${count}\n`);
}

describe('answers', () => {
  test('with its version, on connections that are kept', async () => {
    await start({ VERSION: 'v7' });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const seen = [await send('/a', { agent, body: 'four' }), await send('/b', { agent, body: 'more' })];
    for (const one of seen) expect(one).toMatchObject({ status: 200, version: 'v7', connection: undefined });
    expect(seen[1]).toMatchObject({ reused: true });
    expect(seen[0]).toMatchObject({ body: expect.stringContaining('"bodyBytes":4') as string });
    agent.destroy();
  });

  test('late, wrongly, and says so in its metrics', async () => {
    await start({ LATENCY_MS: '60', ERROR_EVERY: '2' });
    const began = performance.now();
    expect(await send('/')).toMatchObject({ status: 200 });
    expect(performance.now() - began).toBeGreaterThan(55);
    expect(await send('/slow?ms=100')).toMatchObject({ status: 500 });
    expect(performance.now() - began).toBeGreaterThan(210);
    const metrics = await send('/metrics');
    expect(metrics).toMatchObject({ status: 200 });
    const lines = typeof metrics === 'string' ? [] : metrics.body.split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'http_requests_total{code="200"} 1',
        'http_requests_total{code="500"} 1',
        'http_request_duration_seconds_bucket{le="0.05"} 0',
        'http_request_duration_seconds_bucket{le="10"} 2',
        'http_request_duration_seconds_count 2',
      ]),
    );
  });

  test('once it has started, ready when it says so', async () => {
    const began = performance.now();
    await start({ START_DELAY: '200ms', READY_AFTER: '3s' });
    expect(performance.now() - began).toBeGreaterThan(190);
    expect(await send('/health/')).toMatchObject({ status: 503 });
    expect(await send('/')).toMatchObject({ status: 200 });
    await expect.poll(() => statusOf('/health/')).toBe(200);
  });

  test('never ready, or crashes', async () => {
    await start({ READY_AFTER: 'never', CRASH_AFTER: '3s' });
    expect(await send('/health/')).toMatchObject({ status: 503 });
    expect(await ended).toEqual([1, null]);
  });

  test('refuses a value that is not allowed', async () => {
    child = spawn(program, { env: { ON_SIGTERM: 'explode' }, stdio: ['ignore', 'ignore', 'pipe'] });
    ended = once(child, 'exit');
    if (child.stderr === null) throw new Error('no output');
    expect(await text(child.stderr)).toContain('ON_SIGTERM=explode not allowed; use stop-accepting,');
    expect(await ended).toEqual([2, null]);
  });
});

describe('SIGTERM', () => {
  test('stop-accepting: refuses at once, finishes what is in flight, exits 0', async () => {
    await start();
    const inFlight = send('/slow?ms=5000');
    await haveInFlight(1);
    child.kill('SIGTERM');
    await expect.poll(() => statusOf('/health/'), { timeout: 4_000 }).toBe('ECONNREFUSED');
    expect(await inFlight).toMatchObject({ status: 200 });
    expect(await ended).toEqual([0, null]);
  });

  test('stop-accepting: gives up what takes longer than GRACE', async () => {
    await start({ GRACE: '200ms' });
    const inFlight = send('/slow?ms=20000');
    await haveInFlight(1);
    child.kill('SIGTERM');
    expect(await inFlight).toBe('ECONNRESET');
    expect(await ended).toEqual([1, null]);
  });

  test('drain: unhealthy at once, serves on, then stops', async () => {
    await start({ ON_SIGTERM: 'drain', DRAIN_FOR: '3s' });
    child.kill('SIGTERM');
    await expect.poll(() => statusOf('/health/')).toBe(503);
    expect(await send('/')).toMatchObject({ status: 200 });
    expect(await ended).toEqual([0, null]);
  });

  test('close-announced: every answer announces the end of its connection', async () => {
    await start({ ON_SIGTERM: 'close-announced', DRAIN_FOR: '3s' });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect(await send('/', { agent, body: 'x' })).toMatchObject({ connection: undefined });
    child.kill('SIGTERM');
    await expect
      .poll(() => send('/', { agent, body: 'x' }))
      .toMatchObject({ status: 200, connection: 'close' });
    expect(await send('/')).toMatchObject({ status: 200, connection: 'close' });
    agent.destroy();
    expect(await ended).toEqual([0, null]);
  });

  test('ignore: goes on', async () => {
    await start({ ON_SIGTERM: 'ignore' });
    child.kill('SIGTERM');
    await delay(100);
    expect(await send('/')).toMatchObject({ status: 200 });
    expect(child.exitCode).toBe(null);
  });
});
