// The action as it ships with the real pip-audit, which it installs itself, and the real npm, before an advisory service of our own: the
// public ones cannot be reached everywhere, and know more every day.
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AdvisoryService, startAdvisories } from '../../support/advisories.ts';
import { createJob, type Job, type StepResult } from '../../support/runner.ts';

const recorded = join(import.meta.dirname, '../../../packages/scanners/testdata/dependencies');
let service: AdvisoryService;
let job: Job;

beforeAll(async () => {
  service = await startAdvisories();
  // What pip is told of its index is this machine's own.
  const pip = Object.entries(process.env).filter(([name]) => name.startsWith('PIP_'));
  job = await createJob({
    env: {
      ...Object.fromEntries(pip.map(([name, value = '']) => [name, value])),
      npm_config_fetch_retries: '0',
      npm_config_update_notifier: 'false',
    },
  });
});
afterAll(async () => {
  await job.end();
  await service.close();
});
beforeEach(async () => {
  service.fault = 'none';
  service.asked.length = 0;
  await rm(job.workspace, { recursive: true });
});

const put = async (file: string, text: string) => {
  await mkdir(dirname(join(job.workspace, file)), { recursive: true });
  await writeFile(join(job.workspace, file), text);
};

const hash = `--hash=sha256:${'0'.repeat(64)}`;
const requirements = `# What is installed\nJinja2==2.4.1 ${hash}\nmarkupsafe==2.0.1 ${hash}\n`;
const poetry = `[[package]]
name = "werkzeug"
version = "0.11"
optional = false
python-versions = "*"

[metadata]
lock-version = "2.0"
python-versions = "*"
content-hash = "0"
`;
const uv = `version = 1
requires-python = ">=3.11"

[[package]]
name = "helpdesk"
version = "0.1.0"
source = { virtual = "." }
dependencies = [{ name = "pillow" }]

[[package]]
name = "pillow"
version = "8.0.1"
source = { registry = "https://packages.example/simple" }
`;

function scan(inputs: Record<string, string> = {}): Promise<StepResult> {
  return job.step('dependency-scan', {
    advisories: 'osv',
    'osv-url': `${service.url}/v1`,
    'npm-registry': service.url,
    ...inputs,
  });
}

interface Found {
  rule: { id: string };
  severity: string;
  location: { file: string; startLine: number };
  message: string;
}

describe('the real pip-audit and the real npm', () => {
  it('answer about lock files of every kind, in one verdict', async () => {
    await put('backend/requirements.txt', requirements);
    await put('ai/poetry.lock', poetry);
    await put('worker/uv.lock', uv);
    await mkdir(join(job.workspace, 'portal'), { recursive: true });
    for (const name of ['package.json', 'package-lock.json'])
      await copyFile(join(recorded, name), join(job.workspace, 'portal', name));
    const step = await scan();
    expect(step.outputs, step.log).toMatchObject({
      result: 'failed',
      'reason-code': 'findings_over_limit',
      passed: 'false',
      findings: '5',
    });
    expect(JSON.parse(step.outputs['counts'] ?? '')).toMatchObject({ critical: 2, high: 2, medium: 1 });
    const report = JSON.parse(await readFile(step.outputs['report'] ?? '', 'utf8')) as { findings: Found[] };
    expect(
      report.findings
        .map(
          ({ rule, severity, location }) => `${location.file}:${location.startLine} ${rule.id} ${severity}`,
        )
        .toSorted(),
    ).toEqual([
      'ai/poetry.lock:2 CVE-2019-14806 high',
      'backend/requirements.txt:2 CVE-2014-1402 medium',
      'portal/package-lock.json:15 GHSA-p6mc-m468-83gw high',
      'portal/package-lock.json:20 GHSA-xvch-5gv4-984h critical',
      'worker/uv.lock:11 CVE-2021-25289 critical',
    ]);
    expect(JSON.parse(step.outputs['fixes'] ?? '')).toContainEqual({
      lockFile: 'worker/uv.lock',
      package: 'pillow',
      from: '8.0.1',
      to: '8.1.1',
      ends: 1,
    });
    expect(service.asked.filter((call) => call === 'POST /v1/query')).toHaveLength(4);
  });

  it('count only what the base branch does not have', async () => {
    await put('requirements.txt', `${requirements}werkzeug==0.11 ${hash}\n`);
    await put('.base/requirements.txt', requirements);
    const step = await scan({ baseline: '.base', limits: 'high: 0' });
    expect(step.outputs, step.log).toMatchObject({ result: 'failed', findings: '2', new: '1' });
    await put('requirements.txt', `# a line more\n${requirements}`);
    expect((await scan({ baseline: '.base', limits: 'medium: 0' })).outputs).toMatchObject({
      result: 'succeeded',
      findings: '1',
      new: '0',
    });
  });

  it('pass what has no advisories', async () => {
    await put('requirements.txt', `jinja2==3.1.6 ${hash}\n`);
    expect((await scan()).outputs).toMatchObject({ result: 'succeeded', passed: 'true', findings: '0' });
  });

  it.each(['refuses', 'resets', 'nonsense'] as const)(
    'are an error and no pass when the service %s',
    async (fault) => {
      await put('requirements.txt', `jinja2==3.1.6 ${hash}\n`);
      service.fault = fault;
      const step = await scan();
      expect(step.outputs).toMatchObject({ result: 'error', 'reason-code': 'scan_failed', passed: '' });
      expect(step.exitCode).toBe(1);
      expect(service.asked.length).toBeGreaterThan(0);
    },
  );

  it('are an error and no pass where there is no service', async () => {
    await put('requirements.txt', `jinja2==3.1.6 ${hash}\n`);
    const step = await scan({ 'osv-url': 'http://127.0.0.1:1/v1' });
    expect(step.outputs).toMatchObject({ result: 'error', 'reason-code': 'scan_failed', passed: '' });
  });
});
