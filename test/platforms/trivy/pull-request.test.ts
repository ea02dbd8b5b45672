// A pull request with the reusable workflow pr-checks and its job `scans`, run by act: the real Trivy with a database of our own, the real
// npm before an advisory service of our own. What GitHub is told is held against its published description, SARIF against its schema.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type AdvisoryService, startAdvisories } from '../../support/advisories.ts';
import type { PullRequest } from '../../support/github/index.ts';
import { createRepository, pinned, type Repository, stepsOf } from '../../workflows/repository.ts';
import { type Bucket, trivyPrograms, writeDatabase } from './trivy.ts';

let programs = '';
let repository: Repository;
let service: AdvisoryService;
let pull: PullRequest;

const high = (title: string) => ({ value: { Title: title, Severity: 'HIGH', VendorSeverity: { ghsa: 3 } } });
const database: Bucket = {
  'npm::GitHub Security Advisory Npm': {
    lodash: {
      'CVE-2020-8203': { value: { PatchedVersions: ['4.17.19'], VulnerableVersions: ['< 4.17.19'] } },
    },
    minimist: {
      'CVE-2021-44906': { value: { PatchedVersions: ['0.2.4'], VulnerableVersions: ['< 0.2.4'] } },
    },
  },
  vulnerability: {
    'CVE-2020-8203': high('lodash: prototype pollution'),
    'CVE-2021-44906': high('minimist: prototype pollution'),
  },
  'data-source': {
    'npm::GitHub Security Advisory Npm': {
      value: { ID: 'ghsa', Name: 'GitHub Security Advisory Npm', URL: 'https://github.com/advisories' },
    },
  },
};

const lockFile = (packages: Record<string, string>) => ({
  name: 'portal',
  version: '1.0.0',
  lockfileVersion: 3,
  requires: true,
  packages: {
    '': { name: 'portal', version: '1.0.0', dependencies: packages },
    ...Object.fromEntries(
      Object.entries(packages).map(([name, version]) => [
        `node_modules/${name}`,
        { version, resolved: `https://packages.example/${name}/-/${name}-${version}.tgz` },
      ]),
    ),
  },
});

const workflow = `name: Pull request
on: pull_request
permissions: {}
jobs:
  checks:
    uses: org/deploy-actions/.github/workflows/pr-checks.yml@v1
    permissions:
      contents: read
      checks: write
      pull-requests: write
      security-events: write
      statuses: read
    with:
      scans: trivy, dependencies, hardening
      code-scanning: true
`;

async function commit(packages: Record<string, string>, dockerfile: string): Promise<string> {
  const deploy = {
    app: 'portal',
    scan: {
      'cache-directory': join(repository.folder, 'cache'),
      offline: true,
      limits: 'high: 0',
      'misconfiguration-limits': 'none',
    },
    dependencies: { 'npm-registry': service.url, limits: 'critical: 0, high: 0', severities: 'none' },
    hardening: { limits: 'high: 0' },
  };
  const files: Record<string, string> = {
    '.github/workflows/pull-request.yml': workflow,
    '.github/deploy.yml': JSON.stringify(deploy, null, 2),
    'portal/package.json': JSON.stringify({ name: 'portal', version: '1.0.0', dependencies: packages }),
    'portal/package-lock.json': JSON.stringify(lockFile(packages), null, 2),
    'portal/Dockerfile': dockerfile,
  };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(repository.directory, name)), { recursive: true });
    await writeFile(join(repository.directory, name), `${text}\n`);
  }
  return repository.commit('A version');
}

beforeAll(async () => {
  programs = await trivyPrograms((line) => void process.stderr.write(`${line}\n`));
  [service, repository] = await Promise.all([startAdvisories(), createRepository()]);
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  await writeDatabase(programs, join(repository.folder, 'cache'), now, database);
});
afterAll(async () => {
  // Throws for what GitHub does not allow, and for SARIF that is not as its schema says.
  await repository.end();
  await service.close();
});

