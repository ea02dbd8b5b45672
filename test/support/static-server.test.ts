import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';

const main = fileURLToPath(new URL('static-server.ts', import.meta.url));
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

async function start(env: Record<string, string>): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { url: `http://127.0.0.1:${(JSON.parse(line) as { listening: number }).listening}`, child };
}

test('answers with its version, fails every n-th request, and counts both', async () => {
  const { url } = await start({ VERSION: 'v7', ERROR_EVERY: '5', LATENCY_MS: '30' });
  const statuses = [];
  for (let i = 0; i < 10; i += 1) {
    const answer = await fetch(`${url}/tickets`, i % 2 === 0 ? {} : { method: 'POST', body: 'x' });
    statuses.push(answer.status);
    expect([answer.headers.get('x-app'), answer.headers.get('x-version')]).toEqual(['1', 'v7']);
    await answer.text();
  }
  expect(statuses).toEqual([200, 200, 200, 200, 500, 200, 200, 200, 200, 500]);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('http_requests_total{code="200"} 8\nhttp_requests_total{code="500"} 2\n');
  expect(metrics).toContain('http_request_duration_seconds_bucket{le="0.025"} 0\n');
  expect(metrics).toContain('http_request_duration_seconds_bucket{le="+Inf"} 10\n');
  expect(metrics).toContain('http_request_duration_seconds_count 10\n');
});

test('is healthy after a while, or never', async () => {
  const later = await start({ READY_AFTER_MS: '3000' });
  const health = async (url: string) => {
    const answer = await fetch(`${url}/health/`);
    return [answer.status, ((await answer.json()) as { status: string }).status];
  };
  expect(await health(later.url)).toEqual([503, 'unhealthy']);
  await expect.poll(() => health(later.url)).toEqual([200, 'healthy']);
  const never = await start({ NEVER_READY: '1' });
  expect(await health(never.url)).toEqual([503, 'unhealthy']);
});

test.each([
  ['graceful', 0, null],
  ['immediate', 143, null],
  ['ignore', null, 'SIGKILL'],
])('SIGTERM, %s', async (behaviour, code, signal) => {
  const { url, child } = await start({ TERM: behaviour });
  const exited = once(child, 'exit');
  const inFlight = fetch(`${url}/slow?ms=3000`).then(
    (answer) => answer.headers.get('connection'),
    () => 'lost',
  );
  await expect.poll(async () => (await fetch(`${url}/`)).status).toBe(200); // by then the slow one has arrived
  const ask = () =>
    new Promise((resolve) => {
      request(`${url}/`, { agent: false }, (answer) => resolve(answer.resume().statusCode))
        .on('error', (error: NodeJS.ErrnoException) => resolve(error.code))
        .end();
    });
  child.kill('SIGTERM');
  if (behaviour !== 'ignore') await expect.poll(ask).toBe('ECONNREFUSED');
  expect(await inFlight).toBe({ graceful: 'close', immediate: 'lost', ignore: 'keep-alive' }[behaviour]);
  if (behaviour === 'ignore') {
    expect(await ask()).toBe(200);
    child.kill('SIGKILL');
  }
  expect(await exited).toEqual([code, signal]);
});

test('crashes when told to, and refuses a setting that is no number', async () => {
  const { child } = await start({ CRASH_AFTER_MS: '50' });
  expect(await once(child, 'exit')).toEqual([1, null]);
  const bad = spawn(process.execPath, [main], {
    env: { LATENCY_MS: 'soon' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [text] = (await once(bad.stderr, 'data')) as [Buffer];
  expect(text.toString()).toContain('LATENCY_MS=soon not allowed');
});
