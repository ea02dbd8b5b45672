// A PostgreSQL server for tests and the demo: the real one, on a free port of the loopback interface, with data of its own.

import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFile,
  chmod,
  chown,
  cp,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';

import { setupPython } from '../../scripts/setup-python.ts';
import { freePort } from './ports.ts';

export type Postgres = {
  port: number;
  /** The process id of the server. */
  pid: number;
  /** For psql, pg_dump and the like: PGHOST, PGPORT, PGUSER, PGPASSWORD. */
  env: Record<string, string>;
  /** The folder of the client programs, on any machine the same version as the server. */
  pgBin: string;
  /** `postgresql://…` with user and password, for a database of this name. */
  url(database: string): string;
  /** Makes an empty database; its URL. */
  createDatabase(name: string): Promise<string>;
  /** Stops the server and removes its data. May be called twice. */
  stop(): Promise<void>;
};

type Account = { uid: number; gid: number };

const user = 'helpdesk';
const startDeadline = 30_000;

/**
 * Starts a server and waits until it accepts connections, about 1.5 s. Call `stop` in the end, from the handlers of SIGINT
 * and SIGTERM too: the server is in a process group of its own, so that Ctrl-C does not stop it before those who use it.
 * When this process ends by itself without, the server is stopped then.
 *
 * `dataDir` (default: a new folder) must be absent or empty, and is removed by `stop`. Nothing is synced to disk: a crash
 * of the machine loses the data. As root the server runs as the user `postgres` or `nobody`, for it refuses to run as root.
 */
