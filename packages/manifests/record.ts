import { describeRun, readDocument, type RunIdentity, type StateStore } from '@deploy-actions/release-engine';

/** What the last run that applied manifests set out to do, and how far it came. */
export interface ApplyRecord {
  run: RunIdentity;
  /** `applying` of a run that is over: it was ended before it could say more. */
  phase: 'applying' | 'applied' | 'failed';
  startedAt: string;
  endedAt: string | null;
  /** `change Deployment web in shop` */
  planned: string[];
  /** Of a run that was ended it is not known; the objects themselves say it. */
  written: string[] | null;
  reason: string | null;
}

const key = 'manifests';
const schema = 1;

/** Null before the first run. */
export async function readRecord(store: StateStore): Promise<ApplyRecord | null> {
  const { value } = await readDocument(store, key, schema);
  // Only this module writes the key.
  return value === null ? null : (value['record'] as ApplyRecord);
}

/** Under the lease, so that nobody else writes it. */
export async function writeRecord(store: StateStore, record: ApplyRecord): Promise<void> {
  const { version } = await store.read(key);
  await store.write(key, { schema, record }, version);
}

/** Of a run that was ended in the middle; undefined when the last one came to an end. */
export function describeUnfinished(record: ApplyRecord | null): string | undefined {
  if (record?.phase !== 'applying') return undefined;
  return `${describeRun(record.run)} began at ${record.startedAt} to write ${record.planned.length} objects and did not come to an end; what is missing of them is planned again.`;
}
