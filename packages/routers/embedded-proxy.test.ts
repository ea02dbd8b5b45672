import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { deadlineIn, silentLog } from '@deploy-actions/core';
import { adminClient, configPath } from '@deploy-actions/proxy';
import type { Target } from '@deploy-actions/release-engine';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freeAddress } from '../../test/support/ports.ts';
import { fence, routerConformance } from './conformance.ts';
import { createEmbeddedProxy, type EmbeddedProxyOptions } from './embedded-proxy.ts';

/** A matcher of a part of a text, with a type. */
const containing = (part: string): unknown => expect.stringContaining(part);

const never = new AbortController().signal;
const call = { signal: never };
const command = [process.execPath, join(import.meta.dirname, '../proxy/main.ts')];

async function place() {
  const stateDirectory = join(await mkdtemp(join(tmpdir(), 'embedded-proxy-')), 'state');
  const options: EmbeddedProxyOptions = {
    stateDirectory,
    listen: await freeAddress(),
    command,
    verifyPath: '/',
    log: silentLog,
    timeouts: { shutdown: 200 },
  };
  const admin = adminClient(stateDirectory);
  const pid = async () => (await admin.state(call)).state?.pid ?? 0;
  const dispose = async () => {
    const running = await pid().catch(() => 0);
    if (running > 0) process.kill(running, 'SIGKILL');
    await rm(join(stateDirectory, '..'), { recursive: true, force: true });
  };
  return { stateDirectory, options, admin, pid, dispose };
}

async function forTest() {
  const made = await place();
  onTestFinished(made.dispose);
  return { ...made, router: createEmbeddedProxy(made.options) };
}

routerConformance('embedded-proxy', async () => {
  const { stateDirectory, options, pid, dispose } = await place();
  return {
    connect: () => createEmbeddedProxy(options),
    address: options.listen,
    stored: async () => readFile(configPath(stateDirectory), 'utf8').catch(() => ''),
    async *kill(targets: Target[]) {
      // The proxy is the one that writes: it is killed 0 to 4 ms after the request for the write was sent.
      for (const wait of [0, 2, 4]) {
        const router = createEmbeddedProxy(options);
        const { version } = await router.read();
        const victim = await pid();
        const writing = router.apply(targets, version, fence()).catch(() => 'killed');
        await delay(wait);
        process.kill(victim, 'SIGKILL');
        await writing;
        await router.ensureRunning(fence(), never);
        yield `the proxy, ${wait} ms into the write`;
      }
      // The run is killed instead.
      for (const wait of [1, 4]) {
        const { log: _, ...plain } = options;
        const run = fork(join(import.meta.dirname, 'apply-in-child.fixture.ts'), [
          JSON.stringify({ router: 'embedded-proxy', options: plain, targets }),
        ]);
        await once(run, 'message');
        run.send('apply');
        await delay(wait);
        run.kill('SIGKILL');
        await once(run, 'exit');
        yield `the run, ${wait} ms into the write`;
      }
    },
    dispose,
  };
});

