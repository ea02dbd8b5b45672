import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants, mkdir, open, rename, rm, stat, statfs } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  DeployError,
  cancelled,
  deadlineIn,
  formatDuration,
  messageOf,
  type Log,
  runProcess,
} from '@deploy-actions/core';
import { boundedText, redact, tail } from './output.ts';

export interface BackupOptions {
  /** libpq's variables of the database (PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, …). */
  connection: Record<string, string>;
  /** Folder for the file; made when it is missing. */
  directory: string;
  /** Name of the file; default `<database>-<time>.dump`. */
  name?: string;
  /** Folder of pg_dump, pg_restore and psql; by default they are looked for on PATH. */
  postgresBin?: string;
  /** PATH and HOME of the programs. */
  environment: Record<string, string>;
  /** `list`: the file is read to its end and has every table; `restore`: also restored, and rows are counted. */
  verify: 'list' | 'restore';
  /** Bytes that must be free; default: the size of all tables, which a compressed dump does not reach. */
  requiredBytes?: number;
  /** Milliseconds for all of it; default 1 h. */
  limit?: number;
  signal: AbortSignal;
  log: Log;
}

export interface Backup {
  file: string;
  bytes: number;
  sha256: string;
  /** Tables in it, as `schema.table`, sorted. */
  tables: string[];
  /** Rows restored, by table; null when it was not restored. */
  rows: Record<string, number> | null;
  verified: 'list' | 'restore';
  /** Milliseconds. */
  elapsed: number;
}

const programs = ['pg_dump', 'pg_restore', 'psql'] as const;
type Program = (typeof programs)[number];

/** Characters of the longest answer: the table of contents of a dump, some hundred for each table. */
const listLimit = 64 * 2 ** 20;

/** Tables with rows of their own, that no extension brought. */
const tablesFilter = `
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')`;
const countRows = `SELECT format('SELECT %L, count(*) FROM %I.%I', n.nspname || '.' || c.relname, n.nspname, c.relname)
  ${tablesFilter} ORDER BY 1 \\gexec\n`;

/**
 * Dumps a database to a file of mode 0600 and proves that the file is good. Every failure is `backup_failed` (or
 * `cancelled`, `timeout`) and leaves no file behind. Passwords go by environment alone.
 */
