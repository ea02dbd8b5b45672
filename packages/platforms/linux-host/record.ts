import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DeployError, isRecord, orUndefinedIfMissing, replaceFile, syncFolder } from '@deploy-actions/core';
import type { ProcessId } from './processes.ts';
import type { LinuxHostRelease } from './release.ts';

const schema = 1;

/** What should run in a slot. It is an intent: whether it does is asked of the system. */
export interface SlotRecord {
  release: LinuxHostRelease;
  /** Digest of the release. */
  revision: string;
  supervisor: 'process' | 'systemd';
  instances: InstanceRecord[];
}

export interface InstanceRecord {
  /** 1, 2, 3, … within the slot; names its log. */
  id: number;
  port: number;
  /** Value of DEPLOY_ACTIONS_INSTANCE by which its processes are found; new with every start. */
  marker: string;
  /** Null from before it is started until the start is recorded. */
  main: ProcessId | null;
}

/** Undefined when nothing is deployed to the slot. */
export async function readRecord(folder: string, slot: string): Promise<SlotRecord | undefined> {
  const file = fileOf(folder, slot);
  const text = await orUndefinedIfMissing(readFile(file, 'utf8'));
  if (text === undefined) return undefined;
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw corrupt(file, cause);
  }
  if (!isRecord(document)) throw corrupt(file);
  const { schema: found, record } = document;
  if (typeof found === 'number' && found > schema) {
    throw new DeployError(
      'state_too_new',
      `${file} has schema ${found}; this version reads up to ${schema}.`,
      {
        remedy: 'Use the version of the suite that wrote it, or a newer one.',
      },
    );
  }
  if (found !== schema || !isSlotRecord(record)) throw corrupt(file);
  return record;
}

/** Atomic and durable, readable by its owner alone: the release's environment may hold secrets. */
export async function writeRecord(folder: string, slot: string, record: SlotRecord): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of await readdir(folder)) {
    if (name.startsWith(`${slot}.json.`)) await rm(join(folder, name), { force: true });
  }
  await replaceFile(fileOf(folder, slot), `${JSON.stringify({ schema, record }, null, 2)}\n`);
}

export async function removeRecord(folder: string, slot: string): Promise<void> {
  await rm(fileOf(folder, slot), { force: true });
  await syncFolder(folder);
}

function fileOf(folder: string, slot: string): string {
  return join(folder, `${slot}.json`);
}

function isSlotRecord(value: unknown): value is SlotRecord {
  return (
    isRecord(value) &&
    isRecord(value['release']) &&
    typeof value['revision'] === 'string' &&
    (value['supervisor'] === 'process' || value['supervisor'] === 'systemd') &&
    Array.isArray(value['instances']) &&
    value['instances'].every(
      (instance: unknown) =>
        isRecord(instance) &&
        Number.isInteger(instance['id']) &&
        Number.isInteger(instance['port']) &&
        typeof instance['marker'] === 'string' &&
        (instance['main'] === null ||
          (isRecord(instance['main']) && Number.isInteger(instance['main']['pid']))),
    )
  );
}

function corrupt(file: string, cause?: unknown): DeployError {
  return new DeployError('state_corrupt', `${file} is not the record of a slot.`, {
    remedy: 'Move the file away. The next deploy to the slot stops what runs in it and starts afresh.',
    cause,
  });
}
