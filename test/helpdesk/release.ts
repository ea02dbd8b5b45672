// Makes a release of the sample platform: a copy of `app/` with its version, and what the kind of release adds.

import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/**
 * What a release does on purpose, each a folder in `releases/` but for the first:
 * - `good`: nothing wrong;
 * - `errors`: every fifth application request is answered with 500;
 * - `slow`: every application request takes 1.5 s;
 * - `never-ready`: /health/ is 503 for ever, for the check `search_index`;
 * - `unsafe-migration`: its migration breaks the release before and has no way back.
 *
 * /health/, /metrics and /version are no application requests.
 */
export const releaseKinds = ['good', 'errors', 'slow', 'never-ready', 'unsafe-migration'] as const;
export type ReleaseKind = (typeof releaseKinds)[number];

export type Release = { number: number; kind: ReleaseKind; version: string; directory: string };

/** Releases from this one on have the column `due_at` and the two migrations that add and fill it. */
const dueDateSince = 2;

type Edit = { file: string; find: string; replace: string };

/**
 * Writes release `number` into `directory`, which must be empty or absent. Two releases differ by their version
 * (`<number>.0.0` unless given) and kind alone, but for the migrations that release 2 brings.
 */
export async function makeRelease(options: {
  number: number;
  directory: string;
  kind?: ReleaseKind;
  version?: string;
}): Promise<Release> {
  const { number, directory, kind = 'good', version = `${number}.0.0` } = options;
  if (!Number.isInteger(number) || number < 1)
    throw new Error(`a release number is 1 or more, not ${number}`);
  if (kind === 'unsafe-migration' && number < dueDateSince)
    throw new Error(
      `the unsafe migration builds on release ${dueDateSince}: give it that number or a higher one`,
    );
  await mkdir(directory, { recursive: true });
  if ((await readdir(directory)).length > 0)
    throw new Error(`${directory} is not empty: a release is never mixed into another`);

  await copy(join(import.meta.dirname, 'app'), directory);
  const overlays = [...(number >= dueDateSince ? ['due-date'] : []), ...(kind === 'good' ? [] : [kind])];
  for (const overlay of overlays) await lay(join(import.meta.dirname, 'releases', overlay), directory);
  await writeFile(join(directory, 'VERSION'), `${version}\n`);
  return { number, kind, version, directory };
}

/** Copies an overlay's files over the application, then makes the edits of its `edits.json`. */
async function lay(overlay: string, directory: string): Promise<void> {
  await copy(overlay, directory);
  for (const { file, find, replace } of await editsOf(overlay)) {
    const path = join(directory, file);
    const parts = (await readFile(path, 'utf8')).split(find);
    if (parts.length !== 2)
      throw new Error(
        `${overlay}/edits.json: ${file} has ${parts.length - 1} places like ${JSON.stringify(find)}, not one`,
      );
    await writeFile(path, parts.join(replace));
  }
}

async function editsOf(overlay: string): Promise<Edit[]> {
  if (!(await readdir(overlay)).includes('edits.json')) return [];
  return JSON.parse(await readFile(join(overlay, 'edits.json'), 'utf8')) as Edit[];
}

async function copy(from: string, to: string): Promise<void> {
  const left = new Set(['__pycache__', 'edits.json', 'db.sqlite3']);
  await cp(from, to, {
    recursive: true,
    filter: (source) => !left.has(source.slice(source.lastIndexOf('/') + 1)),
  });
}

/** The command that serves a release, in its folder; SIGTERM stops it gracefully. */
export function serveCommand(python: string): string[] {
  return [python, '-m', 'gunicorn', 'config.wsgi'];
}

/** A `manage.py` command, in the release's folder. */
export function manageCommand(python: string, ...command: string[]): string[] {
  return [python, 'manage.py', ...command];
}

/**
 * The environment of a release in production settings, reached at 127.0.0.1 without TLS. All versions and slots of one
 * platform share `secretKey`, for API tokens are signed with it.
 */
export function releaseEnvironment(options: {
  databaseUrl: string;
  secretKey: string;
  port?: number;
  slot?: string;
  redisUrl?: string;
}): Record<string, string> {
  return {
    DJANGO_SETTINGS_MODULE: 'config.settings.production',
    DATABASE_URL: options.databaseUrl,
    SECRET_KEY: options.secretKey,
    ALLOWED_HOSTS: '127.0.0.1,localhost',
    SECURE_SSL_REDIRECT: 'false',
    ...(options.port === undefined ? {} : { PORT: String(options.port) }),
    ...(options.slot === undefined ? {} : { SLOT: options.slot }),
    ...(options.redisUrl === undefined ? {} : { REDIS_URL: options.redisUrl }),
  };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      number: { type: 'string' },
      kind: { type: 'string', default: 'good' },
      version: { type: 'string' },
      directory: { type: 'string' },
    },
  });
  const kind = releaseKinds.find((known) => known === values.kind);
  if (!values.number || !values.directory || !kind) {
    console.error(
      `usage: release.ts --number N --directory DIR [--kind ${releaseKinds.join('|')}] [--version V]`,
    );
    process.exit(2);
  }
  const release = await makeRelease({
    number: Number(values.number),
    directory: values.directory,
    kind,
    ...(values.version === undefined ? {} : { version: values.version }),
  });
  console.log(JSON.stringify(release));
}
