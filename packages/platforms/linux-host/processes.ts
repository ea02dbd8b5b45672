import { readdirSync, readFileSync } from 'node:fs';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import { codeOf, deadlineIn, DeployError, processStat, readProcessFile } from '@deploy-actions/core';
import type { Fence } from '@deploy-actions/release-engine';

/**
 * Processes as the kernel knows them (proc(5)). A pid alone does not identify a process, because it is used again;
 * together with the boot and the start time it does.
 */
export interface ProcessId {
  pid: number;
  /** Boot id and start time in clock ticks since that boot. */
  birth: string;
}

export interface Process extends ProcessId {
  session: number;
  /** The value of DEPLOY_ACTIONS_INSTANCE that it was started with; children inherit it. */
  marker: string | undefined;
}

const markerVariable = 'DEPLOY_ACTIONS_INSTANCE=';
const batch = 64;
const pollInterval = 25;
const killTimeout = 5_000;

let bootId: string | undefined;

/** Undefined when it has ended, or is out of this user's sight. */
export function readProcess(pid: number): Omit<Process, 'marker'> | undefined {
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const stat = processStat(pid);
  return stat === undefined
    ? undefined
    : { pid, session: stat.session, birth: `${bootId}/${stat.startTime}` };
}

export function isAlive(id: ProcessId): boolean {
  return readProcess(id.pid)?.birth === id.birth;
}

/** Every process of this host whose stat and environment this user may read. */
export async function listProcesses(): Promise<Process[]> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const found: Process[] = [];
  for (const [at, pid] of pids.entries()) {
    // So that other work goes on beside it on a host with thousands of processes.
    if (at % batch === batch - 1) await nextTurn();
    const process = readWithMarker(Number(pid));
    if (process !== undefined) found.push(process);
  }
  return found;
}

function readWithMarker(pid: number): Process | undefined {
  const process = readProcess(pid);
  if (process === undefined) return undefined;
  const environment = readProcessFile(pid, 'environ');
  const entry = environment?.split('\0').find((variable) => variable.startsWith(markerVariable));
  return { ...process, marker: entry?.slice(markerVariable.length) };
}

/**
 * Stops processes in three steps: SIGTERM to the main ones, which coordinate their own children (a gunicorn master
 * lets its workers finish); SIGTERM to what is left once no main process is; SIGKILL to everything when `timeout`
 * milliseconds are over. `find` looks afresh each time, so that children born meanwhile are not missed; `isMain`
 * tells main processes. The fence is checked before each signal.
 */
export async function stopProcesses(options: {
  find: () => Promise<Process[]>;
  isMain: (process: Process) => boolean;
  timeout: number;
  fence: Fence;
}): Promise<void> {
  const { find, isMain, timeout, fence } = options;
  const deadline = deadlineIn(timeout);
  const asked = new Set<string>();
  for (;;) {
    const left = await find();
    if (left.length === 0) return;
    if (deadline.passed()) break;
    const mains = left.filter(isMain);
    for (const process of mains.length > 0 ? mains : left) {
      const identity = `${process.pid} ${process.birth}`;
      if (asked.has(identity)) continue;
      asked.add(identity);
      await signalProcess(process, 'SIGTERM', fence);
    }
    await delay(pollInterval);
  }
  const last = deadlineIn(killTimeout);
  for (;;) {
    const left = await find();
    if (left.length === 0) return;
    if (last.passed()) {
      throw new DeployError(
        'timeout',
        `Processes did not end after SIGKILL: ${left.map(({ pid }) => pid).join(', ')}.`,
        {
          remedy:
            'They wait in the kernel, often for a disk or a network file system. Look at it, then retry.',
        },
      );
    }
    for (const process of left) await signalProcess(process, 'SIGKILL', fence);
    await delay(pollInterval);
  }
}

async function signalProcess(id: ProcessId, signal: NodeJS.Signals, fence: Fence): Promise<void> {
  if (!isAlive(id)) return;
  await fence.check();
  try {
    process.kill(id.pid, signal);
  } catch (thrown) {
    if (codeOf(thrown) === 'ESRCH') return;
    throw new DeployError('permission_denied', `Process ${id.pid} cannot be sent ${signal}.`, {
      remedy: 'Run as the user that started it, or as root.',
      cause: thrown,
    });
  }
}
