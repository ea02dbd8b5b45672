import { deadlineIn, type Log, sleep } from '@deploy-actions/core';
import type { CommitCheck } from '@deploy-actions/github';

/** One of the checks that are required, as it stands. */
export interface RequiredCheck {
  name: string;
  /** `missing`: the commit has none of this name (yet). */
  state: CommitCheck['state'] | 'missing';
  /** In words. */
  said: string;
}

export function standOf(required: readonly string[], found: readonly CommitCheck[]): RequiredCheck[] {
  return [...new Set(required)].map(
    (name) =>
      found.find((check) => check.name === name) ?? { name, state: 'missing', said: 'not on the commit' },
  );
}

export function isGreen(checks: readonly RequiredCheck[]): boolean {
  return checks.every(({ state }) => state === 'success');
}

/** Milliseconds between two looks: each costs two calls of the thousand that a repository has in an hour. */
const betweenLooks = 15_000;

/**
 * Looks at the required checks until all are green, one has failed, or the time is over. What is pending or missing may
 * come; what has failed does not get better by itself. Throws what `look` throws, and `cancelled`.
 */
export async function awaitChecks(
  look: () => Promise<RequiredCheck[]>,
  timeout: number,
  { signal, log, wait = sleep }: { signal: AbortSignal; log: Log; wait?: typeof sleep },
): Promise<RequiredCheck[]> {
  const deadline = deadlineIn(timeout);
  for (;;) {
    const isLast = deadline.passed();
    const checks = await look();
    const open = checks.filter(({ state }) => state === 'pending' || state === 'missing');
    if (isLast || open.length === 0 || checks.some(({ state }) => state === 'failed')) return checks;
    log.progress({
      what: 'waiting for the checks of the commit',
      elapsed: deadline.elapsed(),
      remaining: deadline.remaining(),
      detail: describeChecks(open),
    });
    await wait(Math.min(betweenLooks, Math.max(1, deadline.remaining())), signal, 'waiting for the checks');
  }
}

export function describeChecks(checks: readonly RequiredCheck[]): string {
  return checks.map(({ name, said }) => `«${name}» is ${said}`).join(', ');
}
