import { DeployError, isRecord } from '@deploy-actions/core';
import type { StateStore } from './ports.ts';

/** How often a document is read anew because another run wrote it in between. */
const attempts = 20;

/** A document that says its own schema, in a field `schema`, beside what is in it. */
export interface StoredDocument {
  /** Null when there is none. */
  value: Record<string, unknown> | null;
  version: number;
}

/** Reads a document of a schema up to this one. Throws `state_corrupt` for what is none, `state_too_new`, and those of the store. */
export async function readDocument(store: StateStore, key: string, schema: number): Promise<StoredDocument> {
  const { value, version } = await store.read(key);
  if (value === null) return { value, version };
  if (!isRecord(value) || !Number.isSafeInteger(value['schema'])) {
    throw new DeployError('state_corrupt', `The document ${key} in ${store.location} has no schema number.`, {
      remedy: 'Look at it: it is not one of this suite. Move it away to begin anew.',
    });
  }
  if (Number(value['schema']) > schema) {
    throw new DeployError(
      'state_too_new',
      `The document ${key} in ${store.location} has schema ${String(value['schema'])}; this version of the suite reads up to ${schema}.`,
      { remedy: 'Use the version of the suite that wrote it, or a newer one.' },
    );
  }
  return { value, version };
}

/**
 * Replaces a document by what `next` makes of it, as often as somebody else was faster. Null from `next`: it is as it
 * should be, and nothing is written.
 */
export async function updateDocument(
  store: StateStore,
  key: string,
  schema: number,
  next: (document: StoredDocument) => Record<string, unknown> | null,
): Promise<void> {
  for (let number = 1; ; number += 1) {
    const document = await readDocument(store, key, schema);
    const value = next(document);
    if (value === null) return;
    try {
      await store.write(key, { schema, ...value }, document.version);
      return;
    } catch (thrown) {
      const isConflict = thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
      if (!isConflict || number >= attempts) throw thrown;
    }
  }
}