export async function backUp(options: BackupOptions): Promise<Backup> {
  const deadline = deadlineIn(options.limit ?? 3_600_000);
  const secrets = [options.connection['PGPASSWORD'] ?? ''];
  const environment = { ...options.environment, ...options.connection, LC_MESSAGES: 'C' };
  const found = await findPrograms(options);
  const step = (what: string) => {
    options.log.progress({ what, elapsed: deadline.elapsed(), remaining: deadline.remaining() });
  };

  async function run(
    program: Program,
    parameters: string[],
    input?: string,
    database?: string,
  ): Promise<string> {
    const finished = await runProcess({
      command: [found[program], ...parameters],
      env: database === undefined ? environment : { ...environment, PGDATABASE: database },
      ...(input === undefined ? {} : { input }),
      signal: options.signal,
      timeout: Math.max(1, deadline.remaining()),
      keep: listLimit,
    });
    if (finished.code === 0) return finished.stdout;
    const lines = tail(redact(finished.stderr, secrets));
    throw failed(
      `${program} ended with ${finished.signal ?? `code ${finished.code}`}: ${lines.at(-1) ?? 'no message'}`,
      {
        details: lines,
      },
    );
  }
  const query = async (sql: string, database?: string) =>
    (await run('psql', ['-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', '-'], sql, database)).trimEnd();

  step('reading the size of the database');
  const [version = '', size = '', database = ''] = (
    await query(`SELECT current_setting('server_version_num'), coalesce(sum(pg_table_size(c.oid)), 0), current_database()
      ${tablesFilter}`)
  ).split('|');
  await requireVersion(await run('pg_dump', ['--version']), Number(version));
  await mkdir(options.directory, { recursive: true });
  await requireSpace(options.directory, options.requiredBytes ?? Number(size));

  const name =
    options.name ?? `${fileName(database)}-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')}.dump`;
  const file = join(options.directory, name);
  const partial = `${file}.partial`;
  const snapshot = await holdSnapshot(found.psql, environment, secrets, options.signal);
  try {
    // Made here, so that no moment exists in which others may read it; pg_dump keeps the mode of a file that is there.
    await (await open(partial, 'wx', 0o600)).close();
    step('dumping the database');
    await run('pg_dump', [
      '-Fc',
      '--no-password',
      '--lock-wait-timeout=30s',
      `--snapshot=${snapshot.id}`,
      '-f',
      partial,
    ]);
    const { size: bytes } = await stat(partial);
    if (bytes === 0) throw failed('pg_dump wrote an empty file.');

    step('verifying the dump');
    const expected = linesOf(
      await snapshot.query(`SELECT n.nspname || ' ' || c.relname ${tablesFilter} ORDER BY 1;\n`),
    );
    const list = await run('pg_restore', ['--list', partial]);
    const missing = expected.filter((table) => !list.includes(` TABLE DATA ${table} `));
    if (missing.length > 0) throw failed(`The dump lacks the tables ${missing.join(', ')}.`);
    // The list stands at the head of the file. Only reading all of it shows that its end is there.
    await run('pg_restore', ['--file=/dev/null', partial]);

    let rows: Record<string, number> | null = null;
    if (options.verify === 'restore') {
      step('restoring the dump into a scratch database');
      const wanted = countsOf(await snapshot.query(countRows));
      rows = await restore(partial, `deploy_actions_verify_${randomBytes(6).toString('hex')}`);
      const different = Object.keys(wanted).filter((table) => wanted[table] !== rows?.[table]);
      if (different.length > 0) {
        const shown = different.map(
          (table) => `${table} (${wanted[table]} rows, restored ${rows?.[table] ?? 'none'})`,
        );
        throw failed(`The restored dump differs: ${shown.join(', ')}.`);
      }
    }
    const sha256 = await sha256Of(partial);
    await rename(partial, file);
    const tables = expected.map((table) => table.replace(' ', '.'));
    return { file, bytes, sha256, tables, rows, verified: options.verify, elapsed: deadline.elapsed() };
  } catch (thrown) {
    await rm(partial, { force: true });
    throw asBackupFailure(thrown, deadline.total);
  } finally {
    await snapshot.release();
  }

  async function restore(dump: string, scratch: string): Promise<Record<string, number>> {
    try {
      await query(
        `SELECT format('CREATE DATABASE %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L', '${scratch}',
           pg_encoding_to_char(encoding), datcollate, datctype) FROM pg_database WHERE datname = current_database() \\gexec\n`,
      );
    } catch (thrown) {
      throw failed(`No scratch database can be made to restore into: ${messageOf(thrown)}`, {
        remedy: 'Give the database user CREATEDB, or verify the dump without restoring it.',
        cause: thrown,
      });
    }
    try {
      await run('pg_restore', ['--no-owner', '--no-privileges', '--exit-on-error', '-d', scratch, dump]);
      return countsOf(await query(countRows, scratch));
    } finally {
      await runProcess({
        command: [found.psql, '-XAtqc', `DROP DATABASE IF EXISTS ${scratch}`],
        env: environment,
        signal: new AbortController().signal, // it must go even when the run is cancelled
        timeout: 15_000,
      }).then(
        ({ code }) => {
          if (code !== 0)
            options.log.warning(`The scratch database ${scratch} could not be dropped; drop it by hand.`);
        },
        (thrown: unknown) =>
          options.log.warning(`The scratch database ${scratch} is left: ${messageOf(thrown)}`),
      );
    }
  }
}

function failed(
  message: string,
  options: { remedy?: string; details?: string[]; cause?: unknown } = {},
): DeployError {
  return new DeployError('backup_failed', `${message} Nothing was migrated.`, options);
}

function asBackupFailure(thrown: unknown, limit: number): DeployError {
  if (!(thrown instanceof DeployError)) return failed(messageOf(thrown), { cause: thrown });
  if (thrown.reasonCode === 'timeout') {
    return failed(`The backup did not end within ${formatDuration(limit)}.`, { cause: thrown });
  }
  return thrown;
}

