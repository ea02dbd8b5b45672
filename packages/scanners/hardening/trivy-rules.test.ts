// What Trivy 0.69.3 wrote about the files in testdata/hardening, its excerpts of them left out.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { identify } from '@deploy-actions/findings';
import { describe, expect, it } from 'vitest';
import { readTrivyReport } from '../trivy/report.ts';
import { scanHardening } from './scan.ts';
import { withTrivyFindings } from './trivy-rules.ts';

const folder = join(import.meta.dirname, '../testdata/hardening');
const trivys = readTrivyReport(readFileSync(join(folder, 'trivy-config.json'), 'utf8'), null).findings;
const { findings: own } = await scanHardening(folder, ['.']);
const both = withTrivyFindings(own, trivys);
const placeOf = ({ rule, location }: (typeof own)[number]) =>
  `${rule.id} ${location?.file}:${location?.startLine}`;

describe('findings of our rules and of Trivy', () => {
  it('are one where both found the same, with the numbers of both', () => {
    const [root, ...others] = both.filter(
      ({ rule, location }) => rule.id === 'root-user' && location?.file === 'Dockerfile',
    );
    expect(others).toEqual([]);
    expect(root).toMatchObject({
      severity: 'high',
      location: { startLine: 5 },
      rule: {
        link: 'https://avd.aquasec.com/misconfig/ds-0002',
        tags: expect.arrayContaining(['CIS-Docker-4.1']),
      },
      message: expect.stringContaining('(CIS Docker 4.1, CIS Kubernetes 5.2.7, Trivy DS-0002)'),
      aliases: ['DS-0002'],
    });
    const unconfined = both.filter(({ rule }) => rule.id === 'unconfined').map(placeOf);
    expect(unconfined.toSorted()).toEqual(
      own
        .filter(({ rule }) => rule.id === 'unconfined')
        .map(placeOf)
        .toSorted(),
    );
  });

  it('keep their identity, number and severity whether there is a Trivy or not', () => {
    const identities = new Map(
      identify(both).map(({ fingerprint, severity, location }) => [fingerprint, { severity, location }]),
    );
    for (const { fingerprint, severity, location } of identify(own))
      expect(identities.get(fingerprint)).toEqual({ severity, location });
  });

  it('are told of once where Trivy has several checks, or tells of one on the lines of others', () => {
    // A request of CPU is enough for our rule; Trivy wants a limit.
    expect(both.slice(own.length).map(({ aliases }) => aliases)).toEqual([['KSV-0011']]);
    const places = both.map((finding) => `${placeOf(finding)} ${finding.message}`);
    expect(new Set(places).size).toBe(places.length);
  });

  it('are of Trivy alone where our rule asks for less', () => {
    expect(both.slice(own.length)).toContainEqual(
      expect.objectContaining({
        rule: expect.objectContaining({ id: 'no-cpu-limit' }),
        severity: 'low',
        location: { file: 'deployment.yaml', startLine: expect.any(Number), endLine: expect.any(Number) },
        aliases: ['KSV-0011'],
        message: expect.stringContaining('container sidecar'),
      }),
    );
  });

  it('are one of Trivy where several of its checks ask for the same', () => {
    const of = (findings: typeof own) =>
      findings.filter(({ rule, location }) => rule.id === 'kept-capabilities' && location?.startLine === 18);
    const without = withTrivyFindings(
      own.filter(({ rule }) => rule.id !== 'kept-capabilities'),
      trivys,
    );
    expect(of(without)).toMatchObject([{ aliases: ['KSV-0003', 'KSV-0004', 'KSV-0106'] }]);
  });

  it('are of ours alone in what Trivy does not know', () => {
    const alone = both.filter(
      ({ location, aliases }) =>
        ['rollout.yaml', 'docker-compose.yml'].includes(location?.file ?? '') && aliases === undefined,
    );
    expect(alone.map(({ rule }) => rule.id)).toEqual(expect.arrayContaining(['privileged']));
    expect(alone.filter(({ rule }) => rule.id === 'privileged')).toHaveLength(2);
  });

  it('are none of what is no rule of a benchmark', () => {
    expect(both.some(({ rule }) => /^(?:DS|KSV)/.test(rule.id))).toBe(false);
    expect(both.some(({ aliases }) => aliases?.includes('KSV-0125'))).toBe(false);
  });
});

it.each(['DS-0002', 'DS002', 'AVD-DS-0002'])('knows %s', (id) => {
  const [found] = trivys.filter(({ rule }) => rule.id === 'DS-0002');
  if (found === undefined) throw new Error('the recorded report has no DS-0002');
  const [made] = withTrivyFindings([], [{ ...found, rule: { ...found.rule, id } }]);
  expect(made).toMatchObject({ rule: { id: 'root-user' }, aliases: ['DS-0002'] });
});
