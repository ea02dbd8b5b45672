import type { Context } from '@deploy-actions/action-kit';
import { messageOf } from '@deploy-actions/core';

/** Does what must not change how an action ends, come what may. */
export async function harmless(
  { log, redact }: Pick<Context, 'log' | 'redact'>,
  what: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (thrown) {
    log.warning(
      redact(`${what} could not be published; this does not change the result. ${messageOf(thrown)}`),
    );
  }
}

/** A purpose as markers know it, out of names that may have several dashes in a row. */
export function purposeOf(text: string): string {
  return text.replace(/-{2,}/g, '-');
}
