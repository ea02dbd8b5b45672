import { DeployError, isRecord } from '@deploy-actions/core';
import { describeRun, type RunIdentity, type StateStore } from '@deploy-actions/release-engine';

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
  const { value } = await store.read(key);
  if (value === null) return null;
  if (!isRecord(value) || !Number.isSafeInteger(value['schema'])) {
    throw new DeployError('state_corrupt', `The document ${key} in ${store.location} has no schema number.`, {
      remedy: 'Look at it: it is not one of this suite. Delete it to begin anew.',
    });
  }
  if (Number(value['schema']) > schema) {
    throw new DeployError(
      'state_too_new',
      `The document ${key} in ${store.location} has schema ${String(value['schema'])}; this version of the suite reads up to ${schema}.`,
      { remedy: 'Use the version of the suite that wrote it, or a newer one.' },
    );
  }
  return value['record'] as ApplyRecord;
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