async function findPrograms(options: BackupOptions): Promise<Record<Program, string>> {
  const folders =
    options.postgresBin === undefined
      ? (options.environment['PATH'] ?? '').split(delimiter).filter(Boolean)
      : [options.postgresBin];
  const find = async (program: Program) => {
    for (const folder of folders) {
      const file = join(folder, program);
      if (
        await access(file, constants.X_OK).then(
          () => true,
          () => false,
        )
      ) {
        return file;
      }
    }
    throw failed(
      `${program} is not ${options.postgresBin === undefined ? 'on PATH' : `in ${options.postgresBin}`}.`,
      {
        remedy:
          'Install the client programs of PostgreSQL, of the server’s version or later, or name their folder.',
      },
    );
  };
  return { pg_dump: await find('pg_dump'), pg_restore: await find('pg_restore'), psql: await find('psql') };
}

async function requireVersion(output: string, server: number): Promise<void> {
  const client = Number(/\(PostgreSQL\) (\d+)/.exec(output)?.[1]);
  const serverMajor = Math.floor(server / 10_000);
  if (client >= serverMajor) return;
  throw failed(
    `pg_dump is version ${client || output.trim()}, older than the server, version ${serverMajor}: it refuses to dump.`,
    {
      remedy: `Install the client programs of PostgreSQL ${serverMajor} or later, or name their folder.`,
    },
  );
}

async function requireSpace(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free >= bytes) return;
  throw failed(`${directory} has ${mebibytes(free)} free; the dump may take ${mebibytes(bytes)}.`, {
    remedy: 'Free some space, or name another folder for the backup.',
  });
}

interface Snapshot {
  id: string;
  /** Runs SQL that sees exactly what the dump sees. */
  query(sql: string): Promise<string>;
  release(): Promise<void>;
}

/**
 * A psql that keeps a transaction open, so that rows are counted in the very snapshot that is dumped while the
 * application goes on writing (PostgreSQL manual, "Snapshot Synchronization Functions").
 */
async function holdSnapshot(
  psql: string,
  environment: Record<string, string>,
  secrets: string[],
  signal: AbortSignal,
): Promise<Snapshot> {
  const child = spawn(psql, ['-XAtq', '-v', 'ON_ERROR_STOP=1'], { env: environment, stdio: 'pipe' });
  const stderr = boundedText();
  child.stderr.setEncoding('utf8').on('data', stderr.add);
  child.stdin.on('error', () => {});
  const lines = createInterface({ input: child.stdout });
  const closed = Promise.withResolvers<never>();
  closed.promise.catch(() => {});
  const ended = new Promise<void>((resolve) => {
    child.on('error', (error) => closed.reject(failed(messageOf(error), { cause: error })));
    child.on('close', () => {
      const said = tail(redact(stderr.text(), secrets)).at(-1) ?? 'it ended';
      closed.reject(
        signal.aborted ? cancelled('dumping the database') : failed(`psql lost its snapshot: ${said}`),
      );
      resolve();
    });
  });
  const onAbort = () => void child.kill('SIGTERM');
  signal.addEventListener('abort', onAbort);

  async function query(sql: string): Promise<string> {
    const mark = `end-${randomBytes(8).toString('hex')}`;
    const answer: string[] = [];
    const complete = Promise.withResolvers<string>();
    const onLine = (line: string) => {
      if (line === mark) complete.resolve(answer.join('\n'));
      else answer.push(line);
    };
    lines.on('line', onLine);
    child.stdin.write(`${sql}\\echo ${mark}\n`);
    try {
      return await Promise.race([complete.promise, closed.promise]);
    } finally {
      lines.off('line', onLine);
    }
  }
  const id = await query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT pg_export_snapshot();\n');
  return {
    id,
    query,
    release: async () => {
      signal.removeEventListener('abort', onAbort);
      child.stdin.end();
      await ended;
    },
  };
}

function countsOf(output: string): Record<string, number> {
  return Object.fromEntries(
    linesOf(output).map((line) => {
      const bar = line.lastIndexOf('|');
      return [line.slice(0, bar), Number(line.slice(bar + 1))];
    }),
  );
}

function linesOf(text: string): string[] {
  return text.split('\n').filter(Boolean);
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

function fileName(text: string): string {
  return text.replaceAll(/[^\w.-]/g, '_');
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
