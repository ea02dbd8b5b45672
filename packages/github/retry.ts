import { isRateLimit, type Failure } from './errors.ts';

/** How long and how often one call is tried. */
export interface Patience {
  /** Milliseconds that waits may take together. */
  total: number;
  /** Calls at most, the first one included. */
  attempts: number;
}

/** For calls that the deployment hangs on. */
export const patient: Patience = { total: 300_000, attempts: 8 };

/** For reports: a deployment does not wait long for them. */
export const brief: Patience = { total: 60_000, attempts: 4 };

export type Decision = { kind: 'wait'; milliseconds: number; why: string } | { kind: 'give-up'; why: string };

interface Attempt {
  /** From 1. */
  number: number;
  /** Milliseconds waited before it, for this call. */
  waited: number;
  /** Whether a call that may have taken effect may be sent again. */
  repeatable: boolean;
}

/**
 * Whether and when to try again, by GitHub's rules: `retry-after` is honoured; without calls left, wait until
 * `x-ratelimit-reset`; a secondary limit without a time means at least a minute. A limit is a refusal, so nothing took
 * effect. Other failures are tried again with doubled pauses, when the call is repeatable or nothing was sent.
 * `random` is in [0, 1); pauses get up to a quarter of it on top, so that runs that failed together come back apart.
 * https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately
 */
export function decide(
  failure: Failure,
  { number, waited, repeatable }: Attempt,
  patience: Patience,
  random: number,
): Decision {
  const limited = isRateLimit(failure);
  const passing = failure.status === undefined || failure.status >= 500;
  if (!limited && !passing) return { kind: 'give-up', why: '' };
  if (!limited && failure.unclear && !repeatable) return { kind: 'give-up', why: '' };
  if (number >= patience.attempts) return { kind: 'give-up', why: ` Tried ${number} times.` };

  const doubled = 1_000 * 2 ** (number - 1);
  const asked = limited ? limitWait(failure, number) : Number(failure.headers['retry-after'] ?? 0) * 1_000;
  const milliseconds = Math.round((asked > 0 ? asked : doubled) + (random * Math.max(asked, doubled)) / 4);
  const why = limited ? 'GitHub limits the rate of calls' : failure.said;
  if (waited + Math.max(asked, 0) > patience.total) {
    const seconds = Math.ceil(asked / 1_000);
    return {
      kind: 'give-up',
      why: limited ? ` It asks to wait ${seconds} s, which is more than this may take.` : '',
    };
  }
  return { kind: 'wait', milliseconds, why };
}

function limitWait({ headers }: Failure, number: number): number {
  const after = Number(headers['retry-after']);
  if (after > 0) return after * 1_000;
  if (headers['x-ratelimit-remaining'] === '0') {
    // By GitHub's clock on both sides; its reset is in seconds, so a second is added.
    const reset = Number(headers['x-ratelimit-reset']) * 1_000 + 1_000 - Date.parse(headers['date'] ?? '');
    if (reset > 0) return reset;
  }
  return 60_000 * 2 ** (number - 1);
}
