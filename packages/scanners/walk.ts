import { readdir, stat } from 'node:fs/promises';
import { join, relative, resolve, sep } from 'node:path';
import { DeployError, orUndefinedIfMissing } from '@deploy-actions/core';

/** Installed packages and virtual environments have files of others. */
const passedOver = new Set(['node_modules', 'site-packages', '__pycache__', 'venv', 'bower_components']);

/** The files below a folder, without hidden folders, what is installed, and one folder more. Symbolic links are not followed. */
export async function walk(folder: string, without?: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  if (entries.some(({ name }) => name === 'pyvenv.cfg')) return [];
  const files: string[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isFile()) files.push(path);
    else if (
      entry.isDirectory() &&
      !entry.name.startsWith('.') &&
      !passedOver.has(entry.name) &&
      path !== without
    )
      files.push(...(await walk(path, without)));
  }
  return files;
}

/**
 * The files at paths (files, or folders with all that is below them), relative to a root, with slashes and sorted. A file that was named
 * is marked. What lies below `without` is left out unless a path names it or what is in it: a checkout of the base branch has to lie in
 * the workspace, too. Throws `not_found` for a path that is not there, unless it may be missing.
 */
export async function filesAt(
  root: string,
  paths: readonly string[],
  { mayBeMissing = false, without }: { mayBeMissing?: boolean; without?: string | undefined } = {},
): Promise<{ path: string; named: boolean }[]> {
  const found = new Map<string, boolean>();
  const left = without === undefined ? undefined : resolve(root, without);
  for (const path of paths) {
    const there = await orUndefinedIfMissing(stat(join(root, path)));
    if (there === undefined && mayBeMissing) continue;
    if (there === undefined) {
      throw new DeployError('not_found', `${path} does not exist.`, { remedy: 'Correct `paths`.' });
    }
    const named = !there.isDirectory();
    for (const file of named ? [join(root, path)] : await walk(resolve(join(root, path)), left)) {
      const name = relative(root, file).split(sep).join('/');
      found.set(name, named || found.get(name) === true);
    }
  }
  return Array.from(found, ([path, named]) => ({ path, named })).toSorted((a, b) =>
    a.path < b.path ? -1 : 1,
  );
}
