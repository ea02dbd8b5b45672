import { DeployError, formatDuration } from '@deploy-actions/core';
import {
  describeRun,
  readDocument,
  type RunIdentity,
  type StateStore,
  type StoredDocument,
  updateDocument,
} from '@deploy-actions/release-engine';
import { recordInAudit } from './audit.ts';

/** An environment that nothing is released to, and why. */
export interface Freeze {
  reason: string;
  /** Whose actor froze it. */
  run: RunIdentity;
  at: string;
  /** When it ends by itself; null when it does not. */
  until: string | null;
  /** Milliseconds from `at` to `until`: they pass by the store's clock, whatever that of a runner says. */
  lasts: number | null;
}

const freezeKey = 'freeze';
const schema = 1;

function freezeOf({ value }: StoredDocument): Freeze | null {
  // Only this module writes the key.
  return (value?.['freeze'] ?? null) as Freeze | null;
}

/** The freeze that is in force; null when there is none, or it is over. */
export async function readFreeze(store: StateStore): Promise<Freeze | null> {
  for (let number = 1; ; number += 1) {
    const document = await readDocument(store, freezeKey, schema);
    const freeze = freezeOf(document);
    if (freeze === null || freeze.lasts === null) return freeze;
    try {
      return (await store.age(freezeKey, document.version)) < freeze.lasts ? freeze : null;
    } catch (thrown) {
      // It was written anew since it was read.
      const isConflict = thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
      if (!isConflict || number >= 5) throw thrown;
    }
  }
}

export function describeFreeze({ reason, run, at, until }: Freeze): string {
  const end = until === null ? '' : `, until ${until}`;
  return `frozen by ${describeRun(run)} at ${at}${end}: ${reason}`;
}

/**
 * Freezes an environment, at once, whoever holds its lease: what begins to be released from then on is refused, what was
 * under way goes on. A freeze that is in force is replaced. `until` lies in the future.
 */
export async function freezeEnvironment(
  store: StateStore,
  given: { reason: string; run: RunIdentity; until: Date | null },
): Promise<Freeze> {
  const { reason, run, until } = given;
  const lasts = until === null ? null : until.getTime() - Date.now();
  if (lasts !== null && !(lasts > 0)) {
    throw new DeployError('invalid_input', `until: ${until?.toISOString()} is over.`, {
      remedy: 'Give a time in the future, or none for a freeze that ends with `unfreeze`.',
    });
  }
  const freeze: Freeze = {
    reason,
    run,
    at: new Date().toISOString(),
    until: until?.toISOString() ?? null,
    lasts,
  };
  const detail = lasts === null ? 'until it is unfrozen' : `for ${formatDuration(lasts)}`;
  await recordInAudit(store, { what: 'freeze', reason, run, detail });
  await updateDocument(store, freezeKey, schema, () => ({ freeze }));
  return freeze;
}

/** The freeze that was lifted; null when there was none in force, and nothing was written. */
export async function unfreezeEnvironment(
  store: StateStore,
  given: { reason: string; run: RunIdentity },
): Promise<Freeze | null> {
  const found = await readFreeze(store);
  if (found === null) return null;
  await recordInAudit(store, { what: 'unfreeze', ...given, detail: describeFreeze(found) });
  // Another freeze than the one that was seen stays.
  await updateDocument(store, freezeKey, schema, (document) => {
    const now = freezeOf(document);
    return now !== null && now.at === found.at && now.run.id === found.run.id ? { freeze: null } : null;
  });
  return found;
}

/** Throws `environment_frozen` while it is. `label` names the environment in the message. */
export async function requireNotFrozen(store: StateStore, label: string): Promise<void> {
  const freeze = await readFreeze(store);
  if (freeze === null) return;
  const end =
    freeze.until === null
      ? 'Lift it with the action `releases`'
      : `Wait until ${freeze.until}, lift it with the action \`releases\``;
  throw new DeployError('environment_frozen', `${label} is ${describeFreeze(freeze)}. Nothing was written.`, {
    remedy: `${end} (\`command: unfreeze\`), or release all the same with \`break-freeze: <your reason>\`, which is recorded.`,
  });
}

/**
 * Goes on although the environment is frozen, and puts that into the audit. False when it is not, and nothing was
 * written.
 */
export async function breakFreeze(
  store: StateStore,
  given: { reason: string; run: RunIdentity },
): Promise<boolean> {
  const freeze = await readFreeze(store);
  if (freeze === null) return false;
  await recordInAudit(store, { what: 'break-freeze', ...given, detail: describeFreeze(freeze) });
  return true;
}
