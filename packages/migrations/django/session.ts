import { DeployError, cancelled, type Log } from '@deploy-actions/core';
import { reportedError, startHelper, type Application, type Message } from './helper.ts';

/** A started Django that answers questions, and holds the lock when asked to. */
export interface Session {
  request(message: Message, signal: AbortSignal, limit?: number): Promise<unknown>;
  /** Aborts when the session is gone, and its lock with it; the reason is the error. */
  readonly lost: AbortSignal;
  close(): Promise<void>;
}

const startLimit = 60_000;
const requestLimit = 120_000;
const closeLimit = 5_000;

/** Starts Django once. Throws what stands in its way: no Python, no Django, broken settings. */
export async function openSession(
  application: Application,
  database: string,
  options: { log: Log; secrets: Iterable<string>; signal: AbortSignal },
): Promise<Session> {
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  const ready = Promise.withResolvers<unknown>();
  const lost = new AbortController();
  let reported: DeployError | undefined;
  let next = 1;

  const helper = startHelper(
    application,
    { mode: 'session', manage: application.manage, database },
    {
      ...options,
      onMessage: (message) => {
        if (message['event'] === 'ready') ready.resolve(undefined);
        else if (message['event'] === 'failed') reported = reportedError(message['error'], options.secrets);
        else if (message['event'] === 'lock_lost') {
          reported = new DeployError(
            'lock_lost',
            `The migration lock was lost: ${String(message['message'])}.`,
            {
              remedy: 'Connect to PostgreSQL directly, not through a pooler in transaction mode.',
            },
          );
        } else {
          const id = Number(message['id']);
          const request = waiting.get(id);
          waiting.delete(id);
          if ('error' in message) request?.reject(reportedError(message['error'], options.secrets));
          else request?.resolve(message['result']);
        }
      },
    },
  );
  void helper.ended.then(() => {
    const error = reported ?? helper.unexpectedEnd('it was being asked');
    ready.reject(error);
    for (const request of waiting.values()) request.reject(error);
    waiting.clear();
    lost.abort(error);
  });

  /** Waits for an answer; a helper that does not give it in time, or is not wanted any more, is ended. */
  async function answer(promise: Promise<unknown>, doing: string, limit: number, signal: AbortSignal) {
    const stop = Promise.withResolvers<never>();
    const onAbort = () => stop.reject(cancelled(doing));
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort);
    const timer = setTimeout(
      () =>
        stop.reject(
          new DeployError('timeout', `No answer from Django in ${limit / 1_000} s while ${doing}.`),
        ),
      limit,
    );
    try {
      return await Promise.race([promise, stop.promise]);
    } catch (thrown) {
      promise.catch(() => {}); // it will be told that the helper has ended
      if (
        thrown instanceof DeployError &&
        (thrown.reasonCode === 'timeout' || thrown.reasonCode === 'cancelled')
      ) {
        helper.kill('SIGKILL');
      }
      throw thrown;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    }
  }

  await answer(ready.promise, 'Django was starting', startLimit, options.signal);
  return {
    lost: lost.signal,
    request: async (message, signal, limit = requestLimit) => {
      if (lost.signal.aborted) throw lost.signal.reason;
      const request = Promise.withResolvers<unknown>();
      const id = next++;
      waiting.set(id, request);
      helper.send({ ...message, id });
      return await answer(request.promise, `asking for ${String(message['command'])}`, limit, signal);
    },
    close: async () => {
      helper.hangUp();
      const killer = setTimeout(() => helper.kill('SIGKILL'), closeLimit);
      await helper.ended;
      clearTimeout(killer);
    },
  };
}
