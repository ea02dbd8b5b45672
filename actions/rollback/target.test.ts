import { DeployError, digestOf } from '@deploy-actions/core';
import type { HistoryEntry, Journal, Release } from '@deploy-actions/release-engine';
import { describe, expect, it } from 'vitest';
import { cutOff, rollbackTarget, withOrigin } from './target.ts';

let count = 0;
function entry(version: string, changes: Partial<HistoryEntry> = {}): HistoryEntry {
  count += 1;
  const release: Release = { version };
  return {
    id: `release-${count}`,
    release,
    revision: digestOf(release),
    slot: 'blue',
    strategy: 'blue-green',
    result: 'serving',
    reason: null,
    reasonCode: null,
    fled: null,
    previous: null,
    startedAt: null,
    facts: {},
    verdicts: [],
    probe: null,
    at: '2000-01-01T00:00:00Z',
    run: { id: '1', url: '', actor: '' },
    ...changes,
  };
}

const takenBack = (version: string, reasonCode: HistoryEntry['reasonCode']) =>
  entry(version, { result: 'taken-back', reasonCode, reason: `because of ${reasonCode}` });
const fleeing = (from: string, to: string) =>
  entry(to, { strategy: 'rollback', fled: digestOf({ version: from }) });

function target(history: HistoryEntry[], serving: string | null, version = 'previous'): string {
  const revision = serving === null ? null : digestOf({ version: serving });
  return rollbackTarget(history, revision, version).release.version;
}

function refusal(history: HistoryEntry[], serving: string | null, version = 'previous'): DeployError {
  try {
    rollbackTarget(history, serving === null ? null : digestOf({ version: serving }), version);
  } catch (thrown) {
    if (thrown instanceof DeployError) return thrown;
  }
  throw new Error('not refused');
}

describe('the previous version', () => {
  it('is the last one that served, other than the one that serves', () => {
    expect(target([entry('1'), entry('2'), entry('3')], '3')).toBe('2');
    expect(target([entry('1'), entry('2')], '1')).toBe('2');
    expect(target([entry('1'), entry('2')], null)).toBe('2');
  });

  it('is never one that failed or was fled from', () => {
    for (const reasonCode of ['start_failed', 'not_ready', 'unhealthy', 'limit_exceeded'] as const) {
      expect(target([entry('1'), takenBack('2', reasonCode), entry('3')], '3')).toBe('1');
    }
    expect(target([entry('1'), entry('2'), entry('3'), fleeing('3', '2')], '2')).toBe('1');
  });

  it('may be one whose release or rollback was only interrupted', () => {
    for (const reasonCode of ['cancelled', 'unfinished_release', 'router_unverified'] as const) {
      expect(target([entry('1'), entry('2'), takenBack('1', reasonCode)], '2')).toBe('1');
    }
  });

  it('is not brought nearer by an attempt at it that was given up', () => {
    expect(target([entry('1'), entry('2'), takenBack('1', 'cancelled'), entry('3')], '3')).toBe('2');
  });

  it('is not one that never served, interrupted or not', () => {
    expect(target([entry('1'), takenBack('2', 'cancelled'), entry('3')], '3')).toBe('1');
  });

  it('may be one that was fled from and has served since', () => {
    const history = [entry('1'), entry('2'), fleeing('2', '1'), entry('2'), entry('3')];
    expect(target(history, '3')).toBe('2');
  });

  it('does not lead in circles', () => {
    // 3 → 2 → 1, and from there nowhere.
    const history = [entry('1'), entry('2'), entry('3'), fleeing('3', '2'), fleeing('2', '1')];
    expect(refusal(history, '1').reasonCode).toBe('version_not_found');
  });

  it('is refused, with what is known, where there is none', () => {
    for (const history of [[], [entry('1')], [entry('1'), takenBack('2', 'not_ready')]]) {
      expect(refusal(history, '1')).toMatchObject({ reasonCode: 'version_not_found' });
    }
    expect(refusal([entry('1')], '1').remedy).toContain('Versions that can be named: 1.');
    expect(refusal([], null).remedy).toContain('No version can be gone back to');
  });
});