describe('ensureRunning', () => {
  test('starts the proxy once, of several calls at once too, in a session of its own without our environment', async () => {
    const { options, admin, pid, stateDirectory } = await forTest();
    process.env['INPUT_TOKEN'] = 'hidden';
    process.env['RUNNER_TRACKING_ID'] = 'github_job';
    onTestFinished(() => {
      delete process.env['INPUT_TOKEN'];
      delete process.env['RUNNER_TRACKING_ID'];
    });
    await Promise.all([1, 2, 3].map(() => createEmbeddedProxy(options).ensureRunning(fence(3), never)));
    const first = await pid();
    await createEmbeddedProxy(options).ensureRunning(fence(3), never);
    expect(await pid()).toBe(first);
    expect((await admin.state(call)).state).toMatchObject({ fence: 3, targets: [], listen: options.listen });
    expect((await stat(stateDirectory)).mode & 0o777).toBe(0o700);

    const environment = (await readFile(`/proc/${first}/environ`, 'utf8')).split('\0');
    const names = environment.filter((line) => line !== '').map((line) => line.split('=')[0]);
    expect(environment).toContain('RUNNER_TRACKING_ID=');
    expect(['PATH', 'HOME', 'LANG', 'TZ', 'RUNNER_TRACKING_ID']).toEqual(expect.arrayContaining(names));
    const [, , , , , session] = (await readFile(`/proc/${first}/stat`, 'utf8')).split(' ');
    expect(Number(session)).toBe(first);
  });

  test('a proxy that was killed is started again and serves what it had', async () => {
    const { router, pid } = await forTest();
    const targets = [{ slot: 'blue', weight: 100, addresses: ['127.0.0.1:9'] }];
    const traffic = await router.apply(targets, 'absent', fence(2));
    const first = await pid();
    process.kill(first, 'SIGKILL');
    expect(await router.read()).toEqual(traffic);
    await router.ensureRunning(fence(2), never);
    expect(await pid()).not.toBe(first);
    expect(await router.read()).toEqual(traffic);
    await expect(router.ensureRunning(fence(1), never)).rejects.toMatchObject({ reasonCode: 'lock_lost' });
  });

  test('says why it cannot start: the port, the command, the lease', async () => {
    const { options } = await forTest();
    const taken = createServer().listen(Number(options.listen.split(':')[1]), '127.0.0.1');
    await once(taken, 'listening');
    onTestFinished(() => void taken.close());
    await expect(createEmbeddedProxy(options).ensureRunning(fence(), never)).rejects.toMatchObject({
      reasonCode: 'start_failed',
      details: [containing(`cannot listen on ${options.listen}: another process listens there`)],
    });
    await expect(
      createEmbeddedProxy({ ...options, command: ['/nonexistent'] }).ensureRunning(fence(), never),
    ).rejects.toMatchObject({ reasonCode: 'start_failed', message: containing('ENOENT') });
    const gone = fence(1, () => Promise.reject(new Error('deposed')));
    await expect(createEmbeddedProxy(options).ensureRunning(gone, never)).rejects.toThrow('deposed');
    await expect(
      createEmbeddedProxy({ ...options, listen: '8080' }).ensureRunning(fence(), never),
    ).rejects.toMatchObject({ reasonCode: 'invalid_config' });
  });

  test('another address than the one it runs on is refused, naming both', async () => {
    const { router, options } = await forTest();
    await router.ensureRunning(fence(), never);
    const other = createEmbeddedProxy({ ...options, listen: '127.0.0.1:1' });
    await expect(other.ensureRunning(fence(), never)).rejects.toMatchObject({
      reasonCode: 'invalid_config',
      message: containing(options.listen),
    });
  });

  test('can be aborted, and a state it cannot read is said', async () => {
    const { router, stateDirectory, options } = await forTest();
    const slow = createEmbeddedProxy({ ...options, command: ['sleep', '1', '#'] });
    await expect(slow.ensureRunning(fence(), AbortSignal.timeout(100))).rejects.toMatchObject({
      reasonCode: 'cancelled',
    });
    await writeFile(configPath(stateDirectory), '{');
    await expect(router.read()).rejects.toMatchObject({ reasonCode: 'state_corrupt' });
  });

  test.each(['verify', 'drain'] as const)('%s starts a proxy again that ended meanwhile', async (method) => {
    const { router, pid } = await forTest();
    const application = createHttpServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1');
    onTestFinished(() => void application.close());
    await once(application, 'listening');
    const { port } = application.address() as AddressInfo;
    const targets = [{ slot: 'blue', weight: 100, addresses: [`127.0.0.1:${port}`] }];
    await router.ensureRunning(fence(), never);
    const traffic = await router.apply(targets, (await router.read()).version, fence());
    const killed = await pid();
    process.kill(killed, 'SIGKILL');
    const outcome =
      method === 'verify'
        ? await router.verify(traffic, deadlineIn(10_000), never)
        : await router.drain('green', deadlineIn(10_000), never);
    expect(outcome).toMatchObject(method === 'verify' ? { matches: true } : { complete: true, inFlight: 0 });
    expect(await pid()).not.toBe(killed);
    expect(await router.read()).toEqual(traffic);
  });

  test('a verify where no proxy runs says so', async () => {
    const { router } = await forTest();
    const traffic = { targets: [{ slot: 'blue', weight: 100, addresses: ['127.0.0.1:9'] }], version: '1' };
    const observed = await router.verify(traffic, deadlineIn(300), never);
    expect(observed).toMatchObject({
      matches: false,
      detail: containing('no proxy was ever started'),
    });
  });
});
