import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defaultLimits, type Finding, identify, type Severity } from '@deploy-actions/findings';
import { describe, expect, it } from 'vitest';
import { judgeScan, type Policy } from './judge.ts';
import type { FindingClass, Scanned } from './model.ts';
import { readTrivyReport } from './trivy/report.ts';

const policy: Policy = {
  limits: {
    vulnerability: defaultLimits,
    misconfiguration: {},
    secret: { critical: 0, high: 0, medium: 0, low: 0, unknown: 0 },
    licence: {},
  },
  ignoreUnfixed: false,
  onlyNew: false,
};

function made(
  findingClass: FindingClass,
  severity: Severity,
  count: number,
  more: Partial<Finding & Scanned> = {},
) {
  return Array.from({ length: count }, (_, index): Finding & Scanned => ({
    class: findingClass,
    rule: {
      id: `${findingClass}-${severity}-${index}`,
      title: 't',
      help: '',
      link: null,
      tags: ['security'],
    },
    severity,
    message: 'm',
    target: { kind: 'image', name: 'a', version: null },
    subject: null,
    location: null,
    context: null,
    purl: null,
    fixable: true,
    fingerprint: `${findingClass}${severity}${index}`,
    known: null,
    ...more,
  }));
}

describe('the gate of the document: no critical, at most five high', () => {
  it.each([
    ['0 critical, 5 high', made('vulnerability', 'high', 5), true],
    ['0 critical, 6 high', made('vulnerability', 'high', 6), false],
    ['1 critical, 0 high', made('vulnerability', 'critical', 1), false],
    ['nothing at all', [], true],
    ['many of less', [...made('vulnerability', 'medium', 50), ...made('vulnerability', 'low', 50)], true],
    ['one secret alone', made('secret', 'low', 1), false],
    ['misconfigurations, which have no limit', made('misconfiguration', 'critical', 3), true],
  ])('%s', (_what, findings, passed) => {
    expect(judgeScan(findings, policy).passed).toBe(passed);
  });

  it('counts what has no fix unless told not to, and says how many it left out', () => {
    const findings = made('vulnerability', 'critical', 2, { fixable: false });
    expect(judgeScan(findings, policy).passed).toBe(false);
    const verdict = judgeScan(findings, { ...policy, ignoreUnfixed: true });
    expect(verdict).toMatchObject({ passed: true, unfixed: 2, counts: { critical: 0 } });
    expect(verdict.message).toContain('Without a fixed version and not counted: 2.');
  });

  it('counts only new ones when asked to', () => {
    const findings = [
      ...made('vulnerability', 'critical', 2, { known: true }),
      ...made('vulnerability', 'high', 1, { known: false }),
    ];
    expect(judgeScan(findings, policy).passed).toBe(false);
    expect(judgeScan(findings, { ...policy, onlyNew: true })).toMatchObject({
      passed: true,
      counts: { critical: 0, high: 1 },
    });
  });
});

describe('recorded reports', () => {
  const read = (name: string) =>
    readTrivyReport(readFileSync(join(import.meta.dirname, 'testdata', name), 'utf8'), null).findings;
  const judged = (name: string) => judgeScan(identify(read(name)), policy);

  it('have the verdicts that they should', () => {
    expect(judged('clean.json')).toMatchObject({ passed: true, counts: { critical: 0, high: 0 } });
    expect(judged('image.json')).toMatchObject({ passed: false, counts: { critical: 2, medium: 4 } });
    expect(judged('fs.json').byClass.map(({ class: name, passed }) => [name, passed])).toEqual([
      ['vulnerability', false], // one of lodash is critical
      ['misconfiguration', true],
      ['secret', false],
    ]);
  });
});
