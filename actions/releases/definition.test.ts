import { describe, expect, it } from 'vitest';
import { definition, parseUntil } from './definition.ts';

type Given = Parameters<NonNullable<typeof definition.check>>[0];
const problems = (inputs: Given) => (definition.check?.(inputs) ?? []).map(({ input }) => input);

describe('inputs of releases', () => {
  it('are those that the command needs', () => {
    expect(problems({ command: 'list' })).toEqual([]);
    expect(problems({ command: 'show' })).toEqual([]);
    expect(problems({ command: 'diff' })).toEqual(['other-environment']);
    for (const command of ['unlock', 'freeze', 'unfreeze'] as const) {
      expect(problems({ command })).toEqual(['reason']);
      expect(problems({ command, reason: 'why' })).toEqual([]);
    }
  });

  it('are no others: what would be passed over is refused', () => {
    expect(
      problems({ command: 'list', version: '1', reason: 'why', until: '1h', force: true }).toSorted(),
    ).toEqual(['force', 'reason', 'until', 'version']);
    expect(problems({ command: 'unlock', reason: 'why', force: true })).toEqual([]);
  });

  it('compare an environment with another one', () => {
    expect(problems({ command: 'diff', environment: 'a', 'other-environment': 'a' })).toEqual([
      'other-environment',
    ]);
  });

  it('end a freeze at a time with its zone, or after a while, and not in the past', () => {
    const freeze = (until: string) => problems({ command: 'freeze', reason: 'why', until });
    for (const until of ['12h', '2999-01-07T06:00Z', '2999-01-07T06:00:00+01:00']) {
      expect(freeze(until), until).toEqual([]);
    }
    for (const until of [
      '0',
      '2001-01-07T06:00:00Z',
      '2999-01-07',
      '2999-13-07T06:00:00Z',
      'tomorrow',
      '12',
    ]) {
      expect(freeze(until), until).toEqual(['until']);
    }
    expect(parseUntil('90s', 1_000)?.getTime()).toBe(91_000);
    expect(parseUntil('2030-01-07T06:00:00+01:00')?.toISOString()).toBe('2030-01-07T05:00:00.000Z');
  });
});
