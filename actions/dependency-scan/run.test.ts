import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { InputValues, Outcome } from '@deploy-actions/action-kit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AdvisoryService, startAdvisories } from '../../test/support/advisories.ts';
import { createTestContext, type TestContext } from '../../test/support/context.ts';
import type { definition } from './definition.ts';
import { run } from './run.ts';

// npm is the real one, before an advisory service of our own. pip-audit, pnpm and yarn are stand-ins that write what the real ones were
// seen to write: pip-audit 2.10, pnpm 12, yarn 4; what yarn 1 writes about an advisory is written from its documentation.

type Inputs = InputValues<(typeof definition)['inputs']>;

const recorded = join(import.meta.dirname, '../../packages/scanners/testdata/dependencies');
let folder = '';
let service: AdvisoryService;

beforeAll(async () => {
  service = await startAdvisories();
});
afterAll(() => service.close());
beforeEach(async () => {
  service.fault = 'none';
  folder = await mkdtemp(join(tmpdir(), 'dependency-scan-'));
  for (const name of ['bin', 'workspace', 'base', 'temp']) await mkdir(join(folder, name));
  await standIn('pip-audit', `cat '${join(recorded, 'pip-audit.json')}'; exit 1`);
});
afterEach(() => rm(folder, { recursive: true }));

async function standIn(name: string, script: string): Promise<void> {
  const program = join(folder, 'bin', name);
  await writeFile(program, `#!/bin/sh\necho "$*" >> '${join(folder, 'calls')}'\n${script}\n`);
  await chmod(program, 0o755);
}

const put = async (file: string, text: string) => {
  await mkdir(join(folder, file, '..'), { recursive: true });
  await writeFile(join(folder, file), text);
};

/** Copies recorded lock files, under the names that tools want. */
async function lock(to: string, files: Record<string, string>): Promise<void> {
  await mkdir(join(folder, to), { recursive: true });
  for (const [name, from] of Object.entries(files))
    await copyFile(join(recorded, from), join(folder, to, name));
}

const npmLock = { 'package.json': 'package.json', 'package-lock.json': 'package-lock.json' };
const hash = `--hash=sha256:${'0'.repeat(64)}`;
const pinned = `jinja2==2.4.1 ${hash}\nmarkupsafe==2.0.1 ${hash}\n`;

async function scan(
  changes: Partial<Inputs> = {},
  environment: NodeJS.ProcessEnv = {},
): Promise<{ outcome: Outcome; test: TestContext; text: string }> {
  const test = createTestContext({
    environment: {
      PATH: [join(folder, 'bin'), process.env['PATH']].join(delimiter),
      HOME: folder,
      npm_config_fetch_retries: '0',
      npm_config_update_notifier: 'false',
      ...environment,
    },
  });
  Object.assign(test.context.facts, { workspace: join(folder, 'workspace'), temp: join(folder, 'temp') });
  const outcome = await run(
    {
      paths: ['.'],
      baseline: undefined,
      'count-known': false,
      limits: 'critical: 0, high: 5',
      'ignore-file': undefined,
      'ignore-without-date': 'warn',
      sarif: true,
      'unknown-counts-as': 'high',
      severities: 'none',
      'ignore-unfixed': false,
      unaudited: undefined,
      'production-only': false,
      advisories: 'pypi',
      'osv-url': new URL(`${service.url}/v1`),
      'npm-registry': new URL(service.url),
      'install-pip-audit': false,
      timeout: 60_000,
      'github-token': undefined,
      ...changes,
    },
    test.context,
  );
  return { outcome, test, text: test.context.summary.text() };
}

