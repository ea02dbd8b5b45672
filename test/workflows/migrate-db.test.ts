// The lines of the README for migrate-db and health-check, with the sample platform and a real PostgreSQL: a job makes the
// plan, people approve it, and another job applies that plan and no other one.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PythonSetup, setupPython } from '../../scripts/setup-python.ts';
import { makeRelease, type ReleaseKind } from '../helpdesk/release.ts';
import { type Postgres, startPostgres } from '../support/postgres.ts';
import { createRepository, type Repository, stepsOf } from './repository.ts';

const checkout = 'actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1';
const patience = 120_000;

const workflow = `
name: Migrate
on: workflow_dispatch
permissions: {}
concurrency:
  group: production
  cancel-in-progress: false
jobs:
  plan:
    runs-on: [self-hosted, production]
    permissions:
      contents: read
    outputs:
      plan-hash: \${{ steps.plan.outputs.plan-hash }}
    steps:
      - uses: ${checkout}
      - name: Plan
        id: plan
        uses: org/deploy-actions/migrate-db@v1
        with:
          environment: production
          dry-run: true
        env:
          DATABASE_URL: \${{ secrets.DATABASE_URL }}
  migrate:
    needs: plan
    environment: production
    runs-on: [self-hosted, production]
    permissions:
      contents: read
    env:
      DATABASE_URL: \${{ secrets.DATABASE_URL }}
    steps:
      - uses: ${checkout}
      - name: Migrate
        id: migrate
        uses: org/deploy-actions/migrate-db@v1
        with:
          environment: production
          approved-plan: \${{ needs.plan.outputs.plan-hash }}
      - name: Check
        uses: org/deploy-actions/health-check@v1
        with:
          environment: production
      - name: Say that the database is as it was
        if: failure() && steps.migrate.outputs.reason-code == 'unsafe_migration'
        run: echo "::notice::Nothing was migrated."
`;

let repository: Repository;
let python: PythonSetup;
let postgres: Postgres;
let url: string;

beforeAll(async () => {
  python = await setupPython();
  [postgres, repository] = await Promise.all([startPostgres(python), createRepository()]);
  url = await postgres.createDatabase('helpdesk');
});
afterAll(() => Promise.all([postgres.stop(), repository.end()]));

/** Commits a release of the sample platform with the workflow, and runs it. */
async function migrate(number: number, kind: ReleaseKind) {
  const { directory } = repository;
  const application = join(directory, `release-${number}`);
  await makeRelease({ number, kind, directory: application });
  const settings = {
    database: {
      migrator: 'django',
      directory: application,
      python: python.python,
      settings: 'config.settings.development',
      'postgres-bin': python.pgBin,
      backup: 'list',
      'backup-directory': join(repository.folder, 'backups'),
    },
    health: { command: [python.python, `release-${number}/manage.py`, 'migrate', '--check'], timeout: '0' },
    environments: { production: {} },
  };
  await mkdir(join(directory, '.github', 'workflows'), { recursive: true });
  await writeFile(join(directory, '.github', 'workflows', 'migrate.yml'), workflow);
  await writeFile(join(directory, '.github', 'deploy.yml'), JSON.stringify(settings));
  await repository.commit(`Release ${number}`);
  return repository.run('migrate.yml', { event: 'workflow_dispatch', secrets: { DATABASE_URL: url } });
}

test(
  'a plan that was approved is applied, after a backup, and checked',
  async () => {
    const run = await migrate(2, 'good');
    expect(run.jobs, run.log).toEqual({ plan: 'success', migrate: 'success' });
    expect(stepsOf(run)).toEqual([
      `${checkout}: success`,
      'Plan: success',
      'post Plan: success',
      `${checkout}: success`,
      'Migrate: success',
      'Check: success',
      'post Migrate: success',
    ]);
    expect(run.outputs['plan']).toMatchObject({ result: 'planned', 'reason-code': 'dry_run' });
    expect(run.outputs['migrate']).toMatchObject({ result: 'succeeded', 'reason-code': 'ok' });
    expect(run.outputs['migrate']?.['applied']).toBe(run.outputs['plan']?.['planned']);
    expect(Number(run.outputs['migrate']?.['applied'])).toBeGreaterThan(0);
    expect(run.outputs['migrate']?.['backup-sha256']).toMatch(/[0-9a-f]{64}/);
    expect(run.log).not.toContain(postgres.env['PGPASSWORD']);
  },
  patience,
);

test(
  'an unsafe migration stops the job before anything is written',
  async () => {
    const run = await migrate(3, 'unsafe-migration');
    expect(run.jobs, run.log).toEqual({ plan: 'success', migrate: 'failure' });
    expect(stepsOf(run)).toEqual([
      `${checkout}: success`,
      'Plan: success',
      'post Plan: success',
      `${checkout}: success`,
      'Migrate: failure',
      'Say that the database is as it was: success',
      'post Migrate: success',
    ]);
    expect(run.outputs['plan']).toMatchObject({ result: 'planned', planned: '1' });
    expect(run.outputs['migrate']).toMatchObject({
      result: 'refused',
      'reason-code': 'unsafe_migration',
      applied: '0',
      'backup-file': '',
    });
    expect(run.annotations).toContainEqual(
      expect.stringMatching(/^error Database migration: refused \(unsafe_migration\): /),
    );
  },
  patience,
);
