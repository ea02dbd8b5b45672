import { DeployError, type Log, messageOf, type ReasonCode, sleep } from '@deploy-actions/core';

/** Milliseconds between one attempt and the next: about 8 s in all. */
export const defaultPauses: readonly number[] = [250, 500, 1_000, 2_000, 4_000];

/** What does not get better by itself. */
const lasting: readonly ReasonCode[] = [
  'cancelled',
  'invalid_config',
  'invalid_input',
  'lock_lost',
  'state_conflict',
  'state_corrupt',
  'state_too_new',
  'unsupported',
];

/**
 * Reads again, a few times and at growing distances, when reading fails: one failed look at a platform or router must
 * not end a release. Throws the last error, or `cancelled` when the signal aborts in between.
 */
export async function readPatiently<T>(
  read: () => Promise<T>,
  options: { what: string; log: Log; signal: AbortSignal; pauses?: readonly number[] | undefined },
): Promise<T> {
  const { what, log, signal, pauses = defaultPauses } = options;
  for (const pause of pauses) {
    try {
      return await read();
    } catch (thrown) {
      if (thrown instanceof DeployError && lasting.includes(thrown.reasonCode)) throw thrown;
      log.warning(`Trying again to read ${what}: ${messageOf(thrown)}`);
      await sleep(pause, signal, `reading ${what}`);
    }
  }
  return read();
}
