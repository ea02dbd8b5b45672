// Finds what a run left behind: the processes that have some text, such as the path of its own temporary folder, in
// their command line, their environment or as their working folder (proc(5)).

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

export interface Found {
  pid: number;
  command: string;
}

/** What is there to be read; empty when the process is gone, or another user's. */
function readable(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}

/** Those of this user, as root those of all; without this process itself. Read synchronously: it takes a sixth of the time. */
export function processesWith(marker: string): Found[] {
  const found: Found[] = [];
  for (const pid of readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && name !== String(process.pid),
  )) {
    const command = readable(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
    const isMarked =
      command.includes(marker) ||
      readable(() => readFileSync(`/proc/${pid}/environ`, 'utf8')).includes(marker) ||
      readable(() => readlinkSync(`/proc/${pid}/cwd`)).includes(marker);
    if (!isMarked) continue;
    const hasEnded = /\) [ZX] /.test(readable(() => readFileSync(`/proc/${pid}/stat`, 'utf8')));
    if (!hasEnded) found.push({ pid: Number(pid), command: command.replaceAll('\0', ' ').trim() });
  }
  return found;
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
      const left = processesWith(marker);
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