describe('a named version', () => {
  it('is the newest release of that name', () => {
    const older = entry('1');
    const newer = { ...entry('1'), revision: 'sha256:other' };
    expect(rollbackTarget([older, newer, entry('2')], null, '1')).toBe(newer);
  });

  it('may be one that was fled from: whoever names it means it', () => {
    expect(target([entry('1'), entry('2'), fleeing('2', '1')], '1', '2')).toBe('2');
  });

  it('is refused when it failed, and says why', () => {
    const failure = refusal([entry('1'), takenBack('2', 'limit_exceeded')], '1', '2');
    expect(failure.reasonCode).toBe('version_not_found');
    expect(failure.message).toContain('because of limit_exceeded');
    expect(failure.remedy).toContain('release it anew');
  });

  it('is refused when it was never released', () => {
    expect(refusal([entry('1'), entry('2')], '2', '9').remedy).toBe('Versions that can be named: 2, 1.');
  });
});

describe('what was deployed by other means', () => {
  const last = (from: string): Journal => {
    const release = entry('2');
    return {
      ...{ id: release.id, strategy: 'blue-green', run: release.run, startedAt: '2000-01-01T00:00:00Z' },
      from: { slot: 'blue', release: { version: from } },
      to: { slot: 'green', release: release.release },
      ...{
        before: [],
        weights: [100],
        step: 0,
        phase: 'finished',
        keepPrevious: true,
        reason: null,
        resumed: 0,
      },
    };
  };

  it('can be gone back to after the first release', () => {
    const journal = last('1');
    const history = [{ ...entry('2'), id: journal.id }];
    expect(target(withOrigin(history, journal, digestOf), '2')).toBe('1');
    expect(() => target(history, '2')).toThrow();
  });

  it('is not made up where the history knows better', () => {
    const journal = last('1');
    const history = [takenBack('1', 'limit_exceeded'), { ...entry('2'), id: journal.id }];
    expect(withOrigin(history, journal, digestOf)).toBe(history);
    expect(withOrigin(history, null, digestOf)).toBe(history);
  });
});

describe('a run that was cut off', () => {
  const journal = (strategy: Journal['strategy'], phase: Journal['phase'], id = 'last'): Journal => ({
    id,
    strategy,
    run: { id: '1', url: '', actor: '' },
    startedAt: '2000-01-01T00:00:00Z',
    from: { slot: 'green', release: { version: '2' } },
    to: { slot: 'blue', release: { version: '1' } },
    before: [],
    weights: [100],
    step: 0,
    phase,
    keepPrevious: true,
    reason: null,
    resumed: 0,
  });

  it.each(['starting', 'shifting', 'holding', 'draining', 'retiring', 'reverting', 'cleaning'] as const)(
    'in phase %s is gone on with when it was a rollback, and got away from when it was a release',
    (phase) => {
      expect(cutOff(journal('rollback', phase), [])).toEqual({ version: '1' });
      expect(cutOff(journal('blue-green', phase), [])).toEqual({ version: '2' });
    },
  );

  it('before its end was in the history is gone on with, for the version that it left is not known as such yet', () => {
    expect(cutOff(journal('rollback', 'finished'), [])).toEqual({ version: '1' });
    const whole = journal('rollback', 'finished');
    expect(cutOff(whole, [entry('1', { id: whole.id, strategy: 'rollback' })])).toBeNull();
  });

  it('and has been settled since leaves it to the history', () => {
    expect(cutOff(null, [])).toBeNull();
    expect(cutOff(journal('blue-green', 'finished'), [])).toBeNull();
    expect(cutOff(journal('rollback', 'reverted'), [])).toBeNull();
  });
});
