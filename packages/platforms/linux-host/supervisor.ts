import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { DeployError, messageOf } from '@deploy-actions/core';
import { rotateLog } from './logs.ts';
import { readProcess, type ProcessId } from './processes.ts';

/** An instance to be started. */
export interface Launch {
  slot: string;
  id: number;
  marker: string;
  version: string;
  /** Absolute path. */
  program: string;
  arguments: string[];
  directory: string;
  /** All of it: nothing is inherited. */
  environment: Record<string, string>;
  logFile: string;
  /** Milliseconds. */
  stopTimeout: number;
}

/** Who starts instances and looks after them. Which of them live is read from /proc in either case. */
export interface Supervisor {
  readonly name: 'process' | 'systemd';
  /** Starts the instance; null when its main process ended at once. Throws `start_failed`. */
  start(launch: Launch): Promise<ProcessId | null>;
  /** Whether it keeps anything beside processes for instances of the slot that are not in `keep`. */
  leftovers(slot: string, keep: ReadonlySet<number>): Promise<string[]>;
  /** Stops and removes one such leftover. */
  remove(leftover: string): Promise<void>;
  /** How the main process ended, where that is known. */
  ending(slot: string, id: number, marker: string): Promise<string | undefined>;
}

/** Detached processes: each the leader of a session of its own, so that it outlives the job. */
export function createProcessSupervisor(): Supervisor {
  const endings = new Map<string, string>();
  return {
    name: 'process',

    async start(launch) {
      await rotateLog(launch.logFile);
      const log = await open(launch.logFile, 'a', 0o600);
      try {
        const child = spawn(launch.program, launch.arguments, {
          cwd: launch.directory,
          env: launch.environment,
          detached: true,
          stdio: ['ignore', log.fd, log.fd],
        });
        child.once('exit', (code, signal) => {
          endings.set(launch.marker, signal === null ? `exit code ${code}` : `signal ${signal}`);
        });
        await once(child, 'spawn');
        child.unref();
        const main = child.pid === undefined ? undefined : readProcess(child.pid);
        return main === undefined ? null : { pid: main.pid, birth: main.birth };
      } catch (thrown) {
        throw new DeployError(
          'start_failed',
          `${launch.program} could not be started: ${messageOf(thrown)}`,
          {
            remedy:
              'See whether its interpreter (the first line of a script) exists and its format fits this machine.',
            cause: thrown,
          },
        );
      } finally {
        await log.close();
      }
    },

    leftovers: async () => [],
    remove: async () => {},
    ending: async (_slot, _id, marker) => endings.get(marker),
  };
}
