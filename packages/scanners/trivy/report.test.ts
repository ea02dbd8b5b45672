import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { countBySeverity, identify, type Target } from '@deploy-actions/findings';
import { describe, expect, it } from 'vitest';
import { readTrivyReport } from './report.ts';

const recorded = (name: string) => readFileSync(join(import.meta.dirname, '../testdata', name), 'utf8');
const image: Target = { kind: 'image', name: 'registry.example/helpdesk-backend', version: '1.4.2' };

describe('a report of an image', () => {
  const scan = readTrivyReport(recorded('image.json'), image);

  it('has its packages and secrets as findings about the image', () => {
    expect(countBySeverity(scan.findings.filter((each) => each.class === 'vulnerability'))).toMatchObject({
      critical: 1,
      medium: 4,
    });
    expect(scan.findings.filter((each) => each.class === 'secret')).toMatchObject([
      { rule: { id: 'stripe-secret-token' }, severity: 'critical', subject: { path: '/app/settings.env' } },
    ]);
    expect(scan.findings.every(({ target, location }) => target === image && location === null)).toBe(true);
  });

  it('says what it was made by and from', () => {
    expect(scan).toMatchObject({
      scanner: { name: 'Trivy', version: '0.69.1' },
      artifact: 'helpdesk.tar',
      packages: 3,
      endOfLife: true,
    });
  });

  it('names package, version, fix and link', () => {
    expect(scan.findings[0]).toMatchObject({
      rule: { id: 'CVE-2019-1549', link: 'https://avd.aquasec.com/nvd/cve-2019-1549' },
      subject: { name: 'libcrypto1.1', version: '1.1.1c-r0', fixedVersion: '1.1.1d-r0', path: null },
      fixable: true,
    });
    expect(scan.findings[0]?.message).toMatch(
      /^libcrypto1\.1 1\.1\.1c-r0: openssl: .* Fixed in 1\.1\.1d-r0\.$/,
    );
  });

  it('is the same findings after an upgrade of the image that mends nothing', () => {
    const later = readTrivyReport(recorded('image.json').replaceAll('1.1.1c-r0', '1.1.1c-r1'), {
      ...image,
      version: '1.4.3',
    });
    const fingerprints = (findings: typeof scan.findings) =>
      identify(findings).map(({ fingerprint }) => fingerprint);
    expect(fingerprints(later.findings)).toEqual(fingerprints(scan.findings));
  });
});

describe('a report of a folder', () => {
  const { findings } = readTrivyReport(recorded('fs.json'), null, 'customer-portal');

  it('has each file as a target, in the repository', () => {
    expect([...new Set(findings.map(({ target }) => `${target.kind} ${target.name}`))]).toEqual([
      'lock-file customer-portal/package-lock.json',
      'lock-file customer-portal/requirements.txt',
      'dockerfile customer-portal/Dockerfile',
      'files customer-portal/settings.env',
    ]);
  });

  it('has the lines that Trivy knows', () => {
    expect(findings.map(({ rule, location }) => [rule.id, location?.startLine ?? null])).toEqual(
      expect.arrayContaining([
        ['CVE-2019-14806', 2],
        ['DS-0017', 2],
        ['DS-0002', null],
        ['aws-access-key-id', 1],
      ]),
    );
  });

  it('has nothing of the text around a secret', () => {
    expect(recorded('fs.json')).toContain('not-for-anybody-to-see');
    expect(JSON.stringify(findings)).not.toContain('not-for-anybody-to-see');
  });
});

describe('no findings', () => {
  it.each([
    ['a clean image', recorded('clean.json')],
    [
      'Results that are absent',
      JSON.stringify({ SchemaVersion: 2, ArtifactName: 'x', ArtifactType: 'container_image' }),
    ],
    [
      'Results that are null',
      JSON.stringify({ SchemaVersion: 2, ArtifactName: 'x', ArtifactType: 'filesystem', Results: null }),
    ],
    [
      'checks that passed',
      JSON.stringify({
        SchemaVersion: 2,
        ArtifactName: 'x',
        ArtifactType: 'filesystem',
        Results: [
          {
            Target: 'Dockerfile',
            Class: 'config',
            Misconfigurations: [{ ID: 'DS001', Status: 'PASS', Severity: 'HIGH' }],
          },
        ],
      }),
    ],
  ])('are in %s', (_what, text) => {
    expect(readTrivyReport(text, image).findings).toEqual([]);
  });
});

describe('what is no report', () => {
  it.each([
    ['nothing', '', /it is empty/],
    ['a cut file', recorded('fs.json').slice(0, 4_000), /not JSON/],
    ['a list', '[]', /no object/],
    ['SARIF', '{"version":"2.1.0","runs":[]}', /SchemaVersion is undefined/],
    ['an older schema', '{"SchemaVersion":1,"Results":[]}', /SchemaVersion is 1/],
    ['an object with nothing in it', '{}', /SchemaVersion/],
    ['a report that does not say of what', '{"SchemaVersion":2}', /what was scanned/],
    [
      'Results of another kind',
      '{"SchemaVersion":2,"ArtifactName":"x","ArtifactType":"y","Results":{}}',
      /no list/,
    ],
    [
      'a finding without an id',
      '{"SchemaVersion":2,"ArtifactName":"x","ArtifactType":"y","Results":[{"Vulnerabilities":[{"PkgName":"a"}]}]}',
      /no id/,
    ],
  ])('is refused: %s', (_what, text, why) => {
    expect(() => readTrivyReport(text, image)).toThrow(
      expect.objectContaining({ reasonCode: 'scan_failed', message: expect.stringMatching(why) }),
    );
  });
});
