// Finds what a run left behind: the processes that have some text, such as the path of its own temporary folder, in
// their command line, their environment or as their working folder (proc(5)).

import { readdir, readFile, readlink } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

export interface Found {
  pid: number;
  command: string;
}

/** Those of this user, as root those of all; without this process itself. */
export async function processesWith(marker: string): Promise<Found[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const [command, environment, folder, stat] = await Promise.all([
        readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''),
        readFile(`/proc/${pid}/environ`, 'utf8').catch(() => ''),
        readlink(`/proc/${pid}/cwd`).catch(() => ''),
        readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ''),
      ]);
      const ended = /\) [ZX] /.test(stat);
      if (ended || ![command, environment, folder].some((text) => text.includes(marker))) return [];
      return [{ pid: Number(pid), command: command.replaceAll('\0', ' ').trim() }];
    }),
  );
  return found.flat();
}

/** Ends them, with SIGKILL those that are there after `grace` milliseconds; resolves to those that are left even then. */
export async function endProcessesWith(marker: string, grace = 5_000): Promise<Found[]> {
  for (const [signal, milliseconds] of [
    ['SIGTERM', grace],
    ['SIGKILL', 5_000],
  ] as const) {
    const end = performance.now() + milliseconds;
    const asked = new Set<number>();
    for (;;) {
      const left = await processesWith(marker);
      if (left.length === 0) return [];
      if (performance.now() > end) break;
      for (const { pid } of left.filter((one) => !asked.has(one.pid))) {
        asked.add(pid);
        try {
          process.kill(pid, signal);
        } catch {
          // It ended by itself.
        }
      }
      await delay(50);
    }
  }
  return processesWith(marker);
}
