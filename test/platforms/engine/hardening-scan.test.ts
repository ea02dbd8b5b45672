// hardening-scan as it ships on a real engine: what its settings and its containers give away.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createJob, type Job } from '../../support/runner.ts';
import { type Engine, openEngine } from './engine.ts';

const name = `hardening-scan-${process.pid}`;
let engine: Engine;
let job: Job;

beforeAll(async () => {
  engine = await openEngine((line) => void process.stderr.write(`${line}\n`));
  job = await createJob();
  await mkdir(join(job.workspace, 'app'), { recursive: true });
  await writeFile(join(job.workspace, 'app/Dockerfile'), 'FROM a:1\nUSER app\nHEALTHCHECK NONE\n');
  const given = ['--volume', '/var/run/docker.sock:/var/run/docker.sock', '--pid', 'host', '--user', '65534'];
  const image = engine.bases['python:3.11-slim'] ?? '';
  await engine.docker(
    ...['run', '--detach', '--name', name, '--network', 'none', ...given, image],
    ...['python3', '-c', 'import time; time.sleep(600)'],
  );
});
afterAll(async () => {
  await engine?.docker('rm', '--force', name);
  await job?.end();
  await engine?.end();
});

it('says what an engine and its containers give away, and needs an engine only when told to', async () => {
  const step = await job.step('hardening-scan', { limits: 'critical: 0' }, { env: engine.env });
  expect(step.outputs, step.log).toMatchObject({ result: 'failed', 'reason-code': 'findings_over_limit' });
  const report = JSON.parse(await readFile(step.outputs['report'] ?? '', 'utf8')) as {
    engine: string;
    findings: { rule: { id: string; tags: string[] }; subject: { name: string }; target: { kind: string } }[];
  };
  expect(report.engine).toMatch(/^Docker \d+\.\S+ on .*, \d+ running containers?$/);
  const of = (subject: string) =>
    report.findings
      .filter((finding) => finding.subject.name === subject && finding.target.kind === 'host')
      .map(({ rule }) => rule.id)
      .toSorted();
  expect(of(`container ${name}`)).toEqual([
    'docker-socket',
    'host-processes',
    'kept-capabilities',
    'no-cpu-limit',
    'no-health-check',
    'no-memory-limit',
    'no-process-limit',
    'privilege-escalation',
    'writable-root',
  ]);
  expect(of('engine')).toEqual(
    expect.arrayContaining(['engine-authorization', 'engine-restart', 'engine-users']),
  );
  expect(step.summary).toContain('CIS Docker 5.32');

  const elsewhere = { DOCKER_HOST: 'unix:///nowhere/docker.sock' };
  const away = await job.step('hardening-scan', {}, { env: { ...engine.env, ...elsewhere } });
  expect(away.outputs).toMatchObject({ result: 'succeeded', findings: '0' });
  expect(away.annotations.map(({ message }) => message).join() + away.log).toContain(
    'The engine was not looked at.',
  );
  const required = await job.step(
    'hardening-scan',
    { engine: 'required' },
    { env: { ...engine.env, ...elsewhere } },
  );
  expect(required.outputs).toMatchObject({ result: 'error', 'reason-code': 'unreachable', passed: '' });
});
