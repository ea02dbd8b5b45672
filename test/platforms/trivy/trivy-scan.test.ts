// The action as it ships, with the real Trivy: what it finds in real lock files, Dockerfiles, files with keys and image archives.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGitHub, type GitHubDouble } from '../../support/github/index.ts';
import { createJob, type Job, type StepResult } from '../../support/runner.ts';
import { type Bucket, trivyPrograms, writeDatabase } from './trivy.ts';

const day = 86_400_000;
const iso = (time: number) => new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');

const advisory = (title: string, severity: number, name: string) => ({
  value: { Title: title, Severity: name, VendorSeverity: { ghsa: severity } },
});
const database: Bucket = {
  'pip::GitHub Security Advisory Pip': {
    django: {
      'CVE-2019-14235': { value: { PatchedVersions: ['2.2.4'], VulnerableVersions: ['>= 2.2, < 2.2.4'] } },
    },
    werkzeug: { 'CVE-2019-14806': { value: { VulnerableVersions: ['< 0.15.3'] } } },
  },
  'npm::GitHub Security Advisory Npm': {
    lodash: {
      'CVE-2019-10744': { value: { PatchedVersions: ['4.17.12'], VulnerableVersions: ['< 4.17.12'] } },
    },
  },
  vulnerability: {
    'CVE-2019-14235': advisory('Django: denial of service in uri_to_iri', 3, 'HIGH'),
    'CVE-2019-14806': advisory('Werkzeug: debugger PIN', 3, 'HIGH'),
    'CVE-2019-10744': advisory('lodash: prototype pollution', 4, 'CRITICAL'),
  },
  'data-source': {
    'pip::GitHub Security Advisory Pip': {
      value: { ID: 'ghsa', Name: 'GitHub Security Advisory Pip', URL: 'https://github.com/advisories' },
    },
    'npm::GitHub Security Advisory Npm': {
      value: { ID: 'ghsa', Name: 'GitHub Security Advisory Npm', URL: 'https://github.com/advisories' },
    },
  },
};

let folder = '';
let programs = '';
let job: Job | undefined;
let github: GitHubDouble;
let pull = 0;

beforeAll(async () => {
  programs = await trivyPrograms((line) => void process.stderr.write(`${line}\n`));
  folder = await mkdtemp(join(tmpdir(), 'trivy-'));
  github = await startGitHub();
  const opened = github.openPull();
  pull = opened.number;
  await writeFile(
    join(folder, 'event.json'),
    JSON.stringify({
      pull_request: { number: pull, head: { sha: opened.head, repo: { full_name: github.name } } },
    }),
  );
  job = await createJob({
    token: github.token(),
    repository: github.name,
    workspace: join(folder, 'workspace'),
    env: {
      PATH: `${programs}:${process.env['PATH']}`,
      GITHUB_API_URL: github.apiUrl,
      GITHUB_GRAPHQL_URL: github.graphqlUrl,
      GITHUB_EVENT_NAME: 'pull_request',
      GITHUB_EVENT_PATH: join(folder, 'event.json'),
      GITHUB_SHA: opened.head,
      GITHUB_REF: `refs/pull/${pull}/merge`,
    },
  });
  await writeDatabase(programs, join(folder, 'cache'), iso(Date.now() - 2 * day), database);
  for (const name of ['workspace/app', 'workspace/base', 'workspace/clean'])
    await mkdir(join(folder, name), { recursive: true });
  for (const name of ['app', 'base'])
    await writeFile(join(folder, 'workspace', name, 'requirements.txt'), 'Django==2.2.0\nrequests==2.31.0\n');
  await writeFile(join(folder, 'workspace/clean/requirements.txt'), 'requests==2.31.0\n');
});
afterAll(async () => {
  await job?.end();
  await github.stop();
  await rm(folder, { recursive: true, force: true });
});

function scan(inputs: Record<string, string>): Promise<StepResult> {
  if (job === undefined) throw new Error('there is no job');
  return job.step('trivy-scan', { 'cache-directory': join(folder, 'cache'), offline: 'true', ...inputs });
}

