import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { deadlineIn, silentLog } from '@deploy-actions/core';
import type { Fence } from '@deploy-actions/release-engine';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freePorts } from '../../../test/support/ports.ts';
import { platformConformance, type Behaviour } from '../conformance.ts';
import { createLinuxHost } from './linux-host.ts';
import { isAlive, listProcesses } from './processes.ts';
import type { LinuxHostRelease } from './release.ts';

const held: Fence = { token: 1, check: async () => {} };
const linuxHostModule = new URL('./linux-host.ts', import.meta.url).href;
const crash = new URL('../../../test/support/crash.mjs', import.meta.url).href;

/** The application of these tests: its behaviour is an argument, its port and version come as the platform gives them. */
const application = `
import { createServer } from 'node:http';
import { spawn } from 'node:child_process';
const [behaviour, port] = process.argv.slice(2);
const { env } = process;
if (behaviour === 'exits') {
  console.error('cannot start: the key ' + env.API_TOKEN + ' is refused');
  process.exit(3);
}
if (behaviour === 'parent') spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
if (behaviour === 'forgetful') spawn('/bin/sleep', ['60'], { stdio: 'ignore', env: {} });
let worker;
if (behaviour === 'master') {
  const script = "process.on('SIGTERM', () => console.log('the worker was signalled')); setInterval(() => {}, 1000)";
  worker = spawn(process.execPath, ['-e', script + "; console.log('the worker runs')"], { stdio: 'inherit' });
}
const server = createServer((request, response) => {
  if (request.url === '/env') return response.end(JSON.stringify(env));
  if (request.url === '/slow') return setTimeout(() => response.end('slow but whole'), 600);
  if (request.url === '/health' && behaviour === 'never-ready') {
    response.writeHead(503, { 'content-type': 'application/json' });
    return response.end(JSON.stringify({ status: 'unhealthy', checks: { cache: 'ok', database: { status: 'fail' } } }));
  }
  response.end(env.DEPLOY_ACTIONS_VERSION);
});
server.listen(Number(port), '127.0.0.1');
process.on('SIGTERM', () => {
  if (behaviour === 'deaf') return;
  if (behaviour === 'master') {
    worker.once('exit', () => process.exit(0));
    return setTimeout(() => worker.kill('SIGKILL'), 200);
  }
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
`;

let folder: string;
let stateDir: string;
let directory: string;

const { from: firstPort } = await freePorts(10);

async function prepare(): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'linux-host-'));
  stateDir = join(folder, 'state');
  directory = join(folder, 'release');
  await mkdir(directory);
  await writeFile(join(directory, 'app.mjs'), application);
}

async function cleanUp(): Promise<void> {
  await end(['blue', 'green']);
  await rm(folder, { recursive: true, force: true });
}

/** Kills what runs in the slots, and waits until it has ended: until then its ports are taken, though its environment is gone. */
async function end(slots: string[]): Promise<void> {
  const copies = (await Promise.all(slots.map(copiesOf))).flat();
  for (const { pid } of copies) process.kill(pid, 'SIGKILL');
  await expect.poll(() => copies.filter(isAlive)).toEqual([]);
}

type AnyBehaviour = Behaviour | 'parent' | 'master' | 'deaf';

function release(version: string, behaviour: AnyBehaviour = 'good', changes: Partial<LinuxHostRelease> = {}) {
  return {
    version,
    directory,
    command: [process.execPath, 'app.mjs', behaviour, '{port}'],
    environment: {},
    instances: 1,
    readinessPath: '/health',
    stopTimeout: 3_000,
    portRange: [firstPort, firstPort + 9],
    ...changes,
  } satisfies LinuxHostRelease;
}

const createHost = () =>
  createLinuxHost({ stateDir, slots: ['blue', 'green'], log: silentLog, supervisor: 'process' });

const markerOf = (slot: string) =>
  `${createHash('sha256').update(stateDir).digest('hex').slice(0, 12)}:${slot}:`;

async function copiesOf(slot: string) {
  const all = await listProcesses();
  return all.filter(({ marker }) => marker?.startsWith(markerOf(slot)));
}

async function start(slot: string, one: LinuxHostRelease, platform = createHost()): Promise<string> {
  await platform.deploy(slot, one, held);
  for await (const _ of platform.ready(slot, deadlineIn(10_000), new AbortController().signal));
  const found = (await platform.observe()).find(({ name }) => name === slot)?.instances[0];
  return found?.address ?? '';
}

