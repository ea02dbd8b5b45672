import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DeployError, type Log, type ProgressLine, silentLog } from '@deploy-actions/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failureOf } from '../../test/support/failure.ts';
import { createFileStore } from './file-store.ts';
import { acquireLease, describeRun, type Lease, type LeaseOptions } from './lease.ts';
import type { StateStore } from './ports.ts';
import { isAlive, isHolderAlive, thisProcess } from './process-identity.ts';

let directory: string;
let store: StateStore;
const leases: Lease[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lease-'));
  store = createFileStore(directory);
});
afterEach(async () => {
  for (const lease of leases.splice(0)) await lease.release();
  await rm(directory, { recursive: true, force: true });
});

async function acquire(id: string, changes: Partial<LeaseOptions> = {}): Promise<Lease> {
  const lease = await acquireLease({
    store,
    run: { id, url: `https://example.com/runs/${id}`, actor: 'ada' },
    process: thisProcess(),
    isAlive: isHolderAlive,
    ttl: 30_000,
    wait: 0,
    signal: new AbortController().signal,
    log: silentLog,
    ...changes,
  });
  leases.push(lease);
  return lease;
}

/** A process on another host: nobody here can tell whether it runs. */
const elsewhere = { scope: 'another boot', pid: 1, startTime: '1' };

describe('taking the lease', () => {
  it('lets one of 20 racers have it, and tells the others who does', async () => {
    const racers = await Promise.allSettled(Array.from({ length: 20 }, (_, at) => acquire(`run-${at}`)));
    const winners = racers.flatMap((racer, at) => (racer.status === 'fulfilled' ? [`run-${at}`] : []));
    expect(winners).toHaveLength(1);
    for (const racer of racers) {
      if (racer.status === 'fulfilled') continue;
      expect(racer.reason).toMatchObject({ reasonCode: 'lock_held' });
      expect(String(racer.reason)).toContain(
        `run ${winners[0]} of ada (https://example.com/runs/${winners[0]})`,
      );
    }
  });

  it('is not shared by two who ask as the same run at the same moment', async () => {
    for (let round = 0; round < 5; round += 1) {
      const racers = await Promise.allSettled(Array.from({ length: 10 }, () => acquire('same')));
      const won = racers.flatMap((racer) => (racer.status === 'fulfilled' ? [racer.value] : []));
      expect(won).toHaveLength(1);
      await won[0]?.release();
    }
  });

  it('lets one of 20 processes have it at a time, with growing tokens', async () => {
    const script = `
      import { acquireLease } from ${JSON.stringify(new URL('./lease.ts', import.meta.url).href)};
      import { createFileStore } from ${JSON.stringify(new URL('./file-store.ts', import.meta.url).href)};
      import { isHolderAlive, thisProcess } from ${JSON.stringify(new URL('./process-identity.ts', import.meta.url).href)};
      const log = { info() {}, warning: console.error, debug() {}, progress() {} };
      const store = createFileStore(${JSON.stringify(directory)});
      for await (const _ of process.stdin);
      try {
        const lease = await acquireLease({
          store, isAlive: isHolderAlive, log, process: thisProcess(), ttl: 30_000, wait: 0,
          run: { id: String(process.pid), url: '', actor: '' }, signal: new AbortController().signal,
        });
        await lease.fence.check();
        console.log(lease.fence.token);
        setTimeout(() => {}, 60_000);
      } catch (thrown) {
        console.log(thrown.reasonCode + ' ' + thrown.message);
      }`;
    const children = Array.from({ length: 20 }, () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'pipe' });
      return { child, line: once(child.stdout, 'data').then(([chunk]) => String(chunk).trim()) };
    });
    for (const { child } of children) child.stdin.end();
    const lines = await Promise.all(children.map(({ line }) => line));
    const winner = children.find((_, at) => /^\d+$/.test(lines[at] ?? ''))?.child;
    expect(lines.filter((line) => /^\d+$/.test(line))).toEqual(['1']);
    const losers = lines.filter((line) => line.startsWith('lock_held'));
    expect(losers).toHaveLength(19);
    for (const line of losers) expect(line).toContain(`run ${winner?.pid} holds`);

    // It is killed while it holds the lease: the next one does not have to wait for it to expire.
    const ended = winner === undefined ? undefined : once(winner, 'exit');
    winner?.kill('SIGKILL');
    await ended;
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warning: (message) => warnings.push(message) };
    expect((await acquire('next', { log })).fence.token).toBe(2);
    expect(warnings).toEqual([expect.stringContaining('it has ended')]);
  }, 120_000);

  it('hands it on in turn to those who wait, never to two at once', async () => {
    let inside = 0;
    const tokens: number[] = [];
    await Promise.all(
      Array.from({ length: 5 }, async (_, at) => {
        const lease = await acquire(`run-${at}`, { wait: 20_000 });
        inside += 1;
        expect(inside).toBe(1);
        tokens.push(lease.fence.token);
        await delay(5);
        await lease.fence.check();
        inside -= 1;
        await lease.release();
      }),
    );
    expect(tokens).toHaveLength(5);
    expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
  });

  it('waits as long as it is told, saying for whom', async () => {
    await acquire('first');
    const lines: ProgressLine[] = [];
    const start = performance.now();
    const failure = await failureOf(
      acquire('second', { wait: 2_000, log: { ...silentLog, progress: (line) => lines.push(line) } }),
    );
    expect(performance.now() - start).toBeGreaterThanOrEqual(2_000);
    expect(failure).toMatchObject({ reasonCode: 'lock_held' });
    expect(failure.remedy).toContain('lock-timeout');
    expect(lines[0]).toMatchObject({ what: expect.stringContaining('run first of ada') as string });
  });

  it('stops waiting when it is cancelled', async () => {
    await acquire('first');
    const controller = new AbortController();
    const waiting = acquire('second', { wait: 60_000, signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    expect((await failureOf(waiting)).reasonCode).toBe('cancelled');
  });

  it('takes over from a process that nobody here can see only when its lease has expired', async () => {
    const options = { process: elsewhere, ttl: 30_000 };
    const first = await acquire('first', options);
    expect((await failureOf(acquire('second'))).reasonCode).toBe('lock_held');
    await first.release();

    const dying: StateStore = { ...store, touch: () => Promise.reject(new Error('gone')) };
    const start = performance.now();
    await acquire('third', { process: elsewhere, ttl: 200, store: dying });
    const warnings: string[] = [];
    await acquire('fourth', {
      wait: 10_000,
      log: { ...silentLog, warning: (message) => warnings.push(message) },
    });
    expect(performance.now() - start).toBeGreaterThan(150);
    expect(warnings).toEqual([expect.stringContaining('no sign of life')]);
  });

  it('is kept alive by its heartbeat', async () => {
    const lease = await acquire('first', { process: elsewhere, ttl: 3_000 });
    await delay(4_000);
    expect((await failureOf(acquire('second'))).reasonCode).toBe('lock_held');
    await lease.fence.check();
  });

  it('is had when the write took effect although its answer was lost', async () => {
    const lossy: StateStore = {
      ...store,
      async write(key, value, expected) {
        await store.write(key, value, expected);
        throw new DeployError('unreachable', 'no answer');
      },
    };
    const lease = await acquire('first', { store: lossy });
    expect(lease.fence.token).toBe(1);
    await lease.fence.check();
  });

  it('looks again when the lease changed hands between two looks', async () => {
    await acquire('first', { process: elsewhere });
    let looks = 0;
    const changing: StateStore = {
      ...store,
      age() {
        looks += 1;
        return Promise.reject(new DeployError('state_conflict', 'another version by now'));
      },
    };
    expect((await failureOf(acquire('second', { store: changing }))).reasonCode).toBe('lock_held');
    expect(looks).toBe(1);
  });
});