describe('an audit with the real npm', () => {
  it(
    'finds what the lock has, with its line, its fix and who brings it in',
    { timeout: 60_000 },
    async () => {
      await lock('workspace/web', npmLock);
      const { outcome, text } = await scan();
      expect(outcome).toMatchObject({
        result: 'failed',
        reasonCode: 'findings_over_limit',
        outputs: { passed: false, findings: 2, new: undefined },
      });
      expect(outcome.report['findings']).toMatchObject([
        {
          rule: { id: 'GHSA-p6mc-m468-83gw' },
          severity: 'high',
          subject: { name: 'lodash', version: '4.17.15', fixedVersion: '4.17.19' },
          location: { file: 'web/package-lock.json', startLine: 15 },
          message: expect.stringContaining('(direct)'),
        },
        {
          rule: { id: 'GHSA-xvch-5gv4-984h' },
          severity: 'critical',
          subject: { name: 'minimist', version: '0.0.8' },
          message: expect.stringContaining('A fix updates mkdirp, which brings it in, to 0.5.6.'),
        },
      ]);
      expect(text).toContain('What fixes would change');
      expect(service.asked).toContain('POST /-/npm/v1/security/advisories/bulk');
    },
  );

  it('counts only what the base branch does not have', { timeout: 60_000 }, async () => {
    await lock('workspace', npmLock);
    await lock('base', npmLock);
    const { outcome } = await scan({ baseline: join(folder, 'base') });
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { passed: true, findings: 2, new: 0 } });
    expect((await scan({ baseline: join(folder, 'missing') })).outcome).toMatchObject({
      result: 'error',
      reasonCode: 'not_found',
    });
  });

  it(
    'leaves out what is for development when told to, whatever the settings of the project say',
    { timeout: 60_000 },
    async () => {
      const development = { name: 'x', version: '1.0.0', devDependencies: { lodash: '4.17.15' } };
      await put('workspace/package.json', JSON.stringify(development));
      const packages = { '': development, 'node_modules/lodash': { version: '4.17.15', dev: true } };
      await put(
        'workspace/package-lock.json',
        JSON.stringify({ name: 'x', version: '1.0.0', lockfileVersion: 3, requires: true, packages }),
      );
      await put('workspace/.npmrc', 'omit=dev\n');
      const found = async (productionOnly: boolean) =>
        (await scan({ 'production-only': productionOnly }, { NODE_ENV: 'production' })).outcome.outputs;
      expect(await found(false)).toMatchObject({ findings: 1 });
      expect(await found(true)).toMatchObject({ findings: 0 });
    },
  );

  it(
    'counts what has a fixed version that a package above keeps out, also without what is unfixed',
    { timeout: 60_000 },
    async () => {
      const asks = { name: 'x', version: '1.0.0', dependencies: { optimist: '0.6.1' } };
      await put('workspace/package.json', JSON.stringify(asks));
      const packages = {
        '': asks,
        'node_modules/optimist': { version: '0.6.1', dependencies: { minimist: '0.0.8' } },
        'node_modules/minimist': { version: '0.0.8' },
      };
      await put(
        'workspace/package-lock.json',
        JSON.stringify({ name: 'x', version: '1.0.0', lockfileVersion: 3, requires: true, packages }),
      );
      const { outcome } = await scan({ 'ignore-unfixed': true });
      expect(outcome).toMatchObject({ result: 'failed', outputs: { findings: 1 } });
      expect(outcome.report['findings']).toMatchObject([
        {
          subject: { name: 'minimist', fixedVersion: '0.2.4' },
          fixable: true,
          message: expect.stringContaining(
            'Fixed in 0.2.4, which the ranges of what brings it in do not allow unless `overrides` in package.json ask for it.',
          ),
        },
      ]);
    },
  );

  it('leaves a checkout of the base branch in the workspace out', { timeout: 60_000 }, async () => {
    await lock('workspace', npmLock);
    await lock('workspace/base', npmLock);
    const { outcome } = await scan({ baseline: join(folder, 'workspace', 'base'), limits: 'critical: 0' });
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { findings: 2, new: 0 } });
    expect(outcome.message).toContain('1 lock file audited');
  });

  it.each(['refuses', 'resets', 'nonsense'] as const)(
    'is an error when the service %s',
    { timeout: 60_000 },
    async (fault) => {
      await lock('workspace', npmLock);
      service.fault = fault;
      expect((await scan()).outcome).toMatchObject({
        result: 'error',
        reasonCode: 'scan_failed',
        outputs: { passed: undefined, counts: undefined },
      });
    },
  );
});

