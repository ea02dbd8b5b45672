import { setTimeout as delay } from 'node:timers/promises';
import { cancelled } from './errors.ts';

const unitMilliseconds = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const durationPattern =
  /^(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?$/;

/**
 * Milliseconds of a duration such as `90s`, `10m`, `1h30m`, `1500ms`; `0` needs no unit. Undefined when it is
 * not one.
 */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  const match = durationPattern.exec(trimmed);
  if (match === null || trimmed === '') return undefined;
  const [, days = '0', hours = '0', minutes = '0', seconds = '0', milliseconds = '0'] = match;
  const total =
    Number(days) * unitMilliseconds.d +
    Number(hours) * unitMilliseconds.h +
    Number(minutes) * unitMilliseconds.m +
    Number(seconds) * unitMilliseconds.s +
    Number(milliseconds);
  return Number.isSafeInteger(Math.round(total)) ? Math.round(total) : undefined;
}

/** A duration for people: `1h30m`, `1m30s`, `2.5s`, `340ms`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.round(milliseconds)}ms`;
  if (milliseconds < 60_000) return `${Number((milliseconds / 1_000).toFixed(1))}s`;
  const seconds = Math.round(milliseconds / 1_000);
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor((seconds % 86_400) / 3_600), 'h'],
    [Math.floor((seconds % 3_600) / 60), 'm'],
    [seconds % 60, 's'],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count}${unit}`)
    .join('');
}

/** A point on the monotonic clock after which a wait is over. */
export interface Deadline {
  /** Milliseconds it was made with. */
  readonly total: number;
  remaining(): number;
  elapsed(): number;
  passed(): boolean;
}

export function deadlineIn(milliseconds: number): Deadline {
  const start = performance.now();
  const elapsed = () => performance.now() - start;
  return {
    total: milliseconds,
    elapsed,
    remaining: () => Math.max(0, milliseconds - elapsed()),
    passed: () => elapsed() >= milliseconds,
  };
}

/** Timers count in 32 bits; a longer one would end at once. About 24 days. */
export const longestTimer = 2 ** 31 - 1;

/** Waits, or throws a `cancelled` error as soon as the signal aborts. */
export async function sleep(milliseconds: number, signal: AbortSignal, what = 'waiting'): Promise<void> {
  if (signal.aborted) throw cancelled(what);
  try {
    await delay(Math.min(milliseconds, longestTimer), undefined, { signal });
  } catch {
    throw cancelled(what);
  }
}

/** A signal that aborts this long after another. `clear` when it is not needed any more: its timer keeps a process alive. */
export function delayedSignal(
  signal: AbortSignal,
  milliseconds: number,
): { signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = () => {
    timer = setTimeout(() => controller.abort(), milliseconds);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return {
    signal: controller.signal,
    clear() {
      signal.removeEventListener('abort', onAbort);
      clearTimeout(timer);
    },
  };
}
