import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { codeOf, DeployError, isRecord, orUndefinedIfMissing, syncFolder } from '@deploy-actions/core';
import type { StateStore, Stored } from './ports.ts';

const schema = 1;

/** A version is kept until this many newer ones exist. */
const kept = 64;

/** How far others may have got past a write between its link and the look that confirms it. See `write`. */
const margin = 32;

/** A temporary file this old belongs to a writer that died. */
const temporaryLifetime = 3_600_000;

const readAttempts = 20;

/**
 * A StateStore in a folder of one host: compare-and-swap without locks, so that a killed writer leaves nothing to
 * be released. Version n of key k is the file `k/000000000n.json`, complete from the moment it has that name; the
 * highest number is current, the older ones are history. link(2) refuses a name that exists, on every file system
 * that has hard links, and that refusal is the comparison.
 *
 * Keys are of lower-case letters, digits and hyphens. Documents are `{ schema, value }` with any JSON as the value.
 * Errors: `state_conflict`, `state_too_new`, `state_corrupt`, `permission_denied`, and `unsupported` where the file
 * system has no hard links.
 */
export function createFileStore(directory: string): StateStore {
  const location = resolve(directory);

  function folderOf(key: string): string {
    if (!/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/.test(key)) {
      throw new DeployError('internal', `"${key}" cannot be a key of the state store.`, {
        remedy: 'Keys are lower-case letters, digits and hyphens, such as "lease" or "journal-production".',
      });
    }
    return join(location, key);
  }

  return {
    location,

    read: (key) => explained(location, () => readCurrent(folderOf(key))),

    write: (key, value, expected) => explained(location, () => write(folderOf(key), value, expected)),

    touch: (key, version) =>
      explained(location, async () => {
        const folder = folderOf(key);
        if (version === 0 || (await currentVersion(folder)) !== version) return;
        const now = await clockOf(folder);
        await orUndefinedIfMissing(utimes(fileOf(folder, version), now / 1_000, now / 1_000));
      }),

    age: (key, version) =>
      explained(location, async () => {
        const folder = folderOf(key);
        const file = await orUndefinedIfMissing(stat(fileOf(folder, version)));
        if (file === undefined) throw conflict(folder, version, await currentVersion(folder));
        // A touch by another process may fall between the two looks at the clock; no age is below zero.
        return Math.max(0, (await clockOf(folder)) - file.mtimeMs);
      }),
  };
}

async function readCurrent(folder: string): Promise<Stored<unknown>> {
  for (let attempt = 0; attempt < readAttempts; attempt++) {
    const version = await currentVersion(folder);
    if (version === 0) return { value: null, version };
    const file = fileOf(folder, version);
    const text = await orUndefinedIfMissing(readFile(file, 'utf8'));
    // It vanishes only when many newer versions were written since the folder was listed: look again.
    if (text !== undefined) return { value: parseDocument(text, file), version };
  }
  throw new DeployError('state_conflict', `${folder} changes faster than it can be read.`, {
    remedy: 'Look for runs that write to it without pause, and run this again.',
  });
}

/**
 * The write is decided by link(2): of all writers that saw `expected` as current, one gets the next name.
 *
 * One case needs a second look. A writer that sleeps between its look and its link for so long that its version was
 * written by another, became history and was removed finds the name free again. A version is removed only when
 * `kept` newer ones exist, so in that case the folder holds a version beyond `version + margin` when it is listed
 * after the link, and the write is reported as the conflict it is; its file lies below the history that is kept,
 * no reader looks at it and the next writer removes it. In the other direction, a write that did win can be reported
 * as a conflict when others wrote more than `margin` versions on top of it before it looked. That is safe: a
 * conflict means "read again", and what is read then is not this writer's document.
 */
