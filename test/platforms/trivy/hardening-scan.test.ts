// hardening-scan as it ships with the real Trivy on PATH: what both find is one finding.
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createJob, type Job, type StepResult } from '../../support/runner.ts';
import { trivyPrograms } from './trivy.ts';

let job: Job;
beforeAll(async () => {
  const programs = await trivyPrograms((line) => void process.stderr.write(`${line}\n`));
  job = await createJob({ env: { PATH: `${programs}:${process.env['PATH']}` } });
  const recorded = join(import.meta.dirname, '../../../packages/scanners/testdata/hardening');
  for (const name of ['Dockerfile', 'deployment.yaml', 'good.yaml', 'rollout.yaml', 'docker-compose.yml'])
    await cp(join(recorded, name), join(job.workspace, 'app', name), { recursive: true });
});
afterAll(() => job.end());

interface Found {
  fingerprint: string;
  severity: string;
  rule: { id: string };
  location: { file: string; startLine: number };
  aliases?: string[];
}

async function findingsOf(step: StepResult): Promise<Found[]> {
  const report = JSON.parse(await readFile(step.outputs['report'] ?? '', 'utf8')) as { findings: Found[] };
  return report.findings;
}

it('has the same findings with and without the real Trivy, each once, and those of Trivy alone', async () => {
  const limits = 'none';
  const alone = await findingsOf(await job.step('hardening-scan', { limits, trivy: 'none' }));
  const both = await findingsOf(await job.step('hardening-scan', { limits }));
  const identities = new Map(both.map(({ fingerprint, severity }) => [fingerprint, severity]));
  for (const { fingerprint, severity } of alone) expect(identities.get(fingerprint)).toBe(severity);
  expect(
    both.filter(({ fingerprint }) => !alone.some((each) => each.fingerprint === fingerprint)),
  ).toMatchObject([
    { rule: { id: 'no-cpu-limit' }, aliases: ['KSV-0011'], location: { file: 'app/deployment.yaml' } },
  ]);
  const byTrivy = both.filter(({ aliases = [] }) => aliases.length > 0).length;
  expect(byTrivy).toBeGreaterThan(20);
  // A container that says all that it should, and Trivy finds no rule of ours broken in it.
  expect(both.filter(({ location }) => location.file === 'app/good.yaml').map(({ rule }) => rule.id)).toEqual(
    ['network-policy-missing'],
  );
});
