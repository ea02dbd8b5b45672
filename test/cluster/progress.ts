import { type Say } from './cache.ts';

/** Says every 15 s how long the work takes and what it is at. Resolves with its seconds. */
export async function withProgress(
  say: Say,
  at: () => string,
  work: () => Promise<unknown>,
): Promise<number> {
  const began = performance.now();
  const seconds = (): number => Math.round((performance.now() - began) / 1000);
  const timer = setInterval(() => say(`  ${seconds()} s: ${at()}`), 15_000);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  return seconds();
}
