import { digestOf } from '@deploy-actions/core';
import type { HistoryEntry, StateStore } from '@deploy-actions/release-engine';
import { describe, expect, it } from 'vitest';
import { diffReleases } from './diff.ts';
import { asFacts, type ReleaseFacts } from './facts.ts';
import { currentOf, findRelease, type LedgerEntry, ledgerEntryOf, readLedger } from './ledger.ts';

const facts: ReleaseFacts = {
  app: 'helpdesk',
  environment: 'production',
  platform: 'linux-host',
  router: 'nginx',
  sha: '0123456789abcdef0123456789abcdef01234567',
  images: { backend: 'ghcr.io/acme/backend@sha256:1' },
  notes: { migration: 'tickets.0042', ticket: 'HD-7' },
  brokeFreeze: null,
};

function entry(version: string, changes: Partial<HistoryEntry> = {}, own: Partial<ReleaseFacts> = {}) {
  const release = { version };
  return {
    id: `id-${version}`,
    release,
    revision: digestOf(release),
    slot: 'blue',
    strategy: 'canary',
    result: 'serving',
    reason: null,
    reasonCode: null,
    fled: null,
    previous: '0',
    startedAt: '2030-01-01T00:00:00Z',
    at: '2030-01-01T00:10:00Z',
    run: { id: '7.1', url: 'https://example.com/runs/7', actor: 'ada' },
    facts: asFacts({ ...facts, ...own }),
    verdicts: [{ weight: 20, decision: 'pass', words: ['well'], elapsed: 600_000 }],
    probe: null,
    ...changes,
  } satisfies HistoryEntry;
}

const storeOf = (value: unknown): StateStore => ({
  location: 'memory',
  read: () => Promise.resolve({ value, version: 1 }),
  write: () => Promise.reject(new Error('not used')),
  touch: () => Promise.resolve(),
  age: () => Promise.resolve(0),
});

describe('the ledger', () => {
  it('says of each release what was deployed where, by whom, and what became of it; newest first', async () => {
    const ledger = await readLedger(storeOf({ schema: 2, entries: [entry('1'), entry('2')] }));
    expect(ledger.map(({ version }) => version)).toEqual(['2', '1']);
    expect(ledger[0]).toEqual({
      id: 'id-2',
      app: 'helpdesk',
      environment: 'production',
      version: '2',
      revision: digestOf({ version: '2' }),
      sha: facts.sha,
      images: facts.images,
      platform: 'linux-host',
      router: 'nginx',
      strategy: 'canary',
      slot: 'blue',
      migration: 'tickets.0042',
      notes: { ticket: 'HD-7' },
      verdicts: [{ weight: 20, decision: 'pass', words: ['well'], elapsed: 600_000 }],
      probe: null,
      previous: '0',
      runId: '7.1',
      runUrl: 'https://example.com/runs/7',
      actor: 'ada',
      startedAt: '2030-01-01T00:00:00Z',
      endedAt: '2030-01-01T00:10:00Z',
      result: 'serving',
      reason: null,
      reasonCode: null,
      brokeFreeze: null,
    } satisfies LedgerEntry);
  });

  it('reads what an older suite wrote', async () => {
    const { previous, startedAt, facts: _, verdicts, probe, ...old } = entry('1');
    expect([previous, startedAt, verdicts.length, probe]).toEqual(['0', '2030-01-01T00:00:00Z', 1, null]);
    const [read] = await readLedger(storeOf({ entries: [old] }));
    expect(read).toMatchObject({
      ...{ version: '1', result: 'serving', actor: 'ada', sha: '', images: {}, migration: '', notes: {} },
      ...{ verdicts: [], probe: null, startedAt: null, previous: null, brokeFreeze: null },
    });
  });

  it('refuses what a newer suite wrote', async () => {
    await expect(readLedger(storeOf({ schema: 3, entries: [] }))).rejects.toMatchObject({
      reasonCode: 'state_too_new',
    });
  });

  it('is empty before the first release', async () => {
    expect(await readLedger(storeOf(null))).toEqual([]);
    expect(currentOf([])).toBeUndefined();
  });

  it('knows what serves: the newest that was not taken back', () => {
    const back = ledgerEntryOf(entry('3', { result: 'taken-back', reasonCode: 'limit_exceeded' }));
    expect(currentOf([back, ledgerEntryOf(entry('2')), ledgerEntryOf(entry('1'))])?.version).toBe('2');
    expect(currentOf([back])).toBeUndefined();
  });

  it('finds a version, or a commit, and else says which are known', () => {
    const entries = [
      entry('2', { id: 'again' }),
      entry('2'),
      entry('1', {}, { sha: 'fedcba9876543210' }),
    ].map(ledgerEntryOf);
    expect(findRelease(entries, '2').id).toBe('again');
    expect(findRelease(entries, 'fedcba9').version).toBe('1');
    expect(() => findRelease(entries, 'fedc')).toThrow('The ledger has no release of fedc.');
    expect(() => findRelease(entries, '9')).toThrow(
      expect.objectContaining({ reasonCode: 'version_not_found', remedy: 'Known are 2, 1.' }),
    );
    expect(() => findRelease([], '9')).toThrow(
      expect.objectContaining({ remedy: 'Nothing was released here yet.' }),
    );
  });
});

describe('the difference of two environments', () => {
  const left = ledgerEntryOf(entry('2', { slot: 'green' }));

  it('is nothing where the same is deployed, whenever and however that was done', () => {
    const right = ledgerEntryOf(
      entry('2', { id: 'x', strategy: 'blue-green', at: '2031-01-01T00:00:00Z' }, { environment: 'staging' }),
    );
    expect(diffReleases(left, right)).toEqual([]);
  });

  it('is each thing that one has otherwise, or alone', () => {
    const right = ledgerEntryOf(
      entry(
        '3',
        {},
        {
          sha: '',
          images: { backend: 'ghcr.io/acme/backend@sha256:2', worker: 'ghcr.io/acme/worker@sha256:1' },
          notes: { migration: 'tickets.0043' },
        },
      ),
    );
    expect(diffReleases(left, right)).toEqual([
      { what: 'version', left: '2', right: '3' },
      { what: 'commit', left: facts.sha, right: null },
      {
        what: 'image backend',
        left: 'ghcr.io/acme/backend@sha256:1',
        right: 'ghcr.io/acme/backend@sha256:2',
      },
      { what: 'migration', left: 'tickets.0042', right: 'tickets.0043' },
      { what: 'note ticket', left: 'HD-7', right: null },
      { what: 'image worker', left: null, right: 'ghcr.io/acme/worker@sha256:1' },
    ]);
  });

  it('is everything where one environment has nothing', () => {
    expect(diffReleases(left, undefined).map(({ right }) => right)).toEqual(Array(7).fill(null));
    expect(diffReleases(undefined, undefined)).toEqual([]);
  });
});