describe('the real Trivy', () => {
  it('finds what the database knows, on the lines of the lock file, and everything reaches GitHub', async () => {
    await writeFile(
      join(folder, 'workspace/app/requirements.txt'),
      'requests==2.31.0\nWerkzeug==0.11\nDjango==2.2.0\n',
    );
    const step = await scan({ targets: 'fs:app', limits: 'critical: 0, high: 1' });
    expect(step.outputs).toMatchObject({
      result: 'failed',
      'reason-code': 'findings_over_limit',
      passed: 'false',
      findings: '2',
    });
    const check = github.repository.checkRuns.at(-1);
    expect(check?.annotations.map(({ path, start_line }) => `${path}:${start_line}`).toSorted()).toEqual([
      'app/requirements.txt:2',
      'app/requirements.txt:3',
    ]);
    expect(github.callsOf(/code-scanning\/sarifs$/).length).toBeGreaterThan(0);
  });

  it('counts only what the change brought, whatever the database learned', async () => {
    await writeFile(join(folder, 'workspace/app/requirements.txt'), 'Django==2.2.0\nrequests==2.31.0\n');
    const unchanged = await scan({ targets: 'fs:app', baseline: 'fs:base', limits: 'high: 0' });
    expect(unchanged.outputs).toMatchObject({ result: 'succeeded', new: '0', findings: '1' });
    await writeFile(join(folder, 'workspace/app/requirements.txt'), 'Django==2.2.0\nWerkzeug==0.11\n');
    const changed = await scan({ targets: 'fs:app', baseline: 'fs:base', limits: 'high: 0' });
    expect(changed.outputs).toMatchObject({ result: 'failed', new: '1', findings: '2' });
  });

  it('passes a clean folder, and writes its bill of materials', async () => {
    const step = await scan({ targets: 'fs:clean', sbom: 'cyclonedx' });
    expect(step.outputs).toMatchObject({ result: 'succeeded', passed: 'true', findings: '0' });
    const bill = JSON.parse(step.outputs['sboms'] ?? '{}') as Record<string, string>;
    expect(JSON.parse(await readFile(bill['fs:clean'] ?? '', 'utf8'))).toMatchObject({
      bomFormat: 'CycloneDX',
    });
  });

  it('finds a secret that is there, and a Dockerfile that runs as root', async () => {
    const key = `AKIA${randomBytes(20).toString('hex').toUpperCase().replace(/[01]/g, 'A').slice(0, 16)}`;
    await mkdir(join(folder, 'workspace/bad'), { recursive: true });
    await writeFile(join(folder, 'workspace/bad/settings.env'), `AWS_ACCESS_KEY_ID=${key}\n`);
    await writeFile(
      join(folder, 'workspace/bad/Dockerfile'),
      'FROM debian:12\nRUN apt-get update\nCMD ["sleep", "1"]\n',
    );
    const step = await scan({ targets: 'fs:bad' });
    expect(step.outputs).toMatchObject({ result: 'failed', 'reason-code': 'findings_over_limit' });
    expect(step.summary).toContain('aws-access-key-id');
    // What a change brings along must not switch off what looks at it.
    const settings = join(folder, 'workspace/trivy-secret.yaml');
    await writeFile(settings, 'disable-rules: [aws-access-key-id]\n');
    const switchedOff = await scan({ targets: 'fs:bad' });
    await rm(settings);
    expect(switchedOff.outputs['findings']).toBe(step.outputs['findings']);
    expect(step.summary).toMatch(/DS-?0002/);
    const report = await readFile(step.outputs['report'] ?? '', 'utf8');
    expect(`${step.raw}${step.summary}${report}`).not.toContain(key);
  });

  it('scans an image archive', async () => {
    const layer = join(folder, 'layer.tar');
    const tar = promisify(execFile);
    await mkdir(join(folder, 'root/app'), { recursive: true });
    await writeFile(
      join(folder, 'root/app/package-lock.json'),
      JSON.stringify({
        name: 'a',
        lockfileVersion: 3,
        packages: { 'node_modules/lodash': { version: '4.17.4' } },
      }),
    );
    await mkdir(join(folder, 'root/app/node_modules/lodash'), { recursive: true });
    await writeFile(
      join(folder, 'root/app/node_modules/lodash/package.json'),
      JSON.stringify({ name: 'lodash', version: '4.17.4' }),
    );
    await tar('tar', ['-cf', layer, '-C', join(folder, 'root'), '.']);
    const diff = createHash('sha256')
      .update(await readFile(layer))
      .digest('hex');
    const image = join(folder, 'image');
    await mkdir(image);
    await writeFile(
      join(image, 'config.json'),
      JSON.stringify({
        architecture: 'amd64',
        os: 'linux',
        config: {},
        rootfs: { type: 'layers', diff_ids: [`sha256:${diff}`] },
      }),
    );
    await writeFile(
      join(image, 'manifest.json'),
      JSON.stringify([
        { Config: 'config.json', RepoTags: ['registry.example/portal:1'], Layers: ['layer.tar'] },
      ]),
    );
    await tar('cp', [layer, image]);
    const parts = ['config.json', 'manifest.json', 'layer.tar'];
    await tar('tar', ['-cf', join(folder, 'workspace/portal.tar'), '-C', image, ...parts]);
    const step = await scan({ targets: 'archive:portal.tar' });
    expect(step.outputs, step.log).toMatchObject({
      result: 'failed',
      counts: expect.stringContaining('"critical":1'),
    });
  });

  it('scans configuration and bills of materials', async () => {
    const config = await scan({ targets: 'config:bad', 'misconfiguration-limits': 'high: 0' });
    expect(config.outputs).toMatchObject({ result: 'failed', 'reason-code': 'findings_over_limit' });
    const made = await scan({ targets: 'fs:app', sbom: 'cyclonedx', limits: 'none' });
    const bill = (JSON.parse(made.outputs['sboms'] ?? '{}') as Record<string, string>)['fs:app'] ?? '';
    const again = await scan({ targets: `sbom:${bill}`, limits: 'none' });
    expect(again.outputs).toMatchObject({ result: 'succeeded', findings: made.outputs['findings'] });
  });

  it('leaves out what a VEX document says does not affect the product, and says SPDX when asked to', async () => {
    const vex = {
      '@context': 'https://openvex.dev/ns/v0.2.0',
      '@id': 'https://example.com/vex/1',
      author: 'Acme',
      timestamp: '2026-01-01T00:00:00Z',
      version: 1,
      statements: [
        {
          vulnerability: { name: 'CVE-2019-14235' },
          products: [{ '@id': 'pkg:pypi/django@2.2.0' }],
          status: 'not_affected',
          justification: 'vulnerable_code_not_in_execute_path',
        },
      ],
    };
    await writeFile(join(folder, 'workspace/product.openvex.json'), JSON.stringify(vex));
    const without = await scan({ targets: 'fs:base' });
    const told = await scan({ targets: 'fs:base', vex: 'product.openvex.json', sbom: 'spdx-json' });
    expect(without.outputs, without.log).toMatchObject({ findings: '1' });
    expect(told.outputs, told.log).toMatchObject({ findings: '0', passed: 'true' });
    const bill = (JSON.parse(told.outputs['sboms'] ?? '{}') as Record<string, string>)['fs:base'] ?? '';
    expect(JSON.parse(await readFile(bill, 'utf8'))).toMatchObject({
      spdxVersion: expect.stringMatching(/^SPDX-/),
    });
    const missing = await scan({ targets: 'fs:base', vex: 'nowhere.json' });
    expect(missing.outputs).toMatchObject({ result: 'error', 'reason-code': 'scan_failed', passed: '' });
  });

  it('looks for licences on request, and judges them by limits of their own', async () => {
    const licensed = join(folder, 'workspace/licensed/node_modules/copyleft');
    await mkdir(licensed, { recursive: true });
    await writeFile(
      join(folder, 'workspace/licensed/package-lock.json'),
      JSON.stringify({
        name: 'a',
        version: '1.0.0',
        lockfileVersion: 3,
        packages: {
          '': { name: 'a', version: '1.0.0', dependencies: { copyleft: '1.0.0' } },
          'node_modules/copyleft': { version: '1.0.0' },
        },
      }),
    );
    await writeFile(
      join(licensed, 'package.json'),
      JSON.stringify({ name: 'copyleft', version: '1.0.0', license: 'AGPL-3.0' }),
    );
    expect((await scan({ targets: 'fs:licensed' })).outputs).toMatchObject({ findings: '0' });
    const asked = { targets: 'fs:licensed', scanners: 'vuln, license' };
    const told = await scan(asked);
    expect(told.outputs, told.log).toMatchObject({ result: 'succeeded', findings: '1' });
    expect(told.summary).toContain('AGPL-3.0');
    const judged = await scan({ ...asked, sbom: 'cyclonedx', 'licence-limits': 'critical: 0, high: 0' });
    expect(judged.outputs).toMatchObject({ result: 'failed', 'reason-code': 'findings_over_limit' });
    // In the bill of materials that was written of it, too; and by the name that Trivy's ignore files have for it.
    const bills = JSON.parse(judged.outputs['sboms'] ?? '{}') as Record<string, string>;
    const bill = { targets: `sbom:${bills['fs:licensed']}`, 'licence-limits': 'critical: 0, high: 0' };
    const inBill = await scan({ ...bill, scanners: 'license' });
    expect(inBill.outputs, inBill.log).toMatchObject({ findings: '1', passed: 'false' });
    await writeFile(
      join(folder, 'workspace/.trivyignore.yaml'),
      'licenses: [{ id: AGPL-3.0-only, expired_at: 2999-01-01, statement: it is ours }]\n',
    );
    const ignored = await scan({ ...bill, scanners: 'license' });
    await rm(join(folder, 'workspace/.trivyignore.yaml'));
    expect(ignored.outputs, ignored.log).toMatchObject({ findings: '0', passed: 'true' });
    const useless = await scan({ ...bill, scanners: 'secret' });
    expect(useless.outputs).toMatchObject({ 'reason-code': 'invalid_input' });
  });

  it('is not told by the scanned folder, or by a variable, what to leave out', async () => {
    await writeFile(join(folder, 'workspace/trivy.yaml'), 'severity: [LOW]\n');
    const step = await job?.step(
      'trivy-scan',
      { 'cache-directory': join(folder, 'cache'), offline: 'true', targets: 'fs:app', limits: 'none' },
      { env: { TRIVY_SEVERITY: 'LOW' } },
    );
    await rm(join(folder, 'workspace/trivy.yaml'));
    expect(Number(step?.outputs['findings'])).toBeGreaterThan(0);
  });
});

