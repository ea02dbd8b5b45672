// What the check of a migration plan becomes on GitHub: with the sample platform, a real PostgreSQL, and the double.

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type PythonSetup, setupPython } from '../../scripts/setup-python.ts';
import { makeRelease } from '../helpdesk/release.ts';
import { actionsBot, faults, type GitHubDouble, presets, startGitHub } from '../support/github/index.ts';
import { type Postgres, startPostgres } from '../support/postgres.ts';
import { createJob, type Job, type StepResult } from '../support/runner.ts';
import { ending } from './ending.ts';
import { distOption } from './host.ts';

let python: PythonSetup;
let postgres: Postgres;
let database: string;
let workspace: string;
let github: GitHubDouble;
let pull: { number: number; head: string };
const jobs: Job[] = [];

beforeAll(async () => {
  workspace = await mkdtemp(join(tmpdir(), 'migrations-'));
  [python, github] = await Promise.all([setupPython(), startGitHub()]);
  postgres = await startPostgres(python);
  database = await postgres.createDatabase('helpdesk');
  pull = github.openPull();
  for (const [number, kind] of [
    [2, 'good'],
    [3, 'unsafe-migration'],
  ] as const) {
    await makeRelease({ number, kind, directory: join(workspace, `release-${number}`) });
  }
});
afterEach(() => github.behave());
afterAll(async () => {
  for (const job of jobs) await job.end();
  await Promise.all([postgres.stop(), github.stop(), rm(workspace, { recursive: true, force: true })]);
});

async function migrate(
  number: number,
  inputs: Record<string, string> = {},
  own: { permissions?: Parameters<GitHubDouble['token']>[0]; from?: string } = {},
): Promise<StepResult> {
  const eventPath = join(workspace, 'event.json');
  const head = { sha: pull.head, repo: { full_name: own.from ?? github.name } };
  await writeFile(eventPath, JSON.stringify({ pull_request: { number: pull.number, head } }));
  const job = await createJob({
    ...distOption,
    workspace,
    token: github.token(own.permissions ?? presets.write, actionsBot),
    runId: String(200 + jobs.length),
    env: {
      GITHUB_API_URL: github.apiUrl,
      GITHUB_GRAPHQL_URL: github.graphqlUrl,
      GITHUB_EVENT_NAME: 'pull_request',
      GITHUB_EVENT_PATH: eventPath,
      GITHUB_SHA: github.head,
      GITHUB_REF: `refs/pull/${pull.number}/merge`,
      DATABASE_URL: database,
    },
  });
  jobs.push(job);
  return ending(job, 'migrate-db', {
    environment: 'production',
    migrator: 'django',
    directory: `release-${number}`,
    python: python.python,
    settings: 'config.settings.development',
    ...inputs,
  });
}

const warningsOf = (step: StepResult) =>
  step.annotations.filter(({ level }) => level === 'warning').map(({ message }) => message);
const comments = () => github.repository.comments.map(({ body }) => body);

describe('the check of a migration plan', { timeout: 120_000 }, () => {
  it('is a comment with the plan, and a check that passes, when nothing is wrong', async () => {
    const planned = await migrate(2, { 'dry-run': 'true' });
    expect(planned.outputs).toMatchObject({ result: 'planned', findings: '0' });
    expect(comments()).toEqual([expect.stringMatching(/findings: none[^]*SQL of tickets\./)]);
    expect(github.repository.checkRuns.at(-1)).toMatchObject({ head_sha: pull.head, conclusion: 'success' });
    const applied = await migrate(2);
    expect(applied.outputs['result']).toBe('succeeded');
    expect(comments()).toHaveLength(1);
  });

  let refused: StepResult;
  it('is annotations on its lines, in one comment and in code scanning', async () => {
    const planned = await migrate(3, { 'dry-run': 'true', sarif: 'true' });
    expect(planned.outputs).toMatchObject({ result: 'planned', planned: '1' });
    refused = await migrate(3, { sarif: 'true' });
    expect(refused.outputs).toMatchObject({ result: 'refused', 'reason-code': 'unsafe_migration' });
    expect(warningsOf(refused)).toEqual([]);

    const check = github.repository.checkRuns.at(-1);
    expect(check).toMatchObject({ name: 'Database migration for production', conclusion: 'failure' });
    expect(check?.annotations[0]).toMatchObject({
      path: expect.stringMatching(/^release-3\/.*\/migrations\/\d{4}_\w+\.py$/),
      annotation_level: 'failure',
    });
    expect(check?.annotations[0]?.start_line).toBeGreaterThan(1);
    expect(comments()).toEqual([expect.stringMatching(/^<!-- deploy-actions:migrate-db-production -->/)]);
    expect(comments()[0]).toContain('Too many findings');

    const upload = github.callsOf(/^POST .*sarifs$/).at(-1)?.body as { sarif: string; ref: string };
    expect(upload.ref).toBe(`refs/pull/${pull.number}/merge`);
    const sarif = gunzipSync(Buffer.from(upload.sarif, 'base64')).toString();
    expect(sarif).toContain(check?.annotations[0]?.path);
    expect(sarif).not.toContain(postgres.env['PGPASSWORD']);
  });

  it('has the same verdict where the token may only read', async () => {
    const step = await migrate(3, {}, { permissions: presets.fork, from: 'mallory/helpdesk' });
    expect(step.outputs).toEqual({ ...refused.outputs, report: step.outputs['report'] });
    expect(step.exitCode).toBe(refused.exitCode);
    // On the lines, where there is no check.
    expect(warningsOf(step).length).toBe(Number(refused.outputs['findings']));
    expect(step.summary).toContain('Too many findings');
  });

  it.each([
    ['is missing the permissions', faults.missingPermission, /Add `checks: write`/],
    ['has a bad day', faults.unavailable, /does not change the result/],
  ])('has the same verdict when GitHub %s', async (_what, fault, warning) => {
    github.inject({ fault });
    const step = await migrate(3);
    expect(step.outputs).toEqual({ ...refused.outputs, report: step.outputs['report'] });
    expect(step.exitCode).toBe(refused.exitCode);
    expect(warningsOf(step).join('\n')).toMatch(warning);
    expect(step.seconds).toBeLessThan(refused.seconds + 10);
  });
});
