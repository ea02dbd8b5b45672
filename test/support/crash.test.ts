import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const crash = fileURLToPath(new URL('crash.mjs', import.meta.url));

/** Where a run of the steps happens, and what it left. */
interface World {
  folder: string;
  requests: string[];
  victim: ChildProcess;
}

interface Step {
  /** Statements of the watched process; `url`, `socket` and `victim` are there. */
  code: string;
  /** The mutations to be counted, as `kind target` with the folder left out. */
  counts: string[];
  /** Whether the step's effect is there. */
  effect: (world: World) => boolean;
}

const exists = (name: string) => (world: World) => fs.existsSync(join(world.folder, name));
const mode = (name: string, bits: number) => (world: World) =>
  (fs.statSync(join(world.folder, name)).mode & 0o777) === bits;
const holds = (name: string, content: string) => (world: World) =>
  exists(name)(world) && fs.readFileSync(join(world.folder, name), 'utf8') === content;
const asked = (line: string) => (world: World) => world.requests.includes(line);

/** One for each way of changing something. Each is the only one with its effect. */
const STEPS: Record<string, Step> = {
  'sync function': {
    code: `writeFileSync('sync', '1');`,
    counts: ['fs.writeFileSync sync'],
    effect: holds('sync', '1'),
  },
  'callback function': {
    code: `await new Promise((done) => fs.rename('from', 'to', done));`,
    counts: ['fs.rename from -> to'],
    effect: exists('to'),
  },
  'promise function': {
    code: `await appendFile('promised', '1');`,
    counts: ['fs.promises.appendFile promised'],
    effect: holds('promised', '1'),
  },
  'promisified callback function': {
    code: `await promisify(fs.copyFile)('base', 'copy');`,
    counts: ['fs.copyFile base -> copy'],
    effect: exists('copy'),
  },
  'recursive function, made of many': {
    code: `await rm('tree', { recursive: true });`,
    counts: ['fs.promises.rm tree'],
    effect: (world) => !exists('tree')(world),
  },
  'open for writing': {
    code: `const handle = await open('handle', 'wx');`,
    counts: ['fs.promises.open handle'],
    effect: exists('handle'),
  },
  FileHandle: {
    code: `await handle.chmod(0o600);`,
    counts: ['FileHandle.chmod handle'],
    effect: (world) => exists('handle')(world) && mode('handle', 0o600)(world),
  },
  'stream, from its first byte': {
    code: `const stream = createWriteStream('stream', { flags: 'r+' }); stream.end('12'); await once(stream, 'close');`,
    counts: ['fs.open stream', 'fs.write stream'],
    effect: holds('stream', '12'),
  },
  signal: {
    code: `process.kill(victim, 0); process.kill(victim, 'SIGTERM');`,
    counts: ['process.kill VICTIM SIGTERM'],
    effect: ({ victim }) => victim.signalCode === 'SIGTERM',
  },
  spawn: {
    code: `await once(spawn('touch', ['spawned']), 'exit');`,
    counts: ['child_process.spawn touch spawned'],
    effect: exists('spawned'),
  },
  'promisified exec': {
    code: `await promisify(exec)('touch executed');`,
    counts: ['child_process.exec touch executed'],
    effect: exists('executed'),
  },
  execFileSync: {
    code: `execFileSync('touch', ['filed']);`,
    counts: ['child_process.execFileSync touch filed'],
    effect: exists('filed'),
  },
  'http.request': {
    code: `await asked(http.request(url + '/one', { method: 'POST' }));`,
    counts: ['http.request POST HOST /one'],
    effect: asked('POST /one'),
  },
  'http.request over a Unix socket': {
    code: `await asked(http.request({ socketPath: socket, path: '/two', method: 'PUT' }));`,
    counts: ['http.request PUT FOLDER/socket /two'],
    effect: asked('PUT /two'),
  },
  fetch: {
    code: `await fetch(url + '/three', { method: 'DELETE' });`,
    counts: ['fetch DELETE http://HOST /three'],
    effect: asked('DELETE /three'),
  },
};

const PRELUDE = `
import childProcess, { spawn, exec, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import fs, { writeFileSync, createWriteStream } from 'node:fs';
import { appendFile, open, rm } from 'node:fs/promises';
import http from 'node:http';
import { promisify } from 'node:util';
const { url, socket, victim } = JSON.parse(process.env.WORLD);
const asked = (request) => new Promise((done, fail) => {
  request.on('error', fail).on('response', (answer) => answer.resume().on('end', done)).end('body');
});
`;