platformConformance('linux-host', async () => {
  await prepare();
  return {
    platform: createHost(),
    slots: ['blue', 'green'],
    release: (version, behaviour, instances = 1) => release(version, behaviour, { instances }),
    invalidRelease: () => release('2', 'good', { command: ['./no-such-program'] }),
    running: async (slot) => (await copiesOf(slot)).map(({ pid, birth }) => `${pid} ${birth}`).toSorted(),
    versionAt: async (address) => (await fetch(`http://${address}/`)).text(),
    crash: async (slot) => {
      const [victim] = await copiesOf(slot);
      if (victim === undefined) throw new Error('nothing to crash');
      process.kill(victim.pid, 'SIGKILL');
      await expect.poll(() => isAlive(victim)).toBe(false);
    },
    deployKilled: (slot, one, change) =>
      new Promise((resolve, reject) => {
        const script = `
          import { createLinuxHost } from ${JSON.stringify(linuxHostModule)};
          import { silentLog } from '@deploy-actions/core';
          const platform = createLinuxHost({
            stateDir: ${JSON.stringify(stateDir)}, slots: ['blue', 'green'], log: silentLog, supervisor: 'process',
          });
          await platform.deploy(${JSON.stringify(slot)}, ${JSON.stringify(one)}, { token: 1, check: async () => {} });`;
        const child = spawn(process.execPath, ['--import', crash, '--input-type=module', '-e', script], {
          env: { ...process.env, CRASH_AT: String(change), CRASH_WHEN: 'after' },
          stdio: ['ignore', 'ignore', 'inherit'],
        });
        child.once('error', reject);
        child.once('exit', (code, signal) => {
          if (signal === 'SIGKILL' || code === 0) resolve(signal === 'SIGKILL');
          else reject(new Error(`exit code ${code}`));
        });
      }),
    killStride: 5,
    dispose: cleanUp,
  };
});