describe('an audit of every kind of lock file', () => {
  it('is one verdict', async () => {
    await lock('workspace/a', { 'pnpm-lock.yaml': 'pnpm-lock.yaml' });
    await lock('workspace/b', { 'yarn.lock': 'yarn.lock' });
    await lock('workspace/c', { 'yarn.lock': 'yarn-classic.lock' });
    await put('workspace/d/requirements.txt', pinned);
    await put('workspace/node_modules/x/package-lock.json', '{');
    await standIn('pnpm', `cat '${join(recorded, 'pnpm.json')}'; exit 1`);
    await standIn(
      'yarn',
      `case "$1" in npm) cat '${join(recorded, 'yarn.ndjson')}';; *) cat '${join(recorded, 'yarn-classic.ndjson')}';; esac; exit 1`,
    );
    const { outcome } = await scan({ limits: 'critical: 3, high: 4' });
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { passed: true, findings: 7 } });
    expect(outcome.message).toContain('4 lock files audited');
    expect(outcome.message).toContain('Rated by no advisory and counted as high: 1.');
    const places = (outcome.report['findings'] as { location: { file: string; startLine: number } }[]).map(
      ({ location }) => `${location.file}:${location.startLine}`,
    );
    expect(places).toEqual([
      'a/pnpm-lock.yaml:24',
      'a/pnpm-lock.yaml:18',
      'b/yarn.lock:8',
      'b/yarn.lock:15',
      'c/yarn.lock:9',
      'c/yarn.lock:5',
      'd/requirements.txt:1',
    ]);
  });

  it('reads what yarn 2 and 3 answer: one object, as registries answered before npm 7', async () => {
    await lock('workspace', { 'yarn.lock': 'yarn.lock' });
    await standIn('yarn', `cat '${join(recorded, 'pnpm.json')}'; exit 1`);
    const { outcome } = await scan();
    expect(outcome.report['findings']).toMatchObject([
      { location: { file: 'yarn.lock', startLine: 15 } },
      { location: { file: 'yarn.lock', startLine: 8 } },
    ]);
  });

  it('takes a package that was given up for no vulnerability, though yarn 4 ends with 1 for it', async () => {
    await lock('workspace', { 'yarn.lock': 'yarn.lock' });
    const line = {
      value: 'mkdirp',
      children: {
        ID: 'mkdirp (deprecation)',
        Issue: 'Legacy versions of mkdirp are no longer supported.',
        Severity: 'moderate',
        'Vulnerable Versions': '0.5.1',
        'Tree Versions': ['0.5.1'],
        Dependents: ['x@workspace:.'],
      },
    };
    await standIn('yarn', `echo '${JSON.stringify(line)}'; exit 1`);
    expect((await scan()).outcome).toMatchObject({ result: 'succeeded', outputs: { findings: 0 } });
  });

  it('counts once what a requirements file takes in from another, and says what it passes over', async () => {
    await put('workspace/requirements/base.txt', pinned);
    await put('workspace/requirements/prod.txt', '-r base.txt\n');
    await put('workspace/requirements/loop-a.txt', '-r loop-b.txt\n');
    await put('workspace/requirements/loop-b.txt', '-r loop-a.txt\n');
    await put('workspace/requirements/constraints.txt', 'jinja2<3\n');
    const { outcome, test, text } = await scan();
    expect(outcome).toMatchObject({ outputs: { findings: 3 } });
    const files = (outcome.report['findings'] as { location: { file: string } }[]).map(
      ({ location }) => location.file,
    );
    expect(files).toEqual(['base', 'loop-a', 'loop-b'].map((name) => `requirements/${name}.txt`));
    const said = 'requirements/constraints.txt: not audited, for constraints install nothing by themselves';
    expect(test.lines.join('\n')).toContain(said);
    expect(text).toContain(said);
  });

  it('takes severities from the advisories, and fails when these cannot be had', async () => {
    await put('workspace/requirements.txt', pinned);
    const { outcome } = await scan({ severities: 'osv' });
    expect(outcome).toMatchObject({
      result: 'succeeded',
      outputs: { counts: expect.stringContaining('"medium":1') },
    });
    service.fault = 'refuses';
    expect((await scan({ severities: 'osv' })).outcome).toMatchObject({
      result: 'error',
      message: expect.stringContaining('405'),
    });
  });

  it('takes out what an ignore file names by any of its names', async () => {
    await put('workspace/requirements.txt', pinned);
    await put('workspace/.dependencyignore', '# no bytecode cache is used\nPYSEC-2014-8 exp:2999-12-31\n');
    const { outcome, text } = await scan({ limits: 'high: 0' });
    expect(outcome).toMatchObject({ result: 'succeeded', outputs: { findings: 0 } });
    expect(text).toContain('ignored: CVE-2014-1402 in jinja2');
  });
});