const root = fs.mkdtempSync(join(tmpdir(), 'crash-'));
afterAll(() => fs.rmSync(root, { recursive: true }));

/** Runs the code in a watched process in a fresh folder. */
async function run(code: string, env: Record<string, string>) {
  const folder = fs.mkdtempSync(join(root, 'world-'));
  fs.mkdirSync(join(folder, 'tree/branch'), { recursive: true });
  for (const name of ['from', 'base', 'stream', 'tree/branch/leaf']) fs.writeFileSync(join(folder, name), '');
  const requests: string[] = [];
  const serve = (): Server =>
    createServer((request, response) => {
      requests.push(`${request.method} ${request.url}`);
      response.end('ok');
    });
  const victim = spawn('sleep', ['30']);
  const tcp = serve().listen(0, '127.0.0.1');
  const servers = [tcp, serve().listen(join(folder, 'socket'))];
  await Promise.all([once(victim, 'spawn'), ...servers.map((server) => once(server, 'listening'))]);
  const url = `http://127.0.0.1:${(tcp.address() as AddressInfo).port}`;
  const world = JSON.stringify({ url, socket: join(folder, 'socket'), victim: victim.pid });
  const log = join(folder, 'log');
  const child = spawn(
    process.execPath,
    ['--import', crash, '--input-type=module', '--eval', PRELUDE + code],
    { cwd: folder, env: { PATH: process.env['PATH'] ?? '', WORLD: world, CRASH_LOG: log, ...env } },
  );
  let output = '';
  child.stdout.on('data', (text) => (output += String(text)));
  child.stderr.on('data', (text) => (output += String(text)));
  const [exit, signal] = (await once(child, 'close')) as [number | null, string | null];
  const counted = fs
    .readFileSync(log, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { n: number; kind: string; target: string })
    .map(({ kind, target }) => `${kind} ${target}`)
    .map((line) => line.replaceAll(`${folder}/socket`, 'FOLDER/socket').replaceAll(`${folder}/`, ''))
    .map((line) => line.replace(url.slice('http://'.length), 'HOST').replace(`${victim.pid}`, 'VICTIM'));
  return {
    ended: signal ?? exit,
    output,
    counted,
    world: { folder, requests, victim },
    close: () => {
      victim.kill('SIGKILL');
      for (const server of servers) {
        server.closeAllConnections();
        server.close();
      }
    },
  };
}

const everything = Object.values(STEPS)
  .map((step) => step.code)
  .join('\n');
const points = Object.values(STEPS).flatMap((step) => step.counts);

test('counts every way of changing something once, in order, and leaves the process alone', async () => {
  const { ended, counted, world, output, close } = await run(`${everything}\nconsole.log('done');`, {});
  await expect.poll(() => Object.values(STEPS).filter((step) => !step.effect(world))).toEqual([]);
  close();
  expect({ ended, output }).toEqual({ ended: 0, output: 'done\n' });
  expect(counted).toEqual(points);
});

test.each(Object.keys(STEPS))('dies before and after: %s', async (name) => {
  const steps = Object.entries(STEPS);
  const at = steps.findIndex(([other]) => other === name);
  const last = steps.slice(0, at + 1).flatMap(([, step]) => step.counts).length;
  const die = async (when: 'before' | 'after') => {
    const { ended, counted, world, close } = await run(everything, { CRASH_AT: `${last}`, CRASH_WHEN: when });
    expect(ended).toBe('SIGKILL');
    expect(counted).toHaveLength(last);
    const done = steps.slice(0, when === 'after' ? at + 1 : at);
    // A child that was started works on after the death of its parent, hence the wait.
    await expect.poll(() => done.filter(([, step]) => !step.effect(world))).toEqual([]);
    expect(steps.slice(done.length).filter(([, step]) => step.effect(world))).toEqual([]);
    close();
  };
  await Promise.all([die('before'), die('after')]);
});

