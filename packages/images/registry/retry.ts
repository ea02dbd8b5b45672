/** How long and how often one exchange with a registry is tried. */
export interface RegistryPatience {
  /** Exchanges at most, the first one included. */
  attempts: number;
  /** Milliseconds that waits may take together. */
  total: number;
  /** Milliseconds before the second attempt; doubled each time. */
  pause: number;
}

export const registryPatience: RegistryPatience = { attempts: 6, total: 180_000, pause: 1_000 };

/** Milliseconds of a Retry-After header, which is seconds or a date; undefined where it is neither. */
export function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header.trim())) return Number(header) * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}

interface Attempt {
  /** From 1. */
  number: number;
  /** Milliseconds waited before it. */
  waited: number;
  /** What Retry-After said. */
  asked: number | undefined;
}

/**
 * Milliseconds until the next attempt, or why there is none. What the registry asks for is waited for, never less; a quarter of chance
 * on top, so that jobs which failed together come back apart. `random` is in [0, 1).
 */
export function nextAttempt(
  { number, waited, asked }: Attempt,
  patience: RegistryPatience,
  random: number,
): { wait: number } | { why: string } {
  if (number >= patience.attempts) return { why: `tried ${number} times` };
  const pause = Math.max(asked ?? 0, patience.pause * 2 ** (number - 1));
  const wait = Math.round(pause * (1 + random / 4));
  if (waited + pause > patience.total) {
    return {
      why:
        asked === undefined
          ? `tried for ${Math.round(waited / 1_000)} s`
          : `it asks to wait ${Math.ceil(asked / 1_000)} s, which is more than this may take`,
    };
  }
  return { wait };
}
