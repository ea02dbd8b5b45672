import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sarifProblems } from '../../test/support/sarif.ts';
import { identify } from './fingerprint.ts';
import { bundleSarif, categoryOf, sarifLimits, writeSarif, type Analysis } from './sarif.ts';
import type { Finding } from './model.ts';
import { anyFindings, draft, many, some } from './testdata/samples.ts';

interface Log {
  runs: {
    automationDetails: { id: string };
    tool: { driver: { rules: Rule[] } };
    invocations: { toolExecutionNotifications?: { level: string; message: { text: string } }[] }[];
    results: Result[];
  }[];
}
interface Rule {
  id: string;
  shortDescription: { text: string };
  fullDescription: { text: string };
  help: { text: string; markdown: string };
  properties: { tags: string[]; [key: string]: unknown };
}
interface Result {
  ruleId: string;
  ruleIndex: number;
  level: string;
  message: { text: string };
  baselineState?: string;
  partialFingerprints: Record<string, string>;
  locations: {
    physicalLocation: { artifactLocation: { uri: string }; region: { startLine: number; endLine: number } };
  }[];
}

const analysis = (findings: readonly Finding[], parts: Partial<Analysis> = {}): Analysis => ({
  tool: { name: 'Trivy', version: '0.69.3', link: 'https://trivy.dev' },
  category: 'trivy-scan/image/ghcr.io/acme/backend',
  findings,
  ...parts,
});

/** 2,000 characters that gzip cannot make much smaller than half. */
function incompressible(seed: number): string {
  return createHash('shake256', { outputLength: 1_000 }).update(String(seed)).digest('hex');
}

function runOf(text: string): Log['runs'][0] {
  const log: unknown = JSON.parse(text);
  expect(sarifProblems(log)).toBe('');
  return (log as Log).runs[0]!;
}

