// What containers leave in the kernel when what ran them was killed: mounts, control groups, shims.

import { existsSync } from 'node:fs';
import { readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { output } from '../support/command.ts';
import { type Daemon, startTimeOf } from './daemons.ts';

/** Unmounts everything in the folder, what was mounted last first. */
export async function unmountAll(folder: string): Promise<void> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  const points = mounts.split('\n').flatMap((line) => {
    const point = (line.split(' ')[4] ?? '').replaceAll('\\040', ' ');
    return point.startsWith(`${folder}/`) ? [point] : [];
  });
  for (const point of points.toReversed()) await output('umount', ['--lazy', point]);
}

/** The control groups of that name at the top: one in each hierarchy of version 1, one of version 2. */
async function groups(name: string): Promise<string[]> {
  const root = '/sys/fs/cgroup';
  const hierarchies = await readdir(root).catch(() => []);
  const places = ['.', ...hierarchies].map((hierarchy) => join(root, hierarchy, name));
  return places.filter((place) => existsSync(place));
}

export const hasGroups = async (name: string): Promise<boolean> => (await groups(name)).length > 0;

async function within(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const below = await Promise.all(
    entries.filter((one) => one.isDirectory()).map((one) => within(join(folder, one.name))),
  );
  return [...below.flat(), folder];
}

/** Kills what runs in them, and removes them. */
export async function removeGroups(name: string): Promise<void> {
  for (const top of await groups(name)) {
    const folders = await within(top);
    for (let attempt = 0; attempt < 100; attempt += 1) {
      const lists = await Promise.all(
        folders.map((folder) => readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '')),
      );
      const pids = lists.flatMap((list) => list.split('\n').filter(Boolean).map(Number));
      if (pids.length === 0) break;
      for (const pid of pids) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It ended by itself.
        }
      }
      await delay(20);
    }
    for (const folder of folders) await rmdir(folder).catch(() => {});
  }
}

/** containerd's children that outlive it: by their arguments they serve this socket. */
export async function shimsOf(containerdSocket: string): Promise<Daemon[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const startTime = startTimeOf(pid);
      const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      const ours = args[0]?.includes('containerd-shim') === true && args.includes(containerdSocket);
      return ours && startTime !== undefined ? [{ name: 'shim', pid, startTime }] : [];
    }),
  );
  return found.flat();
}
