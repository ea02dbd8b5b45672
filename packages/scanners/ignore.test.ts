import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { applyIgnores, parseIgnoreLines, parseIgnoreYaml } from './ignore.ts';
import { readTrivyReport } from './trivy/report.ts';

const { findings } = readTrivyReport(
  readFileSync(join(import.meta.dirname, 'testdata/fs.json'), 'utf8'),
  null,
);
const ids = (list: readonly { rule: { id: string } }[]) => list.map(({ rule }) => rule.id);

describe('an ignore file of lines', () => {
  it('has ids, last days and the reasons above them', () => {
    const text =
      '# Not reachable from outside.\nCVE-2019-14806 exp:2026-03-31\n\n# Nothing.\n\nDS-0002 # built as root, run as another\n';
    expect(parseIgnoreLines(text, '.trivyignore')).toMatchObject([
      {
        id: 'CVE-2019-14806',
        until: '2026-03-31',
        statement: 'Not reachable from outside.',
        where: '.trivyignore:2',
      },
      { id: 'DS-0002', until: null, statement: 'built as root, run as another', where: '.trivyignore:6' },
    ]);
  });

  it('with what is not understood is refused, all of it at once', () => {
    expect(() => parseIgnoreLines('A exp:2026-02-30\nB until:2026-01-01\n', 'x')).toThrow(
      /x:1: "2026-02-30" is no date[\s\S]*x:2: "until:2026-01-01" is not known/,
    );
  });
});

describe('an ignore file in YAML', () => {
  it('has entries by class, limited to paths and packages', async () => {
    const text = `
vulnerabilities:
  - id: CVE-2019-14806
    purls: [pkg:pypi/werkzeug]
    expired_at: 2026-03-31
    statement: Not reachable.
misconfigurations:
  - id: DS-0002
    paths: ['**/Dockerfile']
`;
    expect(await parseIgnoreYaml(text, 'x')).toMatchObject([
      { id: 'CVE-2019-14806', class: 'vulnerability', purls: ['pkg:pypi/werkzeug'], until: '2026-03-31' },
      { id: 'DS-0002', class: 'misconfiguration', paths: ['**/Dockerfile'] },
    ]);
  });

  it.each([
    ['- a', /mapping/],
    ['vulns: []', /vulns is not known/],
    ['secrets: {}', /must be a list/],
    ['secrets: [{ paths: [a] }]', /has no id/],
    ['secrets: [{ id: a, expires: never }]', /expires; known are/],
    ['secrets: [{ id: a, expired_at: soon }]', /no date/],
    ['a: [', /x/],
  ])('is refused: %s', async (text, why) => {
    await expect(parseIgnoreYaml(text, 'x')).rejects.toMatchObject({
      reasonCode: 'invalid_config',
      message: expect.stringMatching(why),
    });
  });
});

describe('an ignored finding', () => {
  const entry = parseIgnoreLines('CVE-2019-14806 exp:2026-03-31\nCVE-0000-0000', 'x');

  it('is left out up to the end of the last day, and told', () => {
    const sorted = applyIgnores(findings, entry, '2026-03-31');
    expect(ids(sorted.kept)).not.toContain('CVE-2019-14806');
    expect(sorted.ignored.map(({ finding, by }) => [finding.rule.id, by.where])).toEqual([
      ['CVE-2019-14806', 'x:1'],
    ]);
    expect(sorted.unused.map(({ id }) => id)).toEqual(['CVE-0000-0000']);
  });

  it('counts again from the day after, and the entry is told', () => {
    const sorted = applyIgnores(findings, entry, '2026-04-01');
    expect(ids(sorted.kept)).toContain('CVE-2019-14806');
    expect(sorted.expired.map(({ id }) => id)).toEqual(['CVE-2019-14806']);
  });

  it.each(['DS-0002', 'DS002', 'AVD-DS-0002'])('may be called %s, as the versions of Trivy do', (id) => {
    const sorted = applyIgnores(findings, parseIgnoreLines(id, 'x'), '2026-01-01');
    expect(ids(sorted.ignored.map(({ finding }) => finding))).toEqual(['DS-0002']);
  });

  it.each([
    ['pkg:pypi/werkzeug', '', true],
    ['pkg:pypi/werkzeug@0.11', '', true],
    ['pkg:pypi/werkzeug@0.1', '', false],
    ['pkg:pypi/werk', '', false],
    ['', 'requirements.txt', true],
    ['', '*.txt', true],
    ['', '**/*.txt', true],
    ['', 'app/*.txt', false],
    ['', 'requirements?txt', true],
    ['', 'requirementsXtxt', false],
  ])('is limited to package %j and path %j', (purl, path, ignored) => {
    const [made] = entry
      .slice(0, 1)
      .map((each) => ({ ...each, purls: purl === '' ? [] : [purl], paths: path === '' ? [] : [path] }));
    expect(applyIgnores(findings, made === undefined ? [] : [made], '2026-01-01').ignored.length > 0).toBe(
      ignored,
    );
  });
});