describe('linux-host', { timeout: 20_000 }, () => {
  beforeEach(prepare);
  afterEach(cleanUp);

  it('gives an instance a minimal environment and nothing of the runner', async () => {
    const runner = {
      INPUT_TOKEN: 'x',
      GITHUB_TOKEN: 'x',
      ACTIONS_CACHE_URL: 'x',
      RUNNER_TEMP: 'x',
      SOMETHING: 'x',
    };
    Object.assign(process.env, runner, { RUNNER_TRACKING_ID: 'github_1' });
    try {
      const address = await start('blue', release('7', 'good', { environment: { COLOUR: 'dark blue' } }));
      const seen = (await (await fetch(`http://${address}/env`)).json()) as Record<string, string>;
      expect(seen).toMatchObject({
        COLOUR: 'dark blue',
        PATH: process.env['PATH'],
        PORT: address.split(':')[1],
        DEPLOY_ACTIONS_SLOT: 'blue',
        DEPLOY_ACTIONS_VERSION: '7',
        DEPLOY_ACTIONS_INSTANCE: expect.stringContaining(`${markerOf('blue')}1:`),
        RUNNER_TRACKING_ID: '',
      });
      const allowed = ['PATH', 'HOME', 'LANG', 'TZ', 'USER', 'PORT', 'COLOUR', 'RUNNER_TRACKING_ID'];
      expect(
        Object.keys(seen).filter((name) => !allowed.includes(name) && !name.startsWith('DEPLOY_ACTIONS_')),
      ).toEqual([]);
    } finally {
      for (const name of [...Object.keys(runner), 'RUNNER_TRACKING_ID']) delete process.env[name];
    }
  });

  it('lets requests in flight finish when it stops a slot', async () => {
    const platform = createHost();
    const address = await start('blue', release('1'), platform);
    const slow = fetch(`http://${address}/slow`, { headers: { connection: 'close' } });
    await delay(100);
    const [answer] = await Promise.all([slow, platform.retire('blue', held)]);
    expect(await answer.text()).toBe('slow but whole');
    expect(await copiesOf('blue')).toEqual([]);
  });

  it('kills what does not stop in time, and the children of what does', async () => {
    const platform = createHost();
    await start('blue', release('1', 'parent', { stopTimeout: 20_000 }), platform);
    expect(await copiesOf('blue')).toHaveLength(2);
    let began = performance.now();
    await platform.retire('blue', held);
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(await copiesOf('blue')).toEqual([]);

    await start('green', release('1', 'deaf', { stopTimeout: 400 }), platform);
    began = performance.now();
    await platform.retire('green', held);
    expect(performance.now() - began).toBeGreaterThanOrEqual(400);
    expect(await copiesOf('green')).toEqual([]);
  });

  it('leaves it to the main process to stop its workers', async () => {
    const platform = createHost();
    await start('blue', release('1', 'master'), platform);
    const output = () => readFile(join(stateDir, 'slots', 'blue', '1.log'), 'utf8');
    await expect.poll(output).toBe('the worker runs\n');
    await platform.retire('blue', held);
    expect(await copiesOf('blue')).toEqual([]);
    expect(await output()).toBe('the worker runs\n');
  });

  it('stops processes of a slot that no record names, and says so before', async () => {
    const warnings: string[] = [];
    const platform = createLinuxHost({
      stateDir,
      slots: ['blue', 'green'],
      log: { ...silentLog, warning: (message) => warnings.push(message) },
      supervisor: 'process',
    });
    await start('blue', release('1'), platform);
    await rm(join(stateDir, 'slots', 'blue.json'));
    const [stray] = await copiesOf('blue');
    expect((await platform.observe())[0]).toMatchObject({ release: null, wanted: 0 });
    expect(warnings.join()).toContain(String(stray?.pid));
    await start('blue', release('2'), platform);
    expect((await copiesOf('blue')).map(({ pid }) => pid)).not.toContain(stray?.pid);
    expect(await copiesOf('blue')).toHaveLength(1);
  });

  it('takes a state directory by another name for the same', async () => {
    await start('blue', release('1'));
    const before = await copiesOf('blue');
    await symlink(stateDir, join(folder, 'alias'));
    const alias = createLinuxHost({
      stateDir: join(folder, 'alias'),
      slots: ['blue', 'green'],
      log: silentLog,
      supervisor: 'process',
    });
    await alias.deploy('blue', release('1'), held);
    expect(await copiesOf('blue')).toEqual(before);
  });

  it('skips ports that others listen on and refuses when none is left, before it stops anything', async () => {
    const other = createServer().listen(firstPort, '127.0.0.1');
    await once(other, 'listening');
    try {
      const platform = createHost();
      expect(await start('blue', release('1'), platform)).toBe(`127.0.0.1:${firstPort + 1}`);
      expect(await start('green', release('1'), platform)).toBe(`127.0.0.1:${firstPort + 2}`);
      const before = await copiesOf('blue');
      const narrow = release('2', 'good', { instances: 2, portRange: [firstPort, firstPort + 2] });
      await expect(platform.deploy('blue', narrow, held)).rejects.toMatchObject({
        reasonCode: 'start_failed',
        message: expect.stringContaining('no free port'),
      });
      expect(await copiesOf('blue')).toEqual(before);
      // The slot's own port is free for its next version.
      expect(await start('blue', { ...narrow, instances: 1 }, platform)).toBe(`127.0.0.1:${firstPort + 1}`);
    } finally {
      other.close();
    }
  });

  it('leaves the ports of another slot alone, also while nothing listens there', async () => {
    const platform = createHost();
    await start('green', release('1'), platform);
    await end(['green']);
    expect(await start('blue', release('1'), platform)).toBe(`127.0.0.1:${firstPort + 1}`);
  });

  it('keeps the log of the run before and hides secrets in what it quotes', async () => {
    const platform = createHost();
    await start('blue', release('1'), platform);
    const secret = 'not-to-be-seen';
    await platform.deploy('blue', release('2', 'exits', { environment: { API_TOKEN: secret } }), held);
    const failure = await start(
      'blue',
      release('2', 'exits', { environment: { API_TOKEN: secret } }),
      platform,
    ).catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({
      reasonCode: 'start_failed',
      message: expect.stringContaining('exit code 3'),
      details: ['cannot start: the key *** is refused'],
    });
    expect((await readdir(join(stateDir, 'slots', 'blue'))).toSorted()).toEqual(['1.log', '1.log.1']);
    for (const file of ['blue.json', 'blue/1.log']) {
      expect((await stat(join(stateDir, 'slots', file))).mode & 0o077).toBe(0);
    }
    expect(await readFile(join(stateDir, 'slots', 'blue.json'), 'utf8')).toContain(secret);
  });

  it('is ready without a readiness path when the port accepts connections', async () => {
    const { readinessPath: _, ...without } = release('1', 'never-ready');
    expect(await start('blue', without)).toBe(`127.0.0.1:${firstPort}`);
  });

  it.each([
    [
      'a directory that is missing',
      () => ({ directory: join(folder, 'none') }),
      'not_found',
      'does not exist',
    ],
    [
      'a directory that is a file',
      () => ({ directory: join(directory, 'app.mjs') }),
      'invalid_input',
      'not a directory',
    ],
    ['a program that is missing', () => ({ command: ['no-such-program'] }), 'not_found', 'on PATH'],
    ['a program that is not executable', () => ({ command: ['./app.mjs'] }), 'permission_denied', 'app.mjs'],
    [
      'several wrong values at once',
      () => ({ instances: 0, stopTimeout: -1, directory: 'x', portRange: [2, 1] as [number, number] }),
      'invalid_input',
      /"x".*instances.*stopTimeout.*portRange/,
    ],
    ['a reserved variable', () => ({ environment: { PORT: '1' } }), 'invalid_input', 'PORT'],
  ])('refuses %s', async (_, changes, reasonCode, message) => {
    await chmod(join(directory, 'app.mjs'), 0o600);
    await expect(createHost().deploy('blue', release('1', 'good', changes()), held)).rejects.toMatchObject({
      reasonCode,
      message: expect.stringMatching(message),
    });
  });

  it('says that a program could not be started when its interpreter is missing', async () => {
    const script = join(directory, 'run');
    await writeFile(script, '#!/no/such/interpreter\n', { mode: 0o755 });
    await expect(
      createHost().deploy('blue', release('1', 'good', { command: ['./run'] }), held),
    ).rejects.toMatchObject({
      reasonCode: 'start_failed',
      message: expect.stringContaining(script),
    });
  });

  it('writes nothing when it only observes', async () => {
    await createHost().observe();
    await expect(stat(stateDir)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('comes back from zero instances', async () => {
    const platform = createHost();
    await start('blue', release('1'), platform);
    await platform.scale('blue', 0, held);
    expect(await copiesOf('blue')).toEqual([]);
    expect((await platform.observe())[0]).toMatchObject({
      release: { version: '1' },
      wanted: 0,
      instances: [],
    });
    await expect(start('green', release('1'), platform)).resolves.toBe(`127.0.0.1:${firstPort}`);
    await expect(start('blue', release('1'), platform)).resolves.toBe(`127.0.0.1:${firstPort + 1}`);
  });

  it('refuses to change what another supervisor looks after, or a record it cannot read', async () => {
    const platform = createHost();
    await start('blue', release('1'), platform);
    const file = join(stateDir, 'slots', 'blue.json');
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('"supervisor": "process"', '"supervisor": "systemd"'));
    await expect(platform.deploy('blue', release('2'), held)).rejects.toMatchObject({
      reasonCode: 'unsupported',
    });
    await expect(platform.retire('blue', held)).rejects.toMatchObject({ reasonCode: 'unsupported' });
    await writeFile(file, text.replace('"schema": 1', '"schema": 2'));
    await expect(platform.retire('blue', held)).rejects.toMatchObject({ reasonCode: 'state_too_new' });
    await writeFile(file, text.slice(0, 100));
    await expect(platform.observe()).rejects.toMatchObject({
      reasonCode: 'state_corrupt',
      message: expect.stringContaining(file),
    });
    expect(await copiesOf('blue')).toHaveLength(1);
  });

  it('finds a process that overwrote its environment by the session of its main process', async () => {
    const platform = createHost();
    await start(
      'blue',
      release('1', 'good', { command: [process.execPath, 'app.mjs', 'forgetful', '{port}'] }),
      platform,
    );
    const [main] = await copiesOf('blue');
    const inSession = async () => (await listProcesses()).filter(({ session }) => session === main?.pid);
    expect(await inSession()).toHaveLength(2);
    expect(await copiesOf('blue')).toHaveLength(1);
    await platform.retire('blue', held);
    expect(await inSession()).toEqual([]);
  });

  it('outlives the process that deployed it', async () => {
    const script = `
      import { createLinuxHost } from ${JSON.stringify(linuxHostModule)};
      import { silentLog } from '@deploy-actions/core';
      const platform = createLinuxHost({ stateDir: ${JSON.stringify(stateDir)}, slots: ['blue', 'green'], log: silentLog, supervisor: 'process' });
      await platform.deploy('blue', ${JSON.stringify(release('1'))}, { token: 1, check: async () => {} });`;
    execFileSync(process.execPath, ['--input-type=module', '-e', script]);
    const [found] = await copiesOf('blue');
    expect(found?.session).toBe(found?.pid);
    const platform = createHost();
    for await (const _ of platform.ready('blue', deadlineIn(10_000), new AbortController().signal));
    expect(await copiesOf('blue')).toEqual([found]);
  });
});
