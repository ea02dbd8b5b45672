// Processes that outlive the one that starts them. Each is recorded with the time of its start, so that a number which the
// kernel gave to another process since is never taken for it.

import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { appendFile, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { processStat } from '@deploy-actions/core';

export interface Daemon {
  name: string;
  pid: number;
  /** Field 22 of proc_pid_stat(5): ticks since boot. */
  startTime: string;
}

/** Of a process that runs; one that has ended has none. */
export const startTimeOf = (pid: number): string | undefined => processStat(pid)?.startTime;

export const runs = ({ pid, startTime }: Omit<Daemon, 'name'>): boolean => startTimeOf(pid) === startTime;

/** The file that a daemon of a record writes to. */
export const logOf = (record: string, name: string): string => join(dirname(record), 'logs', `${name}.log`);

/** Starts it in a session of its own with a clean environment; its output goes to `logs/NAME.log` beside the record. */
export async function startDaemon(
  record: string,
  name: string,
  command: readonly string[],
  env: Record<string, string>,
): Promise<Daemon> {
  const [program = '', ...args] = command;
  const log = openSync(logOf(record, name), 'a');
  const child = spawn(program, args, { detached: true, cwd: '/', env, stdio: ['ignore', log, log] });
  closeSync(log);
  await new Promise<void>((resolve, reject) => void child.once('spawn', resolve).once('error', reject));
  child.unref();
  const daemon = { name, pid: child.pid ?? 0, startTime: startTimeOf(child.pid ?? 0) ?? 'ended' };
  await appendFile(record, `${JSON.stringify(daemon)}\n`);
  return daemon;
}

/** In the order in which they were started. */
export async function recordedDaemons(record: string): Promise<Daemon[]> {
  const text = await readFile(record, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Daemon];
    } catch {
      return []; // the last line of a writer that was killed, or the end
    }
  });
}

/** SIGTERM, and SIGKILL for those that are there after `grace` milliseconds. */
export async function endDaemons(daemons: readonly Daemon[], grace = 5_000): Promise<void> {
  for (const [signal, milliseconds] of [
    ['SIGTERM', grace],
    ['SIGKILL', 5_000],
  ] as const) {
    const left = daemons.filter(runs);
    for (const { pid } of left) {
      try {
        process.kill(pid, signal);
      } catch {
        // It ended by itself.
      }
    }
    const end = performance.now() + milliseconds;
    while (left.some(runs) && performance.now() < end) await delay(20);
  }
}

/** The last lines that it wrote. */
export async function lastLines(record: string, name: string, count = 15): Promise<string> {
  const text = await readFile(logOf(record, name), 'utf8').catch(() => '');
  return text.trimEnd().split('\n').slice(-count).join('\n');
}