describe('an ignore list of a tool itself', () => {
  beforeEach(async () => {
    await standIn('pnpm', 'echo "{}"');
    await standIn('yarn', 'env >> "$HOME/environment"; exit 0');
  });

  it.each<[string, string, string, string]>([
    [
      '.yarnrc.yml',
      "npmAuditIgnoreAdvisories: ['*']\n",
      '`npmAuditIgnoreAdvisories` in .yarnrc.yml (*)',
      'yarn',
    ],
    [
      'a/.yarnrc.yml',
      'npmAuditExcludePackages:\n  - lodash\n',
      '`npmAuditExcludePackages` in a/.yarnrc.yml (lodash)',
      'yarn',
    ],
    [
      'a/pnpm-workspace.yaml',
      'auditConfig:\n  ignoreGhsas: [GHSA-p6mc-m468-83gw]\n',
      '`auditConfig.ignoreGhsas` in a/pnpm-workspace.yaml (GHSA-p6mc-m468-83gw)',
      'pnpm',
    ],
    [
      'a/package.json',
      '{\t"pnpm": {"auditConfig": {"ignoreCves": ["CVE-2020-8203"]}}}',
      '`pnpm.auditConfig.ignoreCves` in a/package.json (CVE-2020-8203)',
      'pnpm',
    ],
  ])('in %s is no pass', async (name, text, said, tool) => {
    await put(`workspace/${name}`, text);
    const lockName = tool === 'yarn' ? 'yarn.lock' : 'pnpm-lock.yaml';
    await lock('workspace/a', { [lockName]: lockName });
    const { outcome } = await scan();
    expect(outcome).toMatchObject({
      result: 'error',
      reasonCode: 'scan_failed',
      message: expect.stringContaining(said),
      remedy: expect.stringContaining('`.dependencyignore.yaml`'),
    });
  });

  it.each([
    ['.yarnrc.yml', "npmAuditIgnoreAdvisories: ['* (deprecation)']\nnpmAuditExcludePackages: []\n"],
    ['.yarnrc.yml', 'npmAuditIgnoreAdvisories: { onConflict: reset, value: [] }\n'],
  ])('in %s that hides no vulnerability is none', async (name, text) => {
    await put(`workspace/${name}`, text);
    await lock('workspace', { 'yarn.lock': 'yarn.lock' });
    expect((await scan()).outcome).toMatchObject({ result: 'succeeded' });
  });

  it('in the base branch alone is a warning, so that the change that takes it out passes', async () => {
    await lock('workspace', { 'yarn.lock': 'yarn.lock' });
    await lock('base', { 'yarn.lock': 'yarn.lock' });
    await put('base/.yarnrc.yml', "npmAuditIgnoreAdvisories: ['*']\n");
    const { outcome, test } = await scan({ baseline: join(folder, 'base') });
    expect(outcome).toMatchObject({ result: 'succeeded' });
    expect(test.lines.join('\n')).toContain('are hidden by `npmAuditIgnoreAdvisories` in .yarnrc.yml (*)');
  });

  it('does not come to the tools by the environment, nor by a level of their settings', async () => {
    await lock('workspace/a', { 'yarn.lock': 'yarn.lock' });
    await lock('workspace/b', { 'pnpm-lock.yaml': 'pnpm-lock.yaml' });
    await standIn('pnpm', `cat '${join(recorded, 'pnpm.json')}'; exit 1`);
    await scan(
      {},
      {
        NODE_ENV: 'production',
        YARN_NPM_AUDIT_IGNORE_ADVISORIES: '*',
        YARN_NPM_AUDIT_EXCLUDE_PACKAGES: 'lodash',
      },
    );
    expect(await readFile(join(folder, 'environment'), 'utf8')).not.toMatch(
      /_AUDIT_(?:IGNORE|EXCLUDE)|NODE_ENV/,
    );
    expect(await readFile(join(folder, 'calls'), 'utf8')).toContain('audit --json --audit-level low');
  });
});

