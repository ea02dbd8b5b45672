import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TrivyStandIn } from '../../test/support/trivy-stand-in.ts';
import { definition } from './definition.ts';
import { type ScanBench, scanBench } from './test-support.ts';

let folder = '';
let trivy: TrivyStandIn;
let scan: ScanBench['scan'];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trivy-scan-'));
  ({ trivy, scan } = await scanBench(folder));
});
afterEach(() => rm(folder, { recursive: true }));

describe('a scan', () => {
  it('passes a clean image', async () => {
    const { outcome } = await scan({ targets: ['image:registry.example/clean:1'] });
    expect(outcome).toMatchObject({
      result: 'succeeded',
      reasonCode: 'ok',
      outputs: { passed: true, findings: 0 },
    });
  });

  it('fails one with a critical finding or a secret, and says which', async () => {
    const { outcome, test } = await scan({ sbom: 'cyclonedx' });
    expect(outcome).toMatchObject({
      result: 'failed',
      reasonCode: 'findings_over_limit',
      outputs: { passed: false, findings: 6 },
    });
    expect(outcome.message).toContain('1 critical where 0 are allowed');
    expect(test.context.summary.text()).toContain('CVE-2019-1549');
    expect(JSON.parse(String(outcome.outputs['sboms']))).toEqual({
      'image:registry.example/helpdesk-backend:1.4.2': expect.stringMatching(/\.cdx\.json$/),
    });
  });

  it('asks for the database once, whatever the number of targets, and scans each once', async () => {
    await scan({ targets: ['image:registry.example/clean:1', 'image:registry.example/clean:2', 'fs:.'] });
    const made = await trivy.calls();
    expect(made.filter((line) => line.includes('--download-db-only'))).toHaveLength(1);
    expect(made.filter((line) => line.includes('--skip-db-update'))).toHaveLength(3);
  });

  it('counts only what the baseline does not have', async () => {
    const { outcome } = await scan({ baseline: ['image:registry.example/helpdesk-backend:1.4.1'] });
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { passed: true, findings: 6, new: 0 } });
    expect((await scan({ baseline: ['image:registry.example/clean:1'] })).outcome).toMatchObject({
      result: 'failed',
      outputs: { new: 6 },
    });
  });

  it('takes out what an ignore file names, and says so', async () => {
    const ignored =
      'CVE-2019-14697 exp:2999-12-31\nstripe-secret-token exp:2999-12-31\nCVE-2019-1549 exp:2020-01-01\n';
    await writeFile(join(folder, 'workspace', '.trivyignore'), ignored);
    const { outcome, test } = await scan({});
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { findings: 4 } });
    expect(test.lines).toContain('.trivyignore:3: CVE-2019-1549 was ignored to 2020-01-01; it counts again.');
    expect(test.context.summary.text()).toContain('ignored: stripe-secret-token');
  });

  it('wants last days in an ignore file when told to', async () => {
    await writeFile(join(folder, 'workspace', '.trivyignore'), 'CVE-2019-14697\n');
    await expect(scan({ 'ignore-without-date': 'fail' })).rejects.toMatchObject({
      reasonCode: 'invalid_config',
    });
    expect((await scan({})).test.lines).toContain(
      'Ignore entries without a last day: CVE-2019-14697 (.trivyignore:1).',
    );
  });
});