async function write(folder: string, value: unknown, expected: number): Promise<number> {
  await makeFolder(folder);
  const names = await readdir(folder);
  const current = highest(names);
  if (current !== expected) throw conflict(folder, expected, current);
  // Cleaning comes first, so that its failure cannot turn a write that was done into an error.
  await removeHistory(folder, names);
  await removeLeftovers(folder, names);

  const version = expected + 1;
  const temporary = join(folder, `${randomUUID()}.tmp`);
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(`${JSON.stringify({ schema, value }, null, 2)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, fileOf(folder, version));
  } catch (thrown) {
    // ENOENT: this writer slept so long that its temporary file was taken for a dead writer's.
    if (codeOf(thrown) === 'EEXIST' || codeOf(thrown) === 'ENOENT') {
      throw conflict(folder, expected, await currentVersion(folder));
    }
    throw thrown;
  } finally {
    await rm(temporary, { force: true }).catch(() => {});
  }
  await syncFolder(folder);

  const latest = await currentVersion(folder);
  if (latest > version + margin) throw conflict(folder, expected, latest);
  return version;
}

function fileOf(folder: string, version: number): string {
  return join(folder, `${String(version).padStart(10, '0')}.json`);
}

function versionOf(name: string): number | undefined {
  const match = /^(\d{10})\.json$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

function highest(names: string[]): number {
  return names.reduce((found, name) => Math.max(found, versionOf(name) ?? 0), 0);
}

async function currentVersion(folder: string): Promise<number> {
  return highest((await orUndefinedIfMissing(readdir(folder))) ?? []);
}

async function removeHistory(folder: string, names: string[]): Promise<void> {
  const last = highest(names) - kept;
  for (const name of names) {
    const version = versionOf(name);
    if (version !== undefined && version <= last) await rm(join(folder, name), { force: true });
  }
}

async function removeLeftovers(folder: string, names: string[]): Promise<void> {
  const temporaries = names.filter((name) => name.endsWith('.tmp'));
  if (temporaries.length === 0) return;
  const now = await clockOf(folder);
  for (const name of temporaries) {
    const file = await orUndefinedIfMissing(stat(join(folder, name)));
    if (file !== undefined && now - file.mtimeMs > temporaryLifetime) {
      await rm(join(folder, name), { force: true });
    }
  }
}

/** Milliseconds by the clock that stamps this folder's files: on a network file system not this host's own. */
async function clockOf(folder: string): Promise<number> {
  const probe = join(folder, `${randomUUID()}.tmp`);
  const file = await open(probe, 'wx', 0o600);
  try {
    return (await file.stat()).mtimeMs;
  } finally {
    await file.close();
    await rm(probe, { force: true });
  }
}

async function makeFolder(folder: string): Promise<void> {
  if ((await mkdir(folder, { recursive: true, mode: 0o700 })) !== undefined)
    await syncFolder(dirname(folder));
}

function parseDocument(text: string, file: string): unknown {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw corrupt(file, 'is not JSON', cause);
  }
  if (!isRecord(document) || !Number.isSafeInteger(document['schema'])) {
    throw corrupt(file, 'has no schema number');
  }
  if (Number(document['schema']) > schema) {
    throw new DeployError(
      'state_too_new',
      `${file} has schema ${String(document['schema'])}; this version of the suite reads up to ${schema}.`,
      { remedy: 'Use the version of the suite that wrote it, or a newer one.' },
    );
  }
  return document['value'] ?? null;
}

function corrupt(file: string, what: string, cause?: unknown): DeployError {
  return new DeployError('state_corrupt', `${file} ${what}.`, {
    remedy:
      'Move the file away: the one with the next lower number is then current. Check first that it says what is true now.',
    cause,
  });
}

function conflict(folder: string, expected: number, current: number): DeployError {
  return new DeployError('state_conflict', `${folder} is at version ${current}, not at ${expected}.`, {
    remedy: 'Another run wrote to it. Read it again and decide anew.',
  });
}

async function explained<T>(location: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof DeployError) throw thrown;
    const code = codeOf(thrown);
    if (
      code === 'ENOTSUP' ||
      code === 'EOPNOTSUPP' ||
      (code === 'EPERM' && String(thrown).includes('link'))
    ) {
      throw new DeployError('unsupported', `The file system of ${location} has no hard links.`, {
        remedy: 'Put the state directory on a local file system such as ext4 or xfs.',
        cause: thrown,
      });
    }
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
      throw new DeployError(
        'permission_denied',
        `The state in ${location} cannot be used: ${String(thrown)}`,
        {
          remedy: 'Give the user that the runner works as the right to read and write this directory.',
          cause: thrown,
        },
      );
    }
    throw thrown;
  }
}