export async function startPostgres(
  options: { dataDir?: string; port?: number; pgBin?: string } = {},
): Promise<Postgres> {
  const installed = options.pgBin ?? (await setupPython()).pgBin;
  const account = process.getuid?.() === 0 ? await unprivileged() : undefined;
  // What is there already is never taken for ours: it would be removed in the end.
  if (options.dataDir && (await readdir(options.dataDir).catch(() => [])).length > 0)
    throw new Error(`${options.dataDir} is not empty`);
  const home = await mkdtemp(join(tmpdir(), 'postgres-'));
  const dataDir = options.dataDir ?? join(home, 'data');
  const discard = (): void => {
    for (const directory of [dataDir, home])
      rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    await mkdir(dataDir, { recursive: true });
    if (account) {
      await chmod(home, 0o711);
      await chown(dataDir, account.uid, account.gid);
      for (const directory of [home, dataDir])
        if (!(await reachable(directory)))
          throw new Error(
            `${directory} cannot be reached by the user PostgreSQL runs as: ` +
              'name one that all users can enter, by dataDir or the environment variable TMPDIR',
          );
    }
    const serverBin =
      account && !(await reachable(installed)) ? await copyServer(installed, home) : installed;
    const password = randomBytes(18).toString('base64url');
    await initialise(serverBin, dataDir, home, password, account);
    const { server, port } = await launch(serverBin, dataDir, home, options.port, account);

    const atExit = (): void => {
      server.kill('SIGQUIT');
      discard();
    };
    process.once('exit', atExit);
    const url = (database: string): string =>
      `postgresql://${user}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
    const env = { PGHOST: '127.0.0.1', PGPORT: String(port), PGUSER: user, PGPASSWORD: password };
    let stopping: Promise<void> | undefined;
    return {
      port,
      pid: server.pid!,
      env,
      pgBin: installed,
      url,
      async createDatabase(name) {
        await promisify(execFile)(join(installed, 'createdb'), ['--maintenance-db=postgres', '--', name], {
          env: { ...process.env, ...env },
        });
        return url(name);
      },
      stop() {
        stopping ??= end(server).then(() => {
          process.off('exit', atExit);
          discard();
        });
        return stopping;
      },
    };
  } catch (error) {
    discard();
    throw error;
  }
}

/** Makes the data folder; the password is read from a file, for arguments can be seen by everyone. */
async function initialise(
  bin: string,
  dataDir: string,
  home: string,
  password: string,
  account?: Account,
): Promise<void> {
  const passwordFile = join(home, 'password');
  await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
  try {
    if (account) await chown(passwordFile, account.uid, account.gid);
    await promisify(execFile)(
      join(bin, 'initdb'),
      [
        '-D',
        dataDir,
        '-U',
        user,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale=C',
        '--no-sync',
        '--no-instructions',
      ],
      { cwd: home, timeout: 120_000, ...account },
    );
  } finally {
    await rm(passwordFile, { force: true });
  }
  await appendFile(
    join(dataDir, 'postgresql.conf'),
    [
      "listen_addresses = '127.0.0.1'",
      "unix_socket_directories = ''",
      'max_connections = 200',
      'shared_buffers = 32MB',
      'fsync = off',
      'synchronous_commit = off',
      'full_page_writes = off',
      '',
    ].join('\n'),
  );
}

/** Starts the server on `port`; or on a free one, and on another if somebody took it in the meantime. */
async function launch(
  bin: string,
  dataDir: string,
  home: string,
  wanted: number | undefined,
  account?: Account,
): Promise<{ server: ChildProcess; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const port = wanted ?? (await freePort());
    const logFile = join(home, 'server.log');
    const log = await open(logFile, 'w');
    const server = spawn(join(bin, 'postgres'), ['-D', dataDir, '-p', String(port)], {
      cwd: dataDir,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      ...account,
    });
    try {
      const { promise: spawned, resolve, reject } = Promise.withResolvers<void>();
      server.once('spawn', resolve).once('error', reject);
      await spawned;
      await accepting(server, dataDir);
      return { server, port };
    } catch (error) {
      await end(server);
      const said = await readFile(logFile, 'utf8');
      if (wanted === undefined && attempt < 3 && said.includes('Address already in use')) continue;
      throw new Error(`PostgreSQL did not start on port ${port}: ${String(error)}\n${said.slice(-2000)}`, {
        cause: error,
      });
    } finally {
      await log.close();
    }
  }
}

/** Waits until the server says in its own status file, on the eighth line, that it is ready. */
async function accepting(server: ChildProcess, dataDir: string): Promise<void> {
  const deadline = performance.now() + startDeadline;
  while (performance.now() < deadline) {
    if (ended(server)) throw new Error('it ended');
    const status = await readFile(join(dataDir, 'postmaster.pid'), 'utf8').catch(() => '');
    if (status.split('\n')[7]?.trim() === 'ready') return;
    await delay(20);
  }
  throw new Error(`it was not ready after ${startDeadline / 1000} s`);
}

const ended = (server: ChildProcess): boolean =>
  server.pid === undefined || server.exitCode !== null || server.signalCode !== null;

/** Stops the server: at once for its clients (SIGINT), and without a checkpoint (SIGQUIT) when that takes over 10 s. */
async function end(server: ChildProcess): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
    if (ended(server)) return;
    const { promise: exited, resolve } = Promise.withResolvers<void>();
    server.once('exit', () => resolve());
    server.kill(signal);
    await Promise.race([exited, delay(10_000, undefined, { ref: false })]);
  }
}

async function unprivileged(): Promise<Account> {
  const accounts = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const account = accounts.find((fields) => fields[0] === name);
    if (account) return { uid: Number(account[2]), gid: Number(account[3]) };
  }
  throw new Error(
    'PostgreSQL refuses to run as root, and /etc/passwd has neither a user postgres nor nobody to run it as',
  );
}

/** Whether every user can enter all the folders above this one. */
async function reachable(directory: string): Promise<boolean> {
  for (let parent = dirname(directory); parent !== dirname(parent); parent = dirname(parent)) {
    if (((await stat(parent)).mode & 0o001) === 0) return false;
  }
  return true;
}

/**
 * The server's part of the installation, 30 MB, put where an unprivileged user can run it: root's cache is root's alone.
 * The programs find their libraries in a folder beside the Python package, so the folders lie as they did.
 */
async function copyServer(bin: string, home: string): Promise<string> {
  const packages = dirname(dirname(dirname(bin)));
  const server = relative(packages, dirname(bin));
  const libraries = `${dirname(server)}.libs`;
  const parts = [
    ...['bin/postgres', 'bin/initdb', 'lib', 'share'].map((part) => join(server, part)),
    libraries,
  ];
  for (const part of parts)
    await cp(join(packages, part), join(home, 'install', part), { recursive: true, verbatimSymlinks: true });
  return join(home, 'install', server, 'bin');
}
