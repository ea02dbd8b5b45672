import { describe, expect, it } from 'vitest';
import { DeployError } from '@deploy-actions/core';
import { compare } from './fingerprint.ts';
import { defaultLimits, gate, parseLimits, type Limits } from './gate.ts';
import { severityOf } from './model.ts';
import { some } from './testdata/samples.ts';

describe('the gate', () => {
  it.each<[number, number, boolean, string]>([
    [0, 0, true, 'Within the limits; findings: none (allowed: 0 critical, 5 high).'],
    [0, 5, true, 'Within the limits; findings: 5 high (allowed: 0 critical, 5 high).'],
    [0, 6, false, 'Too many findings: 6 high where 5 are allowed. All findings: 6 high.'],
    [1, 0, false, 'Too many findings: 1 critical where 0 are allowed. All findings: 1 critical.'],
    [
      2,
      7,
      false,
      'Too many findings: 2 critical where 0 are allowed, 7 high where 5 are allowed. All findings: 2 critical, 7 high.',
    ],
  ])('by default, with %i critical and %i high, passes: %s', (critical, high, passed, message) => {
    const verdict = gate(some({ critical, high }), defaultLimits);
    expect(verdict).toMatchObject({ passed, message });
  });

  it.each<[string, Parameters<typeof some>[0], Limits, string[]]>([
    ['nothing is limited', { critical: 9, unknown: 9 }, {}, []],
    ['what is not limited is not counted against others', { medium: 900, low: 900 }, defaultLimits, []],
    ['unknown can be limited', { unknown: 1 }, { unknown: 0 }, ['unknown']],
    [
      'each has its own limit',
      { high: 2, medium: 2, low: 2 },
      { high: 1, medium: 2, low: 0 },
      ['high', 'low'],
    ],
  ])('%s', (_what, counts, limits, exceeded) => {
    const verdict = gate(some(counts), limits);
    expect(verdict.exceeded.map(({ severity }) => severity)).toEqual(exceeded);
    expect(verdict.passed).toBe(exceeded.length === 0);
    expect(verdict.counts).toMatchObject(counts);
  });

  it('counts only what is new when asked to', () => {
    const old = some({ critical: 1, high: 6 });
    const now = compare(some({ critical: 1, high: 7 }), new Set(old.map(({ fingerprint }) => fingerprint)));
    expect(gate(now, defaultLimits).passed).toBe(false);
    expect(gate(now, defaultLimits, { onlyNew: true })).toMatchObject({
      passed: true,
      counts: { critical: 0, high: 1 },
      known: { critical: 1, high: 6 },
      message:
        'Within the limits; new findings: 1 high (allowed: 0 critical, 5 high). Known before and not counted: 1 critical, 6 high.',
    });
    expect(gate(now, { high: 0 }, { onlyNew: true }).message).toContain('1 high where 0 are allowed');
  });

  it('counts all as new when nothing was compared', () => {
    expect(gate(some({ critical: 1 }), defaultLimits, { onlyNew: true }).passed).toBe(false);
  });
});

describe('limits', () => {
  it.each<[string, Limits]>([
    ['critical: 0, high: 5', { critical: 0, high: 5 }],
    ['CRITICAL=0\nhigh = 12\n', { critical: 0, high: 12 }],
    ['unknown:3,', { unknown: 3 }],
    [' none ', {}],
  ])('are read from %j', (text, limits) => {
    expect(parseLimits(text, 'limits')).toEqual(limits);
  });

  it.each([
    ['', 'it is empty'],
    ['critical', "'critical' is not a severity and a whole number"],
    ['critical: -1', "'critical: -1'"],
    ['critical: 1.5', "'critical: 1.5'"],
    ['severe: 1', "'severe: 1'"],
    ['__proto__: 1', "'__proto__: 1'"],
    ['high: 1, high: 2', 'high is said twice'],
  ])('are refused: %j', (text, problem) => {
    const attempt = () => parseLimits(text, 'limits');
    expect(attempt).toThrow(DeployError);
    expect(attempt).toThrow(problem);
  });

  it('are refused with all their problems at once', () => {
    expect(() => parseLimits('a: 1, high: x', 'limits')).toThrow(/'a: 1'.*; 'high: x'/);
  });
});

describe('a severity', () => {
  it.each([
    ['CRITICAL', 'critical'],
    ['error', 'high'],
    ['warning', 'medium'],
    ['moderate', 'medium'],
    ['info', 'low'],
    ['', 'unknown'],
    ['constructor', 'unknown'],
  ])('of %j is %s', (word, severity) => {
    expect(severityOf(word)).toBe(severity);
  });
});
