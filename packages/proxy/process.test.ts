import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { Agent, request, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '@deploy-actions/core';
import { expect, onTestFinished, test } from 'vitest';
import { adminClient } from './client.ts';
import { configPath, prepareConfig, type ProxySettings } from './config.ts';
import { freeAddress } from '../../test/support/ports.ts';
import { allTo, ask, backend, named, never, proxied, temporaryDirectory } from './test-support.ts';

const call = { signal: never };

async function started(stateDirectory: string, settings: Partial<ProxySettings> = {}) {
  const listen = settings.listen ?? (await freeAddress());
  await prepareConfig(stateDirectory, { listen, ...settings });
  return { listen, admin: adminClient(stateDirectory), process: await launch(stateDirectory) };
}

async function launch(stateDirectory: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), stateDirectory], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = once(child, 'close');
  const end = performance.now() + 20_000;
  const admin = adminClient(stateDirectory);
  while (child.exitCode === null && performance.now() < end) {
    const answer = await admin.state(call).catch(() => undefined);
    if (answer?.state?.pid === child.pid) return child;
    await delay(20);
  }
  child.kill('SIGKILL');
  await ended;
  throw new Error(`the proxy did not start: ${said}`);
}

test('killed at any moment and started again, it serves as before', async () => {
  const stateDirectory = await temporaryDirectory();
  const [blue, green] = [await named('blue'), await named('green')];
  const addresses = { blue: blue.address, green: green.address };
  const first = await started(stateDirectory);
  const written = await first.admin.setTargets(allTo('green', addresses), 5, 1, call);
  expect(written.status).toBe(200);
  const exited = once(first.process, 'exit');
  first.process.kill('SIGKILL');
  await exited;
  await expect(first.admin.state(call)).rejects.toMatchObject({ reasonCode: 'unreachable' });

  await launch(stateDirectory);
  const { state } = await first.admin.state(call);
  expect(state).toMatchObject({ version: 2, fence: 5, targets: allTo('green', addresses) });
  expect((await ask(first.listen)).body).toBe('green');
  const modes = await Promise.all(
    ['proxy.json', 'proxy.sock'].map((name) => stat(join(stateDirectory, name))),
  );
  expect(modes.map(({ mode }) => mode & 0o777)).toEqual([0o600, 0o600]);
});

test('SIGTERM: requests in flight end, idle connections are told, then it exits 0; SIGINT and SIGHUP do nothing', async () => {
  const held: ServerResponse[] = [];
  const app = await backend((incoming, response) => {
    if (incoming.url === '/slow') held.push(response);
    else response.end('fast');
  });
  // Idle connections are cut a second after the signal: a try that this machine stalls for so long shows nothing of them.
  for (let stalled = true; stalled;) {
    const stateDirectory = await temporaryDirectory();
    const { listen, admin, process: child } = await started(stateDirectory);
    const exited = once(child, 'exit');
    await admin.setTargets(allTo('blue', { blue: app.address }), 1, 1, call);
    child.kill('SIGINT');
    child.kill('SIGHUP');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    expect((await ask(listen, { agent })).body).toBe('fast');
    const slow = ask(listen, { path: '/slow' });
    while (held.length === 0) await delay(5);
    const signalled = performance.now();
    child.kill('SIGTERM');
    await refused(listen);
    const last = await ask(listen, { agent, method: 'POST', body: 'on the idle connection' }).catch(
      (error: unknown) => error,
    );
    stalled = last instanceof Error && performance.now() - signalled >= 1_000;
    if (!stalled) expect(last).toMatchObject({ body: 'fast', headers: { connection: 'close' } });
    held.pop()?.end('slow');
    expect(await slow).toMatchObject({ body: 'slow', headers: { connection: 'close' } });
    expect((await exited)[0]).toBe(0);
    await expect(stat(join(stateDirectory, 'proxy.sock'))).rejects.toThrow('ENOENT');
  }
}, 120_000);

/** Waits until new connections are refused. */
async function refused(address: string): Promise<void> {
  for (;;) {
    const failure: unknown = await ask(address).catch((error: unknown) => error);
    if (codeOf(failure) === 'ECONNREFUSED') return;
    await delay(5);
  }
}

