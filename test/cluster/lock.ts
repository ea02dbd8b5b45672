// One at a time among processes, by flock(1): the kernel frees the lock of whoever ends, however that happens.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Runs `work` while no other process runs any under the same file. `onWait` is called when another does. */
export async function withLock<T>(file: string, onWait: () => void, work: () => Promise<T>): Promise<T> {
  await mkdir(dirname(file), { recursive: true });
  // Holds the lock until its input ends: with `release`, or with this process.
  const holder = spawn('flock', [file, 'sh', '-c', 'echo held; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true, // Ctrl-C must not free it before the work is undone
  });
  const waiting = setTimeout(onWait, 500);
  try {
    await Promise.race([
      once(holder.stdout, 'data'),
      once(holder, 'error').then(([error]) => Promise.reject(error as Error)),
      once(holder, 'exit').then(() => Promise.reject(new Error(`flock ${file} ended`))),
    ]);
  } finally {
    clearTimeout(waiting);
  }
  try {
    return await work();
  } finally {
    holder.stdin.end();
    holder.unref();
  }
}
