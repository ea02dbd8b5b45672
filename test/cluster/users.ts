// Who uses something that processes share: a file each, named for the process and the time of its start.

import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runs, startTimeOf } from './daemons.ts';

/** Adds this process, as a user of what `of` names; what it resolves with takes it away again. */
export async function addUser(folder: string, of = ''): Promise<() => void> {
  mkdirSync(folder, { recursive: true });
  const name = [process.pid, startTimeOf(process.pid), randomBytes(4).toString('hex')].join('-');
  await writeFile(join(folder, name), of);
  return () => rmSync(join(folder, name), { force: true });
}

/** Whether a process that runs is among the users (those that ended are taken away), or among those of what `of` names. */
export async function isUsed(folder: string, of?: string): Promise<boolean> {
  for (const name of await readdir(folder).catch(() => [])) {
    const [pid = '', startTime = ''] = name.split('-');
    if (!runs({ pid: Number(pid), startTime })) rmSync(join(folder, name), { force: true });
    else if (of === undefined || (await readFile(join(folder, name), 'utf8').catch(() => '')) === of)
      return true;
  }
  return false;
}