describe('a scan that could not run is an error, neither passed nor findings', () => {
  it.each([
    ['a target that does not exist', 'image:missing', /unable to find the specified image/],
    ['a report that was cut', 'image:cut', /not JSON/],
    ['no report', 'image:nothing', /wrote no report/],
  ])('%s', async (_what, target, why) => {
    const { outcome } = await scan({ targets: ['image:registry.example/clean:1', target] });
    expect(outcome).toMatchObject({
      result: 'error',
      reasonCode: 'scan_failed',
      message: expect.stringMatching(why),
      outputs: { passed: undefined, counts: undefined },
    });
  });

  it('a Trivy that is neither there nor to be had', async () => {
    await rm(join(trivy.bin, 'trivy'));
    const { outcome } = await scan({ 'trivy-version': '0.70.0' });
    expect(outcome).toMatchObject({
      result: 'error',
      reasonCode: 'tool_rejected',
      message: expect.stringContaining('0.70.0'),
    });
    const { outcome: tampered } = await scan({ 'trivy-version': '0.69.4', 'trivy-sha256': 'a'.repeat(64) });
    expect(tampered).toMatchObject({ result: 'error', message: expect.stringContaining('tampered') });
  });

  it('a Trivy on PATH that was tampered with', async () => {
    await writeFile(join(trivy.bin, 'trivy'), `#!/bin/sh\necho '{"Version":"0.69.5"}'\n`);
    expect((await scan({})).outcome).toMatchObject({ result: 'error', reasonCode: 'tool_rejected' });
  });

  it(
    'a database that cannot be downloaded, unless a kept one is young enough',
    { timeout: 60_000 },
    async () => {
      await scan({ targets: ['image:registry.example/clean:1'] });
      await writeFile(trivy.noDatabase, '');
      const { outcome, test } = await scan({ targets: ['image:registry.example/clean:1'] });
      expect(outcome.result).toBe('succeeded');
      expect(test.context.summary.text()).toMatch(/a kept copy, .* old/);
      const { outcome: tooOld } = await scan({
        targets: ['image:registry.example/clean:1'],
        'max-database-age': 0,
      });
      expect(tooOld).toMatchObject({
        result: 'error',
        reasonCode: 'scan_failed',
        message: expect.stringContaining('connection refused'),
      });
    },
  );
});

describe('the database', () => {
  const targets = ['image:registry.example/clean:1'];

  it('is had from the first mirror that answers', async () => {
    const { outcome, test } = await scan({
      targets,
      'database-mirrors': [
        'down.example/trivy-db:2',
        'mirror.example/trivy-db:2',
        'other.example/trivy-db:2',
      ],
    });
    expect(outcome.result).toBe('succeeded');
    const asked = (await trivy.calls()).filter((line) => line.includes('--download-db-only'));
    expect(asked.map((line) => /--db-repository (\S+)/.exec(line)?.[1])).toEqual([
      'down.example/trivy-db:2',
      'mirror.example/trivy-db:2',
    ]);
    expect(test.lines).toContain('The vulnerability database is from mirror.example/trivy-db:2.');
  });

  it('is not asked for when nothing may be downloaded, nor is that of Java', async () => {
    await scan({ targets });
    const { outcome, test } = await scan({ targets, offline: true });
    expect(outcome.result).toBe('succeeded');
    expect(test.context.summary.text()).toMatch(/a kept copy, .* old \(downloading is switched off\)/);
    const calls = await trivy.calls();
    expect(calls.filter((line) => line.includes('--download-db-only'))).toHaveLength(1);
    expect(calls.at(-1)).toContain('--skip-java-db-update');
  });
});

describe('inputs of trivy-scan', () => {
  const problems = (inputs: Parameters<NonNullable<typeof definition.check>>[0]) =>
    definition.check?.(inputs).map(({ input }) => input);
  it.each([
    [{ targets: ['backend:1'] }, ['targets']],
    [{ targets: ['fs:.'], baseline: ['fs:a', 'fs:b'] }, ['baseline']],
    [{ scanners: ['vulns'] }, ['scanners']],
    [{ limits: 'high 5' }, ['limits']],
    [{ 'trivy-sha256': 'a'.repeat(64) }, ['trivy-sha256']],
    [{ targets: ['fs:.', 'image:a'], baseline: ['fs:a', 'image:b'], scanners: ['vuln'], limits: 'none' }, []],
  ])('%j', (inputs, wrong) => {
    expect(problems(inputs)).toEqual(wrong);
  });
});
