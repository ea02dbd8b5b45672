import { readdir, readFile } from 'node:fs/promises';
import { orUndefinedIfMissing } from '@deploy-actions/core';

export interface Worker {
  pid: number;
  /** It accepts nothing more and ends with its last request. */
  ending: boolean;
}

/** The master's process id, or undefined when no nginx runs by this pid file. */
export async function masterPid(pidFile: string): Promise<number | undefined> {
  const pid = Number((await orUndefinedIfMissing(readFile(pidFile, 'utf8')))?.trim());
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  return (await titleOf(pid))?.includes('nginx: master') === true ? pid : undefined;
}

/** Workers of all generations. nginx writes into a process's title what it is and, at its end, that it is ending. */
export async function workersOf(master: number): Promise<Worker[]> {
  const workers: Worker[] = [];
  for (const name of await readdir('/proc')) {
    const pid = Number(name);
    if (!Number.isSafeInteger(pid) || (await parentOf(pid)) !== master) continue;
    const title = (await titleOf(pid)) ?? '';
    if (title.includes('nginx: worker process'))
      workers.push({ pid, ending: title.includes('is shutting down') });
  }
  return workers;
}

async function titleOf(pid: number): Promise<string | undefined> {
  return (await ofProcess(pid, 'cmdline'))?.replaceAll('\0', ' ');
}

async function parentOf(pid: number): Promise<number | undefined> {
  const stat = await ofProcess(pid, 'stat');
  // proc(5): the name in parentheses may itself have blanks and parentheses.
  const parent = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1];
  return parent === undefined ? undefined : Number(parent);
}

/** Undefined when the process ended. */
async function ofProcess(pid: number, file: string): Promise<string | undefined> {
  return readFile(`/proc/${pid}/${file}`, 'utf8').catch(() => undefined);
}