describe('an audit without a whole answer is an error, never a pass', () => {
  it.each<[string, string, string, RegExp]>([
    [
      'that skipped a package',
      `cat '${join(recorded, 'pip-audit-skipped.json')}'`,
      'pip-audit',
      /no answer about jinja2/,
    ],
    [
      'that left a package out',
      `echo '{"dependencies":[{"name":"jinja2","version":"2.4.1","vulns":[]}]}'`,
      'pip-audit',
      /did not answer about markupsafe/,
    ],
    ['that was cut', `head -c 100 '${join(recorded, 'pip-audit.json')}'; exit 1`, 'pip-audit', /JSON/],
    [
      'that is empty',
      'echo "ERROR: could not connect to the vulnerability feed" >&2; exit 1',
      'pip-audit',
      /could not connect/,
    ],
    ['that is empty and ends well', 'exit 0', 'pip-audit', /pip-audit/],
    [
      'that found nothing and ends badly',
      `echo '{"dependencies":[{"name":"jinja2","version":"1","vulns":[]},{"name":"markupsafe","version":"1","vulns":[]}]}'; exit 1`,
      'pip-audit',
      /ended with 1/,
    ],
  ])('one of pip-audit %s', async (_what, script, program, why) => {
    await put('workspace/requirements.txt', pinned);
    await standIn(program, script);
    const { outcome } = await scan();
    expect(outcome).toMatchObject({
      result: 'error',
      reasonCode: 'scan_failed',
      message: expect.stringMatching(why),
      outputs: { passed: undefined, findings: undefined },
    });
  });

  it.each<[string, string, string, string, RegExp]>([
    [
      'pnpm',
      'pnpm-lock.yaml',
      'pnpm-lock.yaml',
      'echo "ERR_PNPM_AUDIT_BAD_RESPONSE" >&2; exit 1',
      /wrote no answer/,
    ],
    [
      'pnpm',
      'pnpm-lock.yaml',
      'pnpm-lock.yaml',
      `echo '{"error":{"code":"ERR_PNPM","message":"responded with 405"}}'; exit 1`,
      /responded with 405/,
    ],
    ['yarn', 'yarn.lock', 'yarn.lock', 'echo "RequestError" >&2; exit 1', /lists nothing/],
    ['yarn', 'yarn.lock', 'yarn.lock', 'echo Usage: yarn; exit 0', /Usage/],
    [
      'yarn',
      'yarn.lock',
      'yarn-classic.lock',
      `echo '{"type":"info","data":"Visit"}'; exit 1`,
      /wrote no summary/,
    ],
    [
      'yarn',
      'yarn.lock',
      'yarn-classic.lock',
      `head -n 1 '${join(recorded, 'yarn-classic.ndjson')}'; exit 16`,
      /wrote no summary/,
    ],
  ])('one of %s about %s (%s): %s', async (program, name, from, script, why) => {
    await lock('workspace', { [name]: from });
    await standIn(program, script);
    expect((await scan()).outcome).toMatchObject({
      result: 'error',
      reasonCode: 'scan_failed',
      message: expect.stringMatching(why),
    });
  });

  it.each<[string, string, RegExp]>([
    ['package-lock.json', '{"lockfileVersion": 3, "pack', /not JSON/],
    ['package-lock.json', '{}', /no `lockfileVersion`/],
    ['pnpm-lock.yaml', 'lockfileVersion: [', /pnpm-lock.yaml/],
    ['yarn.lock', '# yarn lockfile v1\n\nlodash@^4:\n<<<<<<< HEAD\n', /no version follows/],
    ['yarn.lock', 'lodash: 1\n', /neither of yarn 1/],
    ['uv.lock', 'version = 1\n[[package]\n', /uv.lock/],
    ['uv.lock', 'revision = 1\n', /no `version`/],
    ['poetry.lock', '[[package]]\nname = "a"\nversion = "1"\n', /\[metadata\]/],
    [
      'uv.lock',
      'version = 1\n[[package]]\nname = "a"\nversion = "1"\nsource = { git = "https://git.example/a" }\n',
      /come from repositories/,
    ],
    ['pyproject.toml', '[tool.poetry.dependencies]\npython = "^3.12"\ndjango = "^5"\n', /no poetry.lock/],
  ])('of %s that is %s', async (name, text, why) => {
    await put(`workspace/${name}`, text);
    expect((await scan()).outcome).toMatchObject({
      result: 'error',
      reasonCode: 'scan_failed',
      message: expect.stringMatching(why),
    });
  });

  it('without the tool, or without any lock file', async () => {
    await put('workspace/requirements.txt', pinned);
    await rm(join(folder, 'bin', 'pip-audit'));
    expect((await scan()).outcome).toMatchObject({
      result: 'error',
      message: expect.stringContaining('pip-audit is not on PATH'),
    });
    expect((await scan({ paths: ['empty'] })).outcome).toMatchObject({
      result: 'error',
      reasonCode: 'not_found',
    });
    await mkdir(join(folder, 'workspace', 'empty'));
    expect((await scan({ paths: ['empty'] })).outcome).toMatchObject({
      result: 'error',
      message: expect.stringContaining('no lock file'),
    });
  });
});