const run = () =>
  repository.run('pull-request.yml', {
    event: 'pull_request',
    programs: [programs],
    payload: {
      action: 'synchronize',
      number: pull.number,
      pull_request: {
        number: pull.number,
        head: { sha: pull.head, ref: 'topic', repo: { full_name: 'acme/helpdesk' } },
        base: { sha: pull.base, ref: 'main', repo: { full_name: 'acme/helpdesk' } },
        user: { login: 'a-developer' },
      },
      repository: { full_name: 'acme/helpdesk', default_branch: 'main' },
    },
  });

it('is told what it brings that the base branch has not, in comments, checks and code scanning', async () => {
  // The base has a finding of each kind already.
  const base = await commit({ lodash: '4.17.15' }, 'FROM python:3.13-slim\nUSER root');
  await repository.branch('topic');
  pull = repository.github.openPull({ base, head: base });
  const { comments, checkRuns, analyses } = repository.github.repository;

  pull.head = await commit(
    { lodash: '4.17.15', minimist: '0.0.8' },
    'FROM python:3.13-slim\nENV API_TOKEN=example\nUSER root',
  );
  const bad = await run();
  expect(bad.jobs, bad.log).toEqual({ config: 'success', scans: 'failure' });
  expect(stepsOf(bad, 'scans')).toEqual([
    `${pinned.checkout}: success`,
    `${pinned.checkout}: success`,
    'Scan dependencies: failure',
    'Scan with Trivy: failure',
    'Scan for hardening: failure',
  ]);
  for (const step of ['dependencies', 'trivy', 'hardening'])
    expect(bad.outputs[step], bad.log).toMatchObject({
      result: 'failed',
      'reason-code': 'findings_over_limit',
      new: step === 'trivy' ? '2' : '1',
    });
  expect(
    comments.map(({ body }) => /^<!-- deploy-actions:(\S+) -->/.exec(body)?.[1] ?? '').toSorted(),
  ).toEqual(['dependency-scan', 'hardening-scan', 'trivy-scan']);
  expect(comments.every(({ body }) => body.includes('Known before and not counted: '))).toBe(true);
  const checks = checkRuns.filter(({ head_sha }) => head_sha === pull.head);
  expect(checks.map(({ name, conclusion }) => `${name}: ${conclusion}`).toSorted()).toEqual([
    'Dependency scan: failure',
    'Hardening scan: failure',
    'Trivy scan: failure',
  ]);
  const places = checks.flatMap(({ annotations }) =>
    annotations.map(({ path, title }) => `${path} ${title?.split(':')[0]}`),
  );
  expect(places).toEqual(
    expect.arrayContaining([
      'portal/package-lock.json critical GHSA-xvch-5gv4-984h',
      'portal/package-lock.json high CVE-2021-44906',
      'portal/Dockerfile high secret-in-image',
    ]),
  );
  expect(places.some((place) => place.startsWith('.base'))).toBe(false);
  const uploaded = () =>
    analyses
      .filter(({ commit_sha }) => commit_sha === pull.head)
      .flatMap(({ runs }) => runs.map(({ tool, category }) => `${tool} ${category}`));
  const categories = [
    'dependency-scan dependency-scan/files/./',
    'Trivy trivy-scan/files/./',
    'hardening-scan hardening-scan/files/./',
  ];
  expect(uploaded()).toEqual(categories);

  // A push that takes it back is green, though what the base has is there still; the comments are renewed.
  pull.head = await commit({ lodash: '4.17.15' }, 'FROM python:3.13-slim\nUSER root');
  const good = await run();
  expect(good.jobs, good.log).toEqual({ config: 'success', scans: 'success' });
  expect(comments).toHaveLength(3);
  expect(comments.every(({ body }) => body.includes('Within the limits'))).toBe(true);
  expect(uploaded()).toEqual(categories);
}, 300_000);
