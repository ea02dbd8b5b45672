import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeployError } from '@deploy-actions/core';
import { createFileStore, type StateStore } from '@deploy-actions/release-engine';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readAudit } from './audit.ts';
import {
  breakFreeze,
  freezeEnvironment,
  readFreeze,
  requireNotFrozen,
  unfreezeEnvironment,
} from './freeze.ts';

let directory: string;
let store: StateStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'freeze-'));
  store = createFileStore(directory);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const run = { id: '7.1', url: 'https://example.com/runs/7', actor: 'ada' };
const other = { id: '8.1', url: 'https://example.com/runs/8', actor: 'bob' };
const freeze = (until: Date | null = null) =>
  freezeEnvironment(store, { reason: 'Black Friday', run, until });

describe('a freeze', () => {
  it('is in force until it is lifted, and both are in the audit', async () => {
    await expect(requireNotFrozen(store, 'helpdesk in production')).resolves.toBeUndefined();
    await freeze();
    expect(await readFreeze(store)).toMatchObject({ reason: 'Black Friday', run, until: null });
    expect(await unfreezeEnvironment(store, { reason: 'over', run: other })).toMatchObject({ run });
    expect(await readFreeze(store)).toBeNull();
    await expect(requireNotFrozen(store, 'helpdesk in production')).resolves.toBeUndefined();
    expect(await readAudit(store)).toMatchObject([
      { what: 'freeze', reason: 'Black Friday', run, detail: 'until it is unfrozen' },
      { what: 'unfreeze', reason: 'over', run: other, detail: expect.stringContaining('Black Friday') },
    ]);
  });

  it('says who froze what, when, why and until when, and how to go on', async () => {
    const until = new Date(Date.now() + 3_600_000);
    const { at } = await freeze(until);
    await expect(requireNotFrozen(store, 'helpdesk in production')).rejects.toMatchObject({
      reasonCode: 'environment_frozen',
      message: `helpdesk in production is frozen by run 7.1 of ada (https://example.com/runs/7) at ${at}, until ${until.toISOString()}: Black Friday. Nothing was written.`,
      remedy: expect.stringMatching(/`command: unfreeze`.*`break-freeze: <your reason>`/),
    });
  });

  it('ends by itself, by the clock of the store', async () => {
    let age = 0;
    const aged: StateStore = { ...store, age: () => Promise.resolve(age) };
    await freezeEnvironment(aged, { reason: 'night', run, until: new Date(Date.now() + 60_000) });
    expect(await readFreeze(aged)).not.toBeNull();
    age = 60_001;
    expect(await readFreeze(aged)).toBeNull();
    expect(await unfreezeEnvironment(aged, { reason: 'x', run })).toBeNull();
  });

  it('cannot end before it begins', async () => {
    await expect(freeze(new Date(Date.now() - 1))).rejects.toMatchObject({ reasonCode: 'invalid_input' });
    expect(await readFreeze(store)).toBeNull();
    expect(await readAudit(store)).toEqual([]);
  });

  it('replaces the one before', async () => {
    await freeze(new Date(Date.now() + 60_000));
    await freezeEnvironment(store, { reason: 'longer', run: other, until: null });
    expect(await readFreeze(store)).toMatchObject({ reason: 'longer', run: other, until: null });
  });

  it('that was replaced meanwhile is not lifted with the one that was seen', async () => {
    await freeze();
    let written = 0;
    const slow: StateStore = {
      ...store,
      async write(key, value, expected) {
        // The audit changes meanwhile, too: the entry is added to what is there then.
        if (key === 'audit' && (written += 1) === 1) {
          await freezeEnvironment(store, { reason: 'again', run: other, until: null });
        }
        return store.write(key, value, expected);
      },
    };
    await unfreezeEnvironment(slow, { reason: 'over', run });
    expect(await readFreeze(store)).toMatchObject({ reason: 'again' });
    expect((await readAudit(store)).map(({ what }) => what)).toEqual(['freeze', 'freeze', 'unfreeze']);
  });

  it('is lifted by nobody who lifts what is not there', async () => {
    expect(await unfreezeEnvironment(store, { reason: 'x', run })).toBeNull();
    expect(await readAudit(store)).toEqual([]);
  });

  it('is broken with a reason that is recorded; without one there is nothing to break', async () => {
    expect(await breakFreeze(store, { reason: 'outage', run: other })).toBe(false);
    expect(await readAudit(store)).toEqual([]);
    await freeze();
    expect(await breakFreeze(store, { reason: 'outage', run: other })).toBe(true);
    expect((await readAudit(store)).at(-1)).toMatchObject({
      what: 'break-freeze',
      reason: 'outage',
      run: other,
      detail: expect.stringContaining('Black Friday'),
    });
    expect(await readFreeze(store)).not.toBeNull();
  });

  it('stands when nobody can tell whether it is there', async () => {
    const failing: StateStore = {
      ...store,
      read: () => Promise.reject(new DeployError('unreachable', 'no answer')),
    };
    await expect(requireNotFrozen(failing, 'x')).rejects.toMatchObject({ reasonCode: 'unreachable' });
  });
});

describe('documents', () => {
  it('of a newer suite, and of none, are refused', async () => {
    await store.write('freeze', { schema: 2, freeze: null }, 0);
    await expect(readFreeze(store)).rejects.toMatchObject({ reasonCode: 'state_too_new' });
    await store.write('audit', ['x'], 0);
    await expect(readAudit(store)).rejects.toMatchObject({ reasonCode: 'state_corrupt' });
  });

  it('of the audit keep every entry of 20 writers at once', async () => {
    await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        freezeEnvironment(createFileStore(directory), { reason: `reason ${at}`, run, until: null }),
      ),
    );
    const reasons = (await readAudit(store)).map(({ reason }) => reason);
    expect(reasons.toSorted()).toEqual(Array.from({ length: 20 }, (_, at) => `reason ${at}`).toSorted());
  });
});
