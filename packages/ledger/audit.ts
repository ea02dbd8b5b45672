import { randomUUID } from 'node:crypto';
import {
  readDocument,
  type RunIdentity,
  type StateStore,
  updateDocument,
} from '@deploy-actions/release-engine';

/** Something that was done by hand, past the rules that hold otherwise. */
export interface AuditEntry {
  id: string;
  what: 'freeze' | 'unfreeze' | 'break-freeze' | 'unlock' | 'restart';
  /** Why, in the words of whoever did it. */
  reason: string;
  /** What it was done to: whose lease, which freeze. */
  detail: string;
  at: string;
  run: RunIdentity;
}

const auditKey = 'audit';
const schema = 1;
const kept = 200;

function entriesOf(value: Record<string, unknown> | null): AuditEntry[] {
  const entries = value?.['entries'];
  // Only this module writes the key.
  return Array.isArray(entries) ? (entries as AuditEntry[]) : [];
}

/** The last 200, oldest first. */
export async function readAudit(store: StateStore): Promise<AuditEntry[]> {
  return entriesOf((await readDocument(store, auditKey, schema)).value);
}

/** Written before what it tells of is done, so that nothing is done that is not in it. */
export async function recordInAudit(
  store: StateStore,
  entry: Pick<AuditEntry, 'what' | 'reason' | 'detail' | 'run'>,
): Promise<void> {
  const added: AuditEntry = { id: randomUUID(), at: new Date().toISOString(), ...entry };
  await updateDocument(store, auditKey, schema, ({ value }) => {
    const entries = entriesOf(value);
    // A write that was answered with an error may have been done all the same.
    if (entries.some(({ id }) => id === added.id)) return null;
    return { entries: [...entries, added].slice(-kept) };
  });
}
