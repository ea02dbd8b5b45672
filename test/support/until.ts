import { setTimeout as delay } from 'node:timers/promises';

/** Waits until something is so; throws what is awaited when it is not so in time. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  milliseconds = 10_000,
): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`${what}: not within ${milliseconds} ms`);
    await delay(10);
  }
}
