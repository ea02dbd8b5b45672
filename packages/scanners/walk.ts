import { readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { DeployError, orUndefinedIfMissing } from '@deploy-actions/core';

/** Installed packages and virtual environments have files of others. */
const passedOver = new Set(['node_modules', 'site-packages', '__pycache__', 'venv', 'bower_components']);

/** The files below a folder, without hidden folders and what is installed. Symbolic links are not followed. */
export async function walk(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  if (entries.some(({ name }) => name === 'pyvenv.cfg')) return [];
  const files: string[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isFile()) files.push(path);
    else if (entry.isDirectory() && !entry.name.startsWith('.') && !passedOver.has(entry.name))
      files.push(...(await walk(path)));
  }
  return files;
}

/**
 * The files at paths (files, or folders with all that is below them), relative to a root, with slashes and sorted. A file that was named
 * is marked. Throws `not_found` for a path that is not there, unless it may be missing.
 */
export async function filesAt(
  root: string,
  paths: readonly string[],
  mayBeMissing = false,
): Promise<{ path: string; named: boolean }[]> {
  const found = new Map<string, boolean>();
  for (const path of paths) {
    const there = await orUndefinedIfMissing(stat(join(root, path)));
    if (there === undefined && mayBeMissing) continue;
    if (there === undefined) {
      throw new DeployError('not_found', `${path} does not exist.`, { remedy: 'Correct `paths`.' });
    }
    const named = !there.isDirectory();
    for (const file of named ? [join(root, path)] : await walk(join(root, path))) {
      const name = relative(root, file).split(sep).join('/');
      found.set(name, named || found.get(name) === true);
    }
  }
  return Array.from(found, ([path, named]) => ({ path, named })).toSorted((a, b) =>
    a.path < b.path ? -1 : 1,
  );
}
