// Folders in the user's cache that take long to make: made in a folder beside and then given their name, so that a folder
// with that name is complete. Of two processes that want the same one waits for the other.

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { withLock } from './lock.ts';

export const cacheFolder = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'deploy-actions');

export type Say = (line: string) => void;

/** The folder `name` of the cache; `make` fills an empty folder that becomes it. */
export async function cached(
  name: string,
  say: Say,
  make: (folder: string) => Promise<void>,
  cache = cacheFolder,
): Promise<string> {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  const lock = `${folder}.lock`;
  const wait = () => say(`Another process makes ${folder}: waiting for it`);
  return withLock(lock, wait, async () => {
    if (existsSync(folder)) return folder;
    await mkdir(dirname(folder), { recursive: true });
    // Whoever made these is gone: the lock is ours.
    const unfinished = `${basename(folder)}.making-`;
    for (const left of await readdir(dirname(folder)))
      if (left.startsWith(unfinished)) await rm(join(dirname(folder), left), { recursive: true });
    const making = await mkdtemp(join(dirname(folder), unfinished));
    try {
      await make(making);
      await rename(making, folder);
    } catch (error) {
      await rm(making, { recursive: true, force: true });
      throw error;
    }
    return folder;
  });
}