describe('a scan that could not run is an error', () => {
  it.each([
    ['an image archive that does not exist', 'archive:nowhere.tar'],
    ['a folder that does not exist', 'fs:nowhere'],
  ])('%s', async (_what, targets) => {
    const step = await scan({ targets });
    expect(step.outputs).toMatchObject({ result: 'error', 'reason-code': 'scan_failed', passed: '' });
    expect(step.exitCode).toBe(1);
  });

  it('a database that is not there', async () => {
    const step = await scan({ targets: 'fs:clean', 'cache-directory': join(folder, 'empty') });
    expect(step.outputs).toMatchObject({ result: 'error', 'reason-code': 'scan_failed' });
  });

  it('a database that cannot be downloaded, and one that is kept stands in', async () => {
    const step = await scan({
      targets: 'fs:clean',
      offline: 'false',
      'database-mirrors': '127.0.0.1:1/trivy-db:2',
    });
    expect(step.outputs).toMatchObject({ result: 'succeeded' });
    expect(step.summary).toContain('a kept copy');
    const old = await scan({
      targets: 'fs:clean',
      offline: 'false',
      'database-mirrors': '127.0.0.1:1/trivy-db:2',
      'max-database-age': '1h',
    });
    expect(old.outputs).toMatchObject({ result: 'error', 'reason-code': 'scan_failed' });
  });
});
