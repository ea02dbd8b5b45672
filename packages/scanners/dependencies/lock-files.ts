import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { DeployError, isRecord, messageOf } from '@deploy-actions/core';
import { filesAt } from '../walk.ts';

export const lockKinds = ['requirements', 'poetry', 'uv', 'pyproject', 'npm', 'pnpm', 'yarn'] as const;
export type LockKind = (typeof lockKinds)[number];

/** A file that says which packages are installed. */
export interface LockFile {
  kind: LockKind;
  /** Relative to the folder that was searched, with slashes. */
  path: string;
}

/** A package in a lock file. */
export interface LockedPackage {
  name: string;
  version: string;
  /** The line that names it, from 1. */
  line: number;
  /** Whether the project asks for it by itself; null where the file does not say. */
  direct: boolean | null;
  /** From an index, whose advisories are known; `own` is the project's own code; `other` a repository or an archive. */
  from: 'index' | 'own' | 'other';
}

/** What names are lock files, for messages. */
export const lockNames =
  'requirements*.txt, poetry.lock, uv.lock, pyproject.toml, package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml, yarn.lock';

const kinds: Record<string, LockKind> = {
  'poetry.lock': 'poetry',
  'uv.lock': 'uv',
  'pyproject.toml': 'pyproject',
  'package-lock.json': 'npm',
  'npm-shrinkwrap.json': 'npm',
  'pnpm-lock.yaml': 'pnpm',
  'yarn.lock': 'yarn',
};

function kindOf(name: string): LockKind | undefined {
  return /^requirements.*\.txt$/i.test(name) ? 'requirements' : kinds[name];
}

/**
 * The lock files below `root`, or those at `paths` (files and folders, relative to it), sorted. A pyproject.toml counts where nothing locks
 * what it asks for. Hidden folders and what is installed are passed over unless they are named, and so is `without`, the checkout of
 * the base branch. Throws `not_found` for a path that is not there, and when there is no lock file at all: nothing that was looked at is not
 * a pass.
 */
export async function findLockFiles(
  root: string,
  paths: readonly string[] = ['.'],
  without?: string,
): Promise<LockFile[]> {
  const found = new Map<string, LockFile>();
  for (const { path, named } of await filesAt(root, paths, { without })) {
    const kind = kindOf(posix.basename(path));
    if (kind !== undefined) found.set(path, { kind, path });
    else if (named) {
      throw new DeployError('invalid_input', `${path} is no lock file by its name.`, {
        remedy: `Known are ${lockNames}.`,
      });
    }
  }
  const locked = [...found.values()].filter(
    ({ kind, path }) => kind !== 'pyproject' || !isLocked(path, found),
  );
  const kept: LockFile[] = [];
  for (const file of locked) {
    if (file.kind !== 'pyproject' || (await asksForPackages(root, file.path))) kept.push(file);
  }
  if (kept.length === 0) {
    throw new DeployError('not_found', `There is no lock file in ${paths.join(', ')}.`, {
      remedy: `Known are ${lockNames}. Name the folders that have some in \`paths\`.`,
    });
  }
  return kept;
}

/** By a lock beside it, or by that of the workspace that it is a member of. */
function isLocked(pyproject: string, found: ReadonlyMap<string, LockFile>): boolean {
  const folder = posix.dirname(pyproject);
  if (found.has(posix.join(folder, 'poetry.lock'))) return true;
  for (let at = folder; ; at = posix.dirname(at)) {
    if (found.has(posix.join(at, 'uv.lock'))) return true;
    if (at === '.') return false;
  }
}

async function asksForPackages(root: string, path: string): Promise<boolean> {
  const { project, tool } = await readToml(join(root, path), path);
  const asked = isRecord(project) ? project['dependencies'] : undefined;
  if (Array.isArray(asked) && asked.length > 0) return true;
  // What it asks for is in a form that only poetry reads, and poetry.lock is not there.
  const poetry = isRecord(tool) && isRecord(tool['poetry']) ? tool['poetry']['dependencies'] : undefined;
  if (isRecord(poetry) && Object.keys(poetry).some((name) => name !== 'python')) {
    throw unreadable(path, 'it asks for packages in the form of poetry, and there is no poetry.lock');
  }
  return false;
}

/** The file cannot be understood, so there is no verdict. */
export function unreadable(path: string, why: string, cause?: unknown): DeployError {
  return new DeployError('scan_failed', `The lock file ${path} cannot be read: ${why}.`, {
    remedy: 'Make it anew with the tool that it belongs to.',
    cause,
  });
}

export async function readToml(file: string, path: string): Promise<Record<string, unknown>> {
  const { parse } = await import('smol-toml');
  try {
    return parse(await readFile(file, 'utf8'));
  } catch (cause) {
    throw unreadable(path, messageOf(cause).split('\n')[0] ?? '', cause);
  }
}
