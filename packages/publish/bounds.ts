import { DeployError, type Log, messageOf } from '@deploy-actions/core';
import type { GitHub } from '@deploy-actions/github';

/* How long a run waits for GitHub to take its reports. While the work of an action goes on it waits for none of them. */

/** Milliseconds without an answer after which a run that has nothing else to do stops asking, for good. */
const silence = 4_000;

/** Milliseconds that it waits for one report while GitHub does answer. */
const together = 30_000;

/** Milliseconds that a cancelled run waits, and when it has to be gone: the runner gives 7.5 s. */
const afterCancel = { each: 2_000, all: 6_500 };

export interface Bounds {
  /** For the client of the reports: not the run's own, so that a cancelled run can report that it was. */
  signal: AbortSignal;
  /** The client, listened to. */
  watch(github: GitHub): GitHub;
  /** Hears why a call is tried again. */
  trouble(why: string): void;
  /**
   * Waits for reports within the bounds. When GitHub stays silent they and all later ones are given up with one
   * warning. `work` must not throw, and ends soon after `signal` aborts.
   */
  settle<T>(what: string, work: Promise<T>): Promise<T>;
}

export function createBounds(run: AbortSignal, log: Log): Bounds {
  const now = () => performance.now();
  const controller = new AbortController();
  let cancelledAt = run.aborted ? now() : undefined;
  run.addEventListener('abort', () => (cancelledAt = now()), { once: true });
  /** When the oldest call began that was not answered yet. */
  let silentSince: number | undefined;
  let trouble = '';

  async function heard<T>(call: Promise<T>): Promise<T> {
    silentSince ??= now();
    try {
      const answer = await call;
      silentSince = undefined;
      return answer;
    } catch (thrown) {
      const code = thrown instanceof DeployError ? thrown.reasonCode : undefined;
      if (code === 'unreachable') trouble = messageOf(thrown);
      // A refusal is an answer.
      else if (code !== 'cancelled') silentSince = undefined;
      throw thrown;
    }
  }

  /** Milliseconds that are left for something that is waited for since `began`. */
  function remaining(began: number): number {
    const ends = [began + together];
    if (silentSince !== undefined) ends.push(Math.max(silentSince, began) + silence);
    if (cancelledAt !== undefined) {
      ends.push(Math.max(cancelledAt, began) + afterCancel.each, cancelledAt + afterCancel.all);
    }
    return Math.min(...ends) - now();
  }

  return {
    signal: controller.signal,
    watch: (github) => ({
      ...github,
      call: (route, parameters, options) => heard(github.call(route, parameters, options)),
      graphql: (document, variables, options) => heard(github.graphql(document, variables, options)),
    }),
    trouble(why) {
      trouble = why;
    },
    async settle(what, work) {
      let done = false;
      const ended = work.finally(() => (done = true));
      if (controller.signal.aborted) {
        log.warning(
          `${what}: not written to GitHub, which did not answer before. This does not change the result.`,
        );
        return ended;
      }
      const began = now();
      while (!done) {
        const left = remaining(began);
        if (left <= 0) {
          const why = trouble === '' ? '' : ` (${trouble})`;
          log.warning(
            `${what}: GitHub was not done with it after ${Math.round((now() - began) / 100) / 10} s${why}. This does not change the result.`,
          );
          controller.abort();
          break;
        }
        const { promise: later, resolve } = Promise.withResolvers<void>();
        const timer = setTimeout(resolve, Math.min(left, 250));
        await Promise.race([ended, later]);
        clearTimeout(timer);
      }
      return ended;
    },
  };
}
