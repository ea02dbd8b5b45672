import { cancelled, formatDuration, type DeployError, type Log } from '@deploy-actions/core';
import { reportedError, startHelper, type Application } from './helper.ts';

/** How one run of `manage.py migrate` ended. */
export interface Outcome {
  error: DeployError | null;
  /** The server said that a lock could not be had, or found a deadlock: the transaction was rolled back. */
  retry: boolean;
  /** The migration that was being run when it ended, and how many of its operations were done, where that is known. */
  unfinished: { migration: string; operationsDone: number; operations: number } | null;
}

/** After the input is closed the helper cancels its statement and is gone in 3 s; this is for one that is not. */
const terminateAfter = 4_000;
const killAfter = 5_000;

/**
 * Runs `manage.py migrate` in a process of its own with the time-outs given (milliseconds, 0 for none), until it
 * ends or `signal` aborts. What went wrong is in the outcome, never thrown.
 */
export async function runMigrate(
  application: Application,
  run: { database: string; arguments: string[]; lockTimeout: number; statementTimeout: number },
  options: { log: Log; secrets: Iterable<string>; signal: AbortSignal },
): Promise<Outcome> {
  const outcome: Outcome = { error: null, retry: false, unfinished: null };
  if (options.signal.aborted) return { ...outcome, error: cancelled('migrations were about to be run') };
  let done = false;
  const begin = performance.now();
  const helper = startHelper(
    application,
    { mode: 'migrate', manage: application.manage, ...run },
    {
      ...options,
      onMessage: (message) => {
        const migration = `${String(message['app'])}.${String(message['name'])}`;
        switch (message['event']) {
          case 'started':
            outcome.unfinished = { migration, operationsDone: 0, operations: Number(message['operations']) };
            options.log.progress({
              what: message['verb'] === 'apply' ? 'applying migrations' : 'taking back migrations',
              elapsed: performance.now() - begin,
              detail: migration,
            });
            break;
          case 'operation':
            if (outcome.unfinished !== null) outcome.unfinished.operationsDone = Number(message['index']) + 1;
            break;
          case 'ended':
            outcome.unfinished = null;
            options.log.info(
              `${message['verb'] === 'apply' ? 'Applied' : 'Took back'} ${migration} in ${formatDuration(Number(message['milliseconds']))}.`,
            );
            break;
          case 'failed':
            outcome.error = reportedError(message['error'], options.secrets);
            outcome.retry = message['retry'] === true;
            break;
          case 'done':
            done = true;
            break;
        }
      },
    },
  );
  const timers: NodeJS.Timeout[] = [];
  const stop = () => {
    helper.hangUp();
    timers.push(setTimeout(() => helper.kill('SIGTERM'), terminateAfter));
    timers.push(setTimeout(() => helper.kill('SIGKILL'), killAfter));
  };
  options.signal.addEventListener('abort', stop);
  await helper.ended;
  timers.forEach(clearTimeout);
  options.signal.removeEventListener('abort', stop);
  if (!done) outcome.error ??= helper.unexpectedEnd('migrations were being run');
  return outcome;
}