describe('SARIF', () => {
  it('is what the schema says, and has what code scanning requires, whatever was found', () => {
    fc.assert(
      fc.property(anyFindings, fc.string({ unit: 'binary' }), (findings, name) => {
        const written = writeSarif(
          analysis(findings, { tool: { name, version: name, link: name }, category: name }),
        );
        expect(gunzipSync(written.gzip).toString()).toBe(written.text);
        const run = runOf(written.text);
        expect(run.results).toHaveLength(findings.length);
        for (const result of run.results) {
          const rule = run.tool.driver.rules[result.ruleIndex]!;
          expect(rule.id).toBe(result.ruleId);
          const { region, artifactLocation } = result.locations[0]!.physicalLocation;
          expect(region.startLine).toBeGreaterThanOrEqual(1);
          expect(region.endLine).toBeGreaterThanOrEqual(region.startLine);
          expect(artifactLocation.uri).not.toMatch(/^$|^[a-z]+:|^\/|(?:^|\/)\.\.?(?:\/|$)/i);
          expect(result.partialFingerprints['primaryLocationLineHash']).toMatch(/^[0-9a-f]{32}:\d+$/);
          expect(rule.properties.tags.length).toBeLessThanOrEqual(10);
        }
        expect(written.text).not.toMatch(/\\ud[89a-f]|\\u0000|\\u001b/i);
      }),
      { numRuns: 100 },
    );
  });

  it('refuses nonsense: the schema is really looked at', () => {
    const log = JSON.parse(writeSarif(analysis(some({ high: 1 }))).text) as Log;
    log.runs[0]!.results[0]!.level = 'fatal';
    expect(sarifProblems(log)).toContain('level');
    expect(sarifProblems({ version: '2.1.0' })).toContain('runs');
  });

  it('says each rule once, with the worst rating it was given', () => {
    const run = runOf(
      writeSarif(analysis(identify([draft({ severity: 'low' }), draft({ severity: 'critical' })]))).text,
    );
    expect(run.tool.driver.rules).toHaveLength(1);
    expect(run.tool.driver.rules[0]).toMatchObject({
      defaultConfiguration: { level: 'error' },
      helpUri: 'https://avd.aquasec.com/nvd/cve-2019-1549',
      help: { markdown: 'Upgrade libssl1.1.\n\n<https://avd.aquasec.com/nvd/cve-2019-1549>' },
      properties: { 'security-severity': '9.5' },
    });
    expect(run.results.map(({ level }) => level)).toEqual(['error', 'note']);
  });

  it('rates what is not about security as a problem and not as a vulnerability', () => {
    const rule = { ...draft().rule, tags: ['migration'] };
    const run = runOf(writeSarif(analysis(identify([draft({ rule, severity: 'medium' })]))).text);
    expect(run.tool.driver.rules[0]!.properties).toEqual({
      tags: ['migration'],
      precision: 'very-high',
      'problem.severity': 'warning',
    });
  });

  it('shows what lies in an image under its name, and what lies in a file on its lines', () => {
    const location = { file: './shop/müll [1].py', startLine: 14, endLine: 16 };
    const found = identify([draft(), draft({ location })]);
    const places = runOf(writeSarif(analysis(found)).text).results.map((result) => {
      const { artifactLocation, region } = result.locations[0]!.physicalLocation;
      return [artifactLocation.uri, region.startLine, region.endLine];
    });
    expect(places).toEqual([
      ['ghcr.io/acme/backend', 1, 1],
      ['shop/m%C3%BCll%20%5B1%5D.py', 14, 16],
    ]);
  });

  it('has a run without results where nothing was found, which closes old alerts', () => {
    const run = runOf(writeSarif(analysis([])).text);
    expect(run.results).toEqual([]);
    expect(run.automationDetails.id).toBe('trivy-scan/image/ghcr.io/acme/backend/');
    expect(categoryOf('trivy-scan', draft().target)).toBe('trivy-scan/image/ghcr.io/acme/backend');
  });

  it('says what is new and what is known, when it was compared', () => {
    const [one, two, three] = some({ high: 3 });
    const found = [{ ...one!, known: true }, { ...two!, known: false }, three!];
    const states = runOf(writeSarif(analysis(found)).text).results.map((result) => result.baselineState);
    expect(states).toEqual(['new', undefined, 'unchanged']);
  });

  it('is the same bytes for the same findings in any order', () => {
    const found = many(300);
    const one = writeSarif(analysis(found));
    const other = writeSarif(analysis(found.toReversed()));
    expect(other.text).toBe(one.text);
    expect(other.gzip.equals(one.gzip)).toBe(true);
  });

  it('keeps 5,000 results, and of 5,001 leaves out the least severe', () => {
    const all = some({ low: 1, critical: 2, high: 4_997 });
    expect(writeSarif(analysis(all)).cut.count).toBe(0);
    const written = writeSarif(analysis([...all, ...some({ unknown: 1 })]));
    const run = runOf(written.text);
    expect(run.results).toHaveLength(sarifLimits.results);
    expect(written.cut).toMatchObject({ count: 1, bySeverity: { unknown: 1, low: 0 } });
    expect(written.notice).toBe('1 of 5,001 findings is not shown here, the least severe: 1 unknown.');
    expect(run.invocations[0]!.toolExecutionNotifications).toMatchObject([
      { level: 'warning', message: { text: written.notice } },
    ]);
  });

  it('stays within the compressed size, and says what it left out', () => {
    const found = identify(
      Array.from({ length: 400 }, (_, index) =>
        draft({
          severity: index < 10 ? 'critical' : 'low',
          message: incompressible(index),
          context: String(index),
        }),
      ),
    );
    const whole = writeSarif(analysis(found));
    expect(whole.cut.count).toBe(0);
    // Exactly enough, and one byte too little.
    expect(writeSarif(analysis(found), { gzipBytes: whole.gzip.length }).cut.count).toBe(0);
    expect(writeSarif(analysis(found), { gzipBytes: whole.gzip.length - 1 }).cut.count).toBeGreaterThan(0);
    const half = writeSarif(analysis(found), { gzipBytes: Math.floor(whole.gzip.length / 2) });
    expect(half.gzip.length).toBeLessThanOrEqual(whole.gzip.length / 2);
    expect(half.gzip.length).toBeGreaterThan(whole.gzip.length * 0.4);
    expect(half.cut).toMatchObject({ bySeverity: { critical: 0 } });
    expect(runOf(half.text).results.length + half.cut.count).toBe(400);
    expect(runOf(writeSarif(analysis(found), { gzipBytes: 1 }).text).results).toEqual([]);
  });

  it('clips long texts to what is documented', () => {
    const long = '😀'.repeat(20_000);
    const rule = {
      ...draft().rule,
      title: long,
      help: long,
      tags: Array.from({ length: 30 }, (_, i) => `t${i}`),
    };
    const run = runOf(writeSarif(analysis(identify([draft({ rule, message: long })]))).text);
    const written = run.tool.driver.rules[0]!;
    for (const { text } of [written.shortDescription, written.fullDescription]) {
      expect(text.length).toBeGreaterThan(1_020);
      expect(text.length).toBeLessThanOrEqual(1_024);
      expect(text.isWellFormed()).toBe(true);
    }
    expect(written.properties.tags).toHaveLength(10);
    expect(run.results[0]!.message.text.length).toBeLessThanOrEqual(4_096);
  });
});

describe('analyses in one file', () => {
  const written = (count: number) =>
    Array.from({ length: count }, (_, index) =>
      writeSarif(analysis(some({ high: 3 }), { category: `c/${index}` })),
    );

  it('are runs of their own, at most 20, in their order', () => {
    const bundles = bundleSarif(written(45));
    expect(bundles.map(({ categories }) => categories.length)).toEqual([20, 20, 5]);
    expect(bundles.flatMap(({ categories }) => categories).at(-1)).toBe('c/44');
    const log = JSON.parse(gunzipSync(bundles[0]!.gzip).toString()) as Log;
    expect(sarifProblems(log)).toBe('');
    expect(log.runs.map(({ automationDetails }) => automationDetails.id)).toEqual(
      Array.from({ length: 20 }, (_, index) => `c/${index}/`),
    );
  });

  it('are in several where they are too large for one', () => {
    const findings = Array.from({ length: 20 }, (_, index) => draft({ message: incompressible(index) }));
    const files = ['a', 'b', 'c'].map((category) => writeSarif(analysis(identify(findings), { category })));
    const gzipBytes = files[0]!.gzip.length * 2.5;
    const bundles = bundleSarif(files, { gzipBytes });
    expect(bundles.map(({ categories }) => categories)).toEqual([['a', 'b'], ['c']]);
    for (const { gzip } of bundles) expect(gzip.length).toBeLessThanOrEqual(gzipBytes);
  });
});
