// Runs the load generator in a process of its own and talks to it.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Command, Message, Progress } from './main.ts';
import { planLoad, toArguments, type LoadOptions } from './options.ts';
import type { LoadReport } from './tally.ts';

export type { Kind, LoadOptions } from './options.ts';
export { countsOf, type Counts, type KindReport, type LoadReport, type PhaseReport } from './tally.ts';
export type { LostReason } from './connection.ts';
export type { Progress } from './main.ts';

export interface Load {
  /** From now on requests belong to the phase `name`; resolves once the generator has switched. */
  mark(name: string): Promise<void>;
  snapshot(): Promise<LoadReport>;
  /** Schedules no more, waits for the requests in flight, and ends the process. */
  stop(): Promise<LoadReport>;
  /** The report, when the duration is over or {@link stop} was called; rejects when the process fails. */
  readonly finished: Promise<LoadReport>;
  /** Ends the process at once, without a report. For clean-up; harmless when it has ended. */
  kill(): void;
}

/**
 * Starts the load and resolves when it is running.
 * @throws Error when an option is refused or the process cannot start
 */
export async function startLoad(
  options: LoadOptions,
  onSecond?: (progress: Progress) => void,
): Promise<Load> {
  planLoad(options); // refuse here, with a stack that leads to the caller
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      fileURLToPath(new URL('main.ts', import.meta.url)),
      ...toArguments(options),
    ],
    { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: '', LOAD_STOP_AT_END: '1' } },
  );
  const started = Promise.withResolvers<void>();
  const finished = Promise.withResolvers<LoadReport>();
  const marks: (() => void)[] = [];
  const snapshots: ((report: LoadReport) => void)[] = [];
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4000)));
  child.stdin.on('error', () => {}); // a write that raced the end of the process: `close` below tells
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as Message;
    if (message.type === 'started') started.resolve();
    else if (message.type === 'second') onSecond?.(message);
    else if (message.type === 'marked') marks.shift()?.();
    else if (message.type === 'snapshot') snapshots.shift()?.(message.report);
    else finished.resolve(message.report);
  });
  const fail = (error: Error): void => {
    started.reject(error);
    finished.reject(error);
  };
  child.once('error', fail);
  child.once('close', (code, signal) => {
    fail(new Error(`load generator ended without a report (${signal ?? `exit ${code}`}): ${stderr.trim()}`));
  });
  finished.promise.catch(() => {}); // reported through whoever awaits it
  await started.promise;

  const tell = (command: Command): void => void child.stdin.write(`${JSON.stringify(command)}\n`);
  /** Waits for an answer, but never past the end of the process. */
  const answer = <T>(waiting: ((value: T) => void)[], command: Command): Promise<T> => {
    const { promise, resolve } = Promise.withResolvers<T>();
    waiting.push(resolve);
    tell(command);
    const ended = finished.promise.then(() => {
      throw new Error(`load generator had ended before "${command.command}"`);
    });
    return Promise.race([promise, ended]);
  };
  return {
    mark: (name) => answer(marks, { command: 'mark', name }),
    snapshot: () => answer(snapshots, { command: 'snapshot' }),
    stop() {
      tell({ command: 'stop' });
      return finished.promise;
    },
    finished: finished.promise,
    kill: () => void child.kill('SIGKILL'),
  };
}
