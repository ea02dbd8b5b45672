// From a report that Trivy wrote, or one of its shape, to the verdict, and to what GitHub is told.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type GitHubDouble, startGitHub } from '../../test/support/github/index.ts';
import { manyFindings } from '../../test/support/trivy-stand-in.ts';
import { type ScanBench, scanBench } from './test-support.ts';

let folder = '';
let github: GitHubDouble;
let bench: ScanBench;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trivy-scan-'));
  github = await startGitHub();
  bench = await scanBench(folder, github);
});
afterEach(async () => {
  // Throws for SARIF that is not as its schema says.
  await github.stop();
  await rm(folder, { recursive: true });
});

const uploads = () =>
  github.repository.analyses.flatMap(({ runs }) =>
    runs.map(({ tool, category, results }) => `${tool} ${category} ${results}`),
  );

describe('a recorded report', () => {
  it.each([
    [
      'image.json',
      'image:registry.example/image:1',
      false,
      { critical: 2, high: 0, medium: 4, low: 0, unknown: 0 },
      'Trivy trivy-scan/image/registry.example/image/ 6',
    ],
    [
      'fs.json',
      'fs:app',
      false,
      { critical: 2, high: 3, medium: 2, low: 1, unknown: 0 },
      'Trivy trivy-scan/files/app/ 8',
    ],
    [
      'clean.json',
      'image:registry.example/clean:1',
      true,
      { critical: 0, high: 0, medium: 0, low: 0, unknown: 0 },
      'Trivy trivy-scan/image/registry.example/clean/ 0',
    ],
  ])('%s has the right verdict, counts and SARIF', async (_name, target, passed, counts, upload) => {
    const { outcome } = await bench.scan({ targets: [target] });
    expect(outcome.outputs).toMatchObject({
      passed,
      findings: Object.values(counts).reduce((sum, count) => sum + count),
    });
    expect(JSON.parse(String(outcome.outputs['counts']))).toEqual(counts);
    expect(uploads()).toEqual([upload]);
    expect(github.repository.checkRuns.map(({ conclusion }) => conclusion)).toEqual([
      passed ? 'success' : 'failure',
    ]);
    expect(github.repository.comments).toHaveLength(1);
  });
});

describe('the gate of the document: no critical finding, at most five high ones', () => {
  type Found = Record<string, unknown>;
  const vulnerability = (severity: string, index: number, fixed = true): Found => ({
    VulnerabilityID: `CVE-2025-${index}`,
    PkgName: `lib${index}`,
    InstalledVersion: '1.0',
    ...(fixed ? { FixedVersion: '1.1' } : {}),
    Severity: severity,
  });
  const vulnerabilities = (critical: number, high: number, fixed = true) => [
    {
      Target: 'made (alpine 3.22)',
      Class: 'os-pkgs',
      Type: 'alpine',
      Vulnerabilities: [
        ...Array.from({ length: critical }, (_, index) => vulnerability('CRITICAL', index, fixed)),
        ...Array.from({ length: high }, (_, index) => vulnerability('HIGH', 100 + index, fixed)),
      ],
    },
  ];
  const secret = { RuleID: 'private-key', Category: 'AsymmetricPrivateKey', Severity: 'HIGH', Title: 'Key' };
  const secrets = [{ Target: '/app/key.pem', Class: 'secret', Secrets: [{ ...secret, StartLine: 1 }] }];

  it.each<[string, unknown, 'passed' | 'failed', Parameters<ScanBench['scan']>[0]]>([
    ['0 critical, 5 high', vulnerabilities(0, 5), 'passed', {}],
    ['0 critical, 6 high', vulnerabilities(0, 6), 'failed', {}],
    ['1 critical, 0 high', vulnerabilities(1, 0), 'failed', {}],
    ['Results absent', undefined, 'passed', {}],
    ['Results empty', [], 'passed', {}],
    ['secrets only', secrets, 'failed', {}],
    ['secrets only, which are only to be told', secrets, 'passed', { secrets: 'warn' }],
    ['unfixed only', vulnerabilities(2, 9, false), 'failed', {}],
    [
      'unfixed only, which are not to count',
      vulnerabilities(2, 9, false),
      'passed',
      { 'ignore-unfixed': true },
    ],
    [
      'unfixed ones beside 6 high with a fix',
      [...vulnerabilities(2, 0, false), ...vulnerabilities(0, 6)],
      'failed',
      { 'ignore-unfixed': true },
    ],
  ])('%s', async (_what, Results, verdict, inputs) => {
    const report = { SchemaVersion: 2, ArtifactName: 'made', ArtifactType: 'container_image', Results };
    await writeFile(join(bench.trivy.made, 'made.json'), JSON.stringify(report));
    const { outcome } = await bench.scan({
      targets: ['image:registry.example/made:1'],
      'github-token': undefined,
      ...inputs,
    });
    expect(outcome).toMatchObject({
      result: verdict === 'passed' ? 'succeeded' : 'failed',
      reasonCode: verdict === 'passed' ? 'ok' : 'findings_over_limit',
      outputs: { passed: verdict === 'passed' },
    });
  });
});

it('1,000 findings over 20 images are judged and written in under a second, and what was cut is said', async () => {
  const images = Array.from({ length: 20 }, (_, index) => `service-${index}`);
  for (const name of images)
    await writeFile(join(bench.trivy.made, `${name}.json`), await manyFindings(name, 50));
  const targets = images.map((name) => `image:registry.example/${name}:1.4.2`);
  await bench.scan({ targets: targets.slice(0, 1) }); // loads and compiles everything, the double's schemas among it
  const before = { calls: github.calls.length, cpu: process.cpuUsage(), time: performance.now() };
  const { outcome, test } = await bench.scan({ targets });
  const { user, system } = process.cpuUsage(before.cpu);
  const milliseconds = Math.round((user + system) / 1_000);
  const calls = github.calls.length - before.calls;
  console.log(
    `1,000 findings over 20 images: ${Math.round(performance.now() - before.time)} ms with 22 runs of the stand-in and ${calls} calls, ${milliseconds} ms of a processor`,
  );

  expect(outcome).toMatchObject({ result: 'failed', outputs: { findings: 1_000 } });
  expect(outcome.message).toContain('100 critical where 0 are allowed, 200 high where 5 are allowed');
  expect(uploads().slice(-20)).toEqual(
    images.map((name) => `Trivy trivy-scan/image/registry.example/${name}/ 50`),
  );
  const comments = github.repository.comments.map(({ body }) => body);
  expect(comments).toHaveLength(1);
  expect(comments[0]?.length).toBeLessThanOrEqual(65_536);
  expect(comments[0]).toMatch(/_\d{3} of 1,000 findings are not shown here, the least severe: /);
  expect(comments[0]?.match(/CVE-/g)?.length).toBeGreaterThan(100);
  expect(github.repository.checkRuns.at(-1)?.output?.summary).toContain('of 1,000 findings are not shown');
  expect(test.context.summary.text().length).toBeLessThan(1024 * 1024);
  // With the GitHub that is told of it in the same process. Others use the processor, too, so wall time is for the bench.
  expect(milliseconds).toBeLessThan(1_000);
});