describe('the fence', () => {
  it('stops a deposed holder, and its release does nothing', async () => {
    const first = await acquire('first');
    const second = await acquire('second', { isAlive: () => false });
    const failure = await failureOf(first.fence.check());
    expect(failure).toMatchObject({ reasonCode: 'lock_lost' });
    expect(failure.message).toContain('run second of ada');
    await first.release();
    await second.fence.check();
    expect(second.fence.token).toBeGreaterThan(first.fence.token);
  });

  it('stops whoever gave the lease back', async () => {
    const lease = await acquire('first');
    await lease.release();
    expect((await failureOf(lease.fence.check())).reasonCode).toBe('lock_lost');
  });

  it('bears with a store that cannot be read for a moment', async () => {
    let failures = 0;
    const flaky: StateStore = {
      ...store,
      read(key) {
        failures -= 1;
        return failures >= 0 ? Promise.reject(new Error('EIO')) : store.read(key);
      },
    };
    const lease = await acquire('first', { store: flaky });
    failures = 2;
    await lease.fence.check();
  });

  it('no longer trusts a lease that could not be renewed for its lifetime, although nobody took it', async () => {
    const warnings: string[] = [];
    const deaf: StateStore = { ...store, touch: () => Promise.reject(new Error('EIO')) };
    const lease = await acquire('first', {
      store: deaf,
      ttl: 4_000,
      log: { ...silentLog, warning: (message) => warnings.push(message) },
    });
    await delay(4_050);
    const failure = await failureOf(lease.fence.check());
    expect(failure).toMatchObject({ reasonCode: 'lock_lost' });
    expect(failure.message).toContain('could not be renewed for 4s');
    expect(warnings).toEqual([expect.stringContaining('EIO')]);
  });

  it('gives up within the lifetime when the store cannot be reached at all', async () => {
    let reachable = true;
    const or = <T>(work: () => Promise<T>): Promise<T> =>
      reachable ? work() : Promise.reject(new Error('ETIMEDOUT'));
    const lease = await acquire('first', {
      ttl: 3_000,
      store: {
        ...store,
        read: (key) => or(() => store.read(key)),
        touch: (key, version) => or(() => store.touch(key, version)),
      },
    });
    reachable = false;
    const start = performance.now();
    expect((await failureOf(lease.fence.check())).message).toContain('ETIMEDOUT');
    expect(performance.now() - start).toBeLessThan(20_000);
  });

  it('never turns a finished release into a failed one when the lease cannot be given back', async () => {
    const warnings: string[] = [];
    let full = false;
    const lease = await acquire('first', {
      log: { ...silentLog, warning: (message) => warnings.push(message) },
      store: {
        ...store,
        write: (...given) => (full ? Promise.reject(new Error('ENOSPC')) : store.write(...given)),
      },
    });
    full = true;
    await lease.release();
    expect(warnings).toEqual([expect.stringContaining('ENOSPC')]);
  });
});

describe('the identity of a process', () => {
  it('knows this process, and one that has ended, and not those of another boot', async () => {
    expect(isAlive(thisProcess())).toBe(true);
    expect(isAlive({ ...thisProcess(), startTime: '1' })).toBe(false);
    expect(isAlive(elsewhere)).toBeUndefined();
    const child = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)']);
    const { scope } = thisProcess();
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(isAlive({ scope, pid: child.pid ?? 0, startTime: '1' })).toBe(false);
  });

  it('names a run by its page where it has one', () => {
    expect(describeRun({ id: '7', url: '', actor: '' })).toBe('run 7');
    expect(describeRun({ id: '7', url: 'https://x/7', actor: 'ada' })).toBe('run 7 of ada (https://x/7)');
  });
});
