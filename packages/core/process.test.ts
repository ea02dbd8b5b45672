import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { processStat } from './process-stat.ts';
import { type ProcessOptions, runProcess } from './process.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'process-test-'));
});
afterAll(() => rm(folder, { recursive: true }));

function node(script: string, options: Partial<ProcessOptions> = {}) {
  return runProcess({
    command: [process.execPath, '--eval', script],
    env: {},
    signal: new AbortController().signal,
    timeout: 20_000,
    ...options,
  });
}

/** The process that the script named in the file, gone within ten seconds. */
async function endsSoon(file: string): Promise<boolean> {
  const pid = Number(await readFile(join(folder, file), 'utf8'));
  for (let tries = 0; tries < 500 && processStat(pid) !== undefined; tries += 1) await delay(20);
  return processStat(pid) === undefined;
}

describe('a child', () => {
  it('is a result whatever its exit code, with what it wrote and read', async () => {
    const script =
      "process.stdin.on('data', (part) => console.log(`read ${part}`)); console.error('oops'); process.exitCode = 3";
    expect(await node(script, { input: 'this' })).toEqual({
      code: 3,
      signal: null,
      stdout: 'read this\n',
      stderr: 'oops\n',
    });
  });

  it('inherits nothing', async () => {
    const { stdout } = await node('console.log(JSON.stringify(process.env))', { env: { ONLY: 'this' } });
    expect(JSON.parse(stdout)).toEqual({ ONLY: 'this' });
  });

  it('may end without reading its input', async () => {
    expect(await node('process.stdin.destroy()', { input: 'x'.repeat(1_000_000) })).toMatchObject({
      code: 0,
    });
  });

  it('that is missing, or not executable, or somewhere that is not, says which', async () => {
    const signal = new AbortController().signal;
    const options = { env: {}, signal, timeout: 1_000 };
    await expect(runProcess({ ...options, command: ['/no/such/program'] })).rejects.toMatchObject({
      reasonCode: 'not_found',
      message: expect.stringContaining('/no/such/program'),
    });
    await expect(runProcess({ ...options, command: [import.meta.filename] })).rejects.toMatchObject({
      reasonCode: 'permission_denied',
    });
    await expect(node('', { cwd: join(folder, 'not-there') })).rejects.toMatchObject({
      reasonCode: 'not_found',
    });
  });

  it('is not started when the run is cancelled already', async () => {
    const script = `require('node:fs').writeFileSync(${JSON.stringify(join(folder, 'started'))}, '')`;
    await expect(node(script, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      reasonCode: 'cancelled',
    });
    expect(existsSync(join(folder, 'started'))).toBe(false);
  });
});

describe('output', () => {
  it('is kept from its end, in bounded memory', async () => {
    const script = "for (let i = 0; i < 5000; i += 1) console.log(String(i).padStart(99, '.'))";
    const { stdout } = await node(script, { keep: 1_000 });
    expect(stdout).toHaveLength(1_000);
    expect(stdout).toMatch(/4999\n$/);
  });

  it('is told line by line, also the last one without an end, whole characters only', async () => {
    const lines: string[] = [];
    const script =
      "const b = Buffer.from('käse\\n€'); for (const byte of b) require('node:fs').writeSync(1, Buffer.of(byte))";
    await node(script, { onLine: (line, from) => lines.push(`${from}: ${line}`) });
    expect(lines).toEqual(['stdout: käse', 'stdout: €']);
  });

  it('without a line end is told in pieces', async () => {
    const lines: string[] = [];
    await node("process.stdout.write('x'.repeat(300_000))", { onLine: (line) => lines.push(line) });
    expect(lines.join('')).toHaveLength(300_000);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(64 * 1024);
  });
});

describe('ending', () => {
  it('a child that takes too long gets SIGTERM, and its last words are in the error', async () => {
    const script =
      "process.on('SIGTERM', () => { console.error('told to stop'); process.exit(0) }); setInterval(() => {}, 1000)";
    await expect(node(script, { timeout: 3_000 })).rejects.toMatchObject({
      reasonCode: 'timeout',
      message: expect.stringContaining('after 3s'),
      details: ['told to stop'],
    });
  });

  it('one that does not listen gets SIGKILL after the grace, and so do its children', async () => {
    const script = `
      const child = require('node:child_process').spawn(process.execPath, ['--eval',
        "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"], { stdio: 'inherit' });
      require('node:fs').writeFileSync(${JSON.stringify(join(folder, 'stubborn'))}, String(child.pid));
      process.on('SIGTERM', () => {});
      setInterval(() => {}, 1000);`;
    const start = performance.now();
    await expect(node(script, { timeout: 3_000, grace: 200 })).rejects.toMatchObject({
      reasonCode: 'timeout',
    });
    expect(performance.now() - start).toBeLessThan(20_000);
    expect(await endsSoon('stubborn')).toBe(true);
  });

  it('a cancelled run ends its child, and also what outlives the child in its group', async () => {
    const script = `
      const child = require('node:child_process').spawn(process.execPath, ['--eval',
        "process.on('SIGTERM', () => {}); console.log('ready'); setInterval(() => {}, 1000)"], { stdio: ['ignore', 'pipe', 'ignore'] });
      child.stdout.once('data', () => {
        require('node:fs').writeFileSync(${JSON.stringify(join(folder, 'outliving'))}, String(child.pid));
        console.log('ready');
      });
      setInterval(() => {}, 1000);`;
    const controller = new AbortController();
    const ended = node(script, { signal: controller.signal, onLine: () => controller.abort() });
    await expect(ended).rejects.toMatchObject({ reasonCode: 'cancelled' });
    expect(await endsSoon('outliving')).toBe(true);
  });

  it('is not waited for when a daemon that it left behind keeps its output open', async () => {
    const script = `
      const child = require('node:child_process').spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1000)'],
        { stdio: 'inherit', detached: true });
      child.unref();
      console.log(child.pid);`;
    const start = performance.now();
    const { code, stdout } = await node(script);
    const daemon = Number(stdout);
    try {
      expect(code).toBe(0);
      expect(performance.now() - start).toBeLessThan(10_000);
      expect(processStat(daemon)).toBeDefined();
    } finally {
      process.kill(daemon, 'SIGKILL');
    }
  });
});
