import type { Log } from '@deploy-actions/core';

/** Says every second how long something has taken and how much time is left. */
export async function withProgress<T>(
  log: Log,
  what: string,
  timeout: number,
  work: () => Promise<T>,
): Promise<T> {
  const started = performance.now();
  const timer = setInterval(() => {
    const elapsed = performance.now() - started;
    log.progress({ what, elapsed, remaining: timeout - elapsed });
  }, 1_000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
  }
}
