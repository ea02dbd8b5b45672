import { readFile } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { DeployError, isRecord, messageOf } from '@deploy-actions/core';
import { filesAt } from '../walk.ts';
import { includesOf, notInstalled, readRequirementsFiles } from './requirements-files.ts';

export const lockKinds = ['requirements', 'poetry', 'uv', 'pyproject', 'npm', 'pnpm', 'yarn'] as const;
export type LockKind = (typeof lockKinds)[number];

/** A file that says which packages are installed. */
export interface LockFile {
  kind: LockKind;
  /** Relative to the folder that was searched, with slashes. */
  path: string;
  /** Of a requirements file, those audited by themselves that it takes in. */
  includes?: string[];
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
  'requirements*.txt, *.txt in a folder named requirements, poetry.lock, uv.lock, pyproject.toml, package-lock.json, npm-shrinkwrap.json, pnpm-lock.yaml, yarn.lock';

const kinds: Record<string, LockKind> = {
  'poetry.lock': 'poetry',
  'uv.lock': 'uv',
  'pyproject.toml': 'pyproject',
  'package-lock.json': 'npm',
  'npm-shrinkwrap.json': 'npm',
  'pnpm-lock.yaml': 'pnpm',
  'yarn.lock': 'yarn',
};

const isInRequirements = (path: string) => /(?:^|\/)requirements\/[^/]+\.txt$/i.test(path);

function kindOf(path: string): LockKind | undefined {
  const name = posix.basename(path);
  return /^requirements.*\.txt$/i.test(name) || isInRequirements(path) ? 'requirements' : kinds[name];
}

/** What is audited, and what looks as if it were and is not, with why. */
export interface LockFiles {
  files: LockFile[];
  passed: { path: string; why: string }[];
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
): Promise<LockFiles> {
  const found: (LockFile & { named: boolean })[] = [];
  for (const { path, named } of await filesAt(root, paths, { without })) {
    const kind = kindOf(path);
    if (kind !== undefined) found.push({ kind, path, named });
    else if (named) {
      throw new DeployError('invalid_input', `${path} is no lock file by its name.`, {
        remedy: `Known are ${lockNames}.`,
      });
    }
  }
  const requirements = await readRequirementsFiles(
    root,
    found.flatMap(({ kind, path }) => (kind === 'requirements' ? [path] : [])),
  );
  const locked = await lockedFolders(root, found);
  const all: LockFiles = { files: [], passed: [] };
  for (const { kind, path, named } of found) {
    if (kind === 'requirements') {
      const why = named ? undefined : notInstalled(path, requirements);
      if (why !== undefined) all.passed.push({ path, why });
      else {
        const includes = includesOf(path, requirements);
        all.files.push({ kind, path, ...(includes.length > 0 ? { includes } : {}) });
      }
    } else if (kind !== 'pyproject') all.files.push({ kind, path });
    else if (!locked.has(posix.dirname(path))) {
      const isBelowLock = found.some(
        (other) => other.kind === 'uv' && isBelow(path, posix.dirname(other.path)),
      );
      const { asks, leftOut } = await readProject(root, path, isBelowLock);
      if (asks) all.files.push({ kind, path });
      if (leftOut !== undefined) all.passed.push({ path, why: leftOut });
    }
  }
  if (all.files.length === 0) {
    throw new DeployError('not_found', `There is no lock file in ${paths.join(', ')}.`, {
      remedy: `Known are ${lockNames}. Name the folders that have some in \`paths\`.`,
      details: all.passed.map(({ path, why }) => `${path}: ${why}`),
    });
  }
  return all;
}

/** The folders whose pyproject.toml has a lock: one beside it, or that of a workspace, which names the folders of its members. */
async function lockedFolders(root: string, found: readonly LockFile[]): Promise<ReadonlySet<string>> {
  const folders = new Set(
    found.filter(({ kind }) => kind === 'poetry' || kind === 'uv').map(({ path }) => posix.dirname(path)),
  );
  const open = found.some(({ kind, path }) => kind === 'pyproject' && !folders.has(posix.dirname(path)));
  for (const { path } of open ? found.filter(({ kind }) => kind === 'uv') : []) {
    const { package: packages } = await readToml(join(root, path), path);
    for (const each of Array.isArray(packages) ? (packages as unknown[]) : []) {
      const source = isRecord(each) && isRecord(each['source']) ? each['source'] : {};
      const folder = source['editable'] ?? source['virtual'] ?? source['directory'];
      if (typeof folder === 'string')
        folders.add(posix.join(posix.dirname(path), folder).replace(/(?<=.)\/$/, ''));
    }
  }
  return folders;
}

const isBelow = (path: string, folder: string) => folder === '.' || path.startsWith(`${folder}/`);

/**
 * Whether an unlocked pyproject.toml asks for packages, and what it asks for besides that is not audited. One `isBelowLock` may be an
 * example in a project that is locked.
 */
async function readProject(
  root: string,
  path: string,
  isBelowLock: boolean,
): Promise<{ asks: boolean; leftOut: string | undefined }> {
  const { project, tool, 'dependency-groups': groups } = await readToml(join(root, path), path);
  const { dependencies, 'optional-dependencies': optional } = isRecord(project) ? project : {};
  const besides = [...namesOf('optional-dependencies', optional), ...namesOf('dependency-groups', groups)];
  const leftOut =
    besides.length === 0
      ? undefined
      : `its ${besides.join(' and ')} are not audited, for nothing locks them; a uv.lock or a requirements file would`;
  if (Array.isArray(dependencies) && dependencies.length > 0) return { asks: true, leftOut };
  // What it asks for is in a form that only poetry reads, and poetry.lock is not there.
  const poetry = isRecord(tool) && isRecord(tool['poetry']) ? tool['poetry']['dependencies'] : undefined;
  if (isRecord(poetry) && Object.keys(poetry).some((name) => name !== 'python')) {
    if (isBelowLock) {
      return {
        asks: false,
        leftOut:
          'what it asks for in the form of poetry is not audited: neither a poetry.lock nor the uv.lock above has it',
      };
    }
    throw unreadable(path, 'it asks for packages in the form of poetry, and there is no poetry.lock');
  }
  return { asks: false, leftOut };
}

/** `optional-dependencies (docs, test)`, of those that ask for something. */
function namesOf(key: string, groups: unknown): string[] {
  const names = Object.entries(isRecord(groups) ? groups : {})
    .filter(([, asked]) => Array.isArray(asked) && asked.length > 0)
    .map(([name]) => name);
  return names.length === 0 ? [] : [`${key} (${names.join(', ')})`];
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