test('/shutdown ends it too, cutting what does not end in time', async () => {
  const stateDirectory = await temporaryDirectory();
  const { promise: seen, resolve } = Promise.withResolvers<void>();
  const app = await backend(() => resolve());
  const { listen, admin, process: child } = await started(stateDirectory, { timeouts: { shutdown: 200 } });
  const exited = once(child, 'exit');
  await admin.setTargets(allTo('blue', { blue: app.address }), 1, 1, call);
  const endless = ask(listen);
  endless.catch(() => {});
  await seen;
  expect((await admin.shutdown(call)).status).toBe(202);
  await expect(endless).rejects.toThrow();
  expect((await exited)[0]).toBe(0);
});

test('a port that is taken, no configuration, a broken one: exit 1 and why', async () => {
  const app = await named('other');
  const taken = await temporaryDirectory();
  await expect(started(taken, { listen: app.address })).rejects.toThrow(
    `cannot listen on ${app.address}: another process listens there`,
  );
  await expect(launch(await temporaryDirectory())).rejects.toThrow('There is no proxy.json');
  const broken = await temporaryDirectory();
  await writeFile(configPath(broken), '{"schema": 1}');
  await expect(launch(broken)).rejects.toThrow('has no valid listen');
  await writeFile(configPath(broken), '{"schema": 2}');
  await expect(launch(broken)).rejects.toThrow('has schema 2; this version reads 1');
});

test('a second proxy in the same directory does no harm to the first', async () => {
  const stateDirectory = await temporaryDirectory();
  const { admin, process: child } = await started(stateDirectory);
  await expect(launch(stateDirectory)).rejects.toThrow('another process listens there');
  expect((await admin.state(call)).state?.pid).toBe(child.pid);
});

test('the socket works where its path is too long for the kernel', async () => {
  const stateDirectory = join(await temporaryDirectory(), 'long'.repeat(40));
  await mkdir(stateDirectory);
  const { admin, process: child } = await started(stateDirectory);
  expect((await admin.state(call)).state?.pid).toBe(child.pid);
});

test('50 MB pass both ways at once', async () => {
  const size = 50 * 1024 * 1024;
  const app = await backend((incoming, response) => void incoming.pipe(response));
  const { listen, use } = await proxied([]);
  await use(allTo('blue', { blue: app.address }));
  const url = new URL(`http://${listen}`);
  const received = await new Promise<number>((resolve, reject) => {
    const outgoing = request(
      { host: url.hostname, port: url.port, method: 'POST', agent: false },
      (response) => {
        let bytes = 0;
        response.on('data', (chunk: Buffer) => (bytes += chunk.length));
        response.on('error', reject);
        response.on('end', () => resolve(bytes));
      },
    );
    outgoing.on('error', reject);
    Readable.from(Array.from({ length: size / 65_536 }, () => Buffer.alloc(65_536))).pipe(outgoing);
  });
  expect(received).toBe(size);
});

test('memory is bounded: whoever does not read stops whoever sends', async () => {
  const bound = 16 * 1024 * 1024;
  let sent = 0;
  const app = await backend((incoming, response) => {
    if (incoming.method === 'POST') return;
    const chunk = Buffer.alloc(65_536);
    const more = () => {
      do sent += chunk.length;
      while (!response.destroyed && sent < 4 * bound && response.write(chunk));
    };
    response.on('drain', more);
    more();
  });
  const { listen, use } = await proxied([]);
  await use(allTo('blue', { blue: app.address }));
  const url = new URL(`http://${listen}`);

  const reader = connect(Number(url.port), url.hostname);
  reader.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  await stalls(() => sent);
  expect(sent).toBeGreaterThan(0);
  expect(sent).toBeLessThan(bound);
  reader.destroy();

  const writer = connect(Number(url.port), url.hostname);
  writer.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${4 * bound}\r\n\r\n`);
  writer.write(Buffer.alloc(4 * bound));
  await stalls(() => writer.bytesWritten - writer.writableLength);
  expect(writer.writableLength).toBeGreaterThan(3 * bound);
  writer.destroy();
  // Nobody reads, so nobody sees that the client left; the end of the application ends it.
  await app.close();
});

/** Waits until the number has not changed for a while. */
async function stalls(count: () => number): Promise<void> {
  for (let last = -1; last !== count() || last === 0; await delay(250)) last = count();
}

test('metrics have a listener of their own where one is wanted', async () => {
  const stateDirectory = await temporaryDirectory();
  const metricsListen = await freeAddress();
  await started(stateDirectory, { metricsListen });
  const answer = await ask(metricsListen, { path: '/metrics' });
  expect(answer.body).toMatch(/^process_start_time_seconds \d+/m);
  expect(answer.headers['content-type']).toContain('version=0.0.4');
  expect((await ask(metricsListen, { path: '/state' })).status).toBe(404);
});
