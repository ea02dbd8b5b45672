import { readFileSync } from 'node:fs';
import { codeOf } from './errors.ts';

/** What the kernel says of a process (proc(5)). */
export interface ProcessStat {
  session: number;
  /** In clock ticks since boot. */
  startTime: string;
}

/**
 * Of a process that runs. Undefined when there is none, it is out of this user's sight, or only its exit status is left. Read
 * synchronously: the kernel has it in memory, and a round through the thread pool would take ten times as long.
 */
export function processStat(pid: number): ProcessStat | undefined {
  const text = readProcessFile(pid, 'stat');
  return text === undefined ? undefined : parseStat(text);
}

/** A file of `/proc/<pid>`. Undefined when the process has gone meanwhile, or is another user's. */
export function readProcessFile(pid: number, name: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch (thrown) {
    // Anything else must not pass for "there is no such process".
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(codeOf(thrown) ?? '')) return undefined;
    throw thrown;
  }
}

export function parseStat(text: string): ProcessStat | undefined {
  // The name in parentheses may hold anything, so the fields are counted from its end: state is field 3.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): string => fields[number - 3] ?? '';
  const hasExited = field(3) === 'Z' || field(3) === 'X';
  // A first thread that has exited is a zombie as well while others of the process write on, and hold its files and ports.
  if (hasExited && Number(field(20)) <= 1) return undefined;
  return { session: Number(field(6)), startTime: field(22) };
}