test('counts the other writers too, and what a caller does after its own callback', async () => {
  const { counted, output, close } = await run(
    `
    await new Promise((done) => fs.writeFile('a', '1', () => fs.writeFile('a', '2', () => setImmediate(() => fs.unlink('a', done)))));
    fs.linkSync('base', 'link');
    await fs.promises.symlink('base', 'symlink');
    fs.mkdirSync('made/deep', { recursive: true });
    fs.rmdirSync('made/deep');
    await fs.promises.mkdtemp('temporary-');
    await new Promise((done) => fs.truncate('base', 0, done));
    fs.utimesSync('base', 1, 1);
    await fs.promises.chmod('base', 0o644);
    fs.chownSync('base', process.getuid(), process.getgid());
    await fs.promises.cp('tree', 'wood', { recursive: true });
    fs.cpSync('tree', 'forest', { recursive: true });
    const fd = fs.openSync('fd', fs.constants.O_CREAT | fs.constants.O_RDWR);
    fs.writeSync(fd, '1'); fs.fsyncSync(fd); fs.ftruncateSync(fd); fs.closeSync(fd);
    const h = await open('h', 'a+');
    await h.write('1'); await h.writev([Buffer.from('2')]); await h.writeFile('3'); await h.appendFile('4');
    await h.truncate(1); await h.sync(); await h.datasync(); await h.utimes(1, 1);
    const s = h.createWriteStream(); s.end('5'); await once(s, 'close');
    const child = childProcess.execFile('sleep', ['30']); await once(child, 'spawn'); child.kill(); await once(child, 'exit');
    childProcess.spawnSync('true'); childProcess.execSync('true');
    await once(childProcess.fork('/dev/null', { execArgv: [] }), 'exit');
    `,
    {},
  );
  close();
  expect(output).toBe('');
  expect(counted.map((line) => line.replace(/\d{2,} SIG/, 'PID SIG'))).toEqual([
    'fs.writeFile a',
    'fs.writeFile a',
    'fs.unlink a',
    'fs.linkSync base -> link',
    'fs.promises.symlink base -> symlink',
    'fs.mkdirSync made/deep',
    'fs.rmdirSync made/deep',
    'fs.promises.mkdtemp temporary-',
    'fs.truncate base',
    'fs.utimesSync base',
    'fs.promises.chmod base',
    'fs.chownSync base',
    'fs.promises.cp tree -> wood',
    'fs.cpSync tree -> forest',
    'fs.openSync fd',
    'fs.writeSync fd',
    'fs.fsyncSync fd',
    'fs.ftruncateSync fd',
    'fs.promises.open h',
    ...['write', 'writev', 'writeFile', 'appendFile', 'truncate', 'sync', 'datasync', 'utimes', 'write'].map(
      (method) => `FileHandle.${method} h`,
    ),
    'child_process.execFile sleep 30',
    'ChildProcess.kill PID SIGTERM',
    'child_process.spawnSync true',
    'child_process.execSync true',
    'child_process.fork /dev/null',
  ]);
});

test('does not count reading, asking, ignored paths, or what children do', async () => {
  const { counted, output, close } = await run(
    `
    fs.readFileSync('base'); (await open('base')).close(); fs.statSync('base'); fs.readdirSync('.');
    await (await fetch(url + '/read')).text();
    await asked(http.request(url + '/read', { method: 'HEAD' }));
    writeFileSync('ignored', '1'); fs.renameSync('ignored', 'skipped/ignored');
    writeFileSync('ignored-not', '1'); fs.renameSync('skipped/ignored', 'back');
    console.log(Object.keys(process.env).filter((name) => name.startsWith('CRASH')).length);
    execFileSync(process.execPath, ['-e', 'require("fs").writeFileSync("by-child", "1")']);
    `.replace('writeFileSync(', "fs.mkdirSync('skipped'); writeFileSync("),
    { CRASH_IGNORE: 'ignored,skipped', NODE_OPTIONS: `--import=${crash}` },
  );
  close();
  expect(output).toBe('0\n');
  expect(counted).toEqual([
    'fs.writeFileSync ignored-not',
    'fs.renameSync skipped/ignored -> back',
    expect.stringMatching(/^child_process.execFileSync .*by-child/),
  ]);
});

test('a mutation that fails is one too, and refuses settings it does not know', async () => {
  const failing = await run(`fs.promises.rm('absent').catch(() => console.log('told'));`, {
    CRASH_AT: '1',
    CRASH_WHEN: 'after',
  });
  failing.close();
  expect([failing.ended, failing.output]).toEqual(['SIGKILL', '']);
  for (const env of [{ CRASH_AT: '0' }, { CRASH_AT: '1', CRASH_WHEN: 'never' }]) {
    const child = spawn(process.execPath, ['--import', crash, '--eval', '0'], { env });
    const [text] = (await once(child.stderr, 'data')) as [Buffer];
    expect(text.toString()).toMatch(/CRASH_(AT|WHEN)=/);
  }
});
