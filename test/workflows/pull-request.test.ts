// workflows-examples/pull-request-checks, with the sample platform and a real PostgreSQL: what people see in a pull request.
// The workflow is as users copy it, but for the empty database: GitHub's runners bring one along, this machine has its own.
import { execFile } from 'node:child_process';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PythonSetup, setupPython } from '../../scripts/setup-python.ts';
import { makeRelease, type ReleaseKind } from '../helpdesk/release.ts';
import { presets, type PullRequest } from '../support/github/index.ts';
import { freePort } from '../support/ports.ts';
import { type Postgres, startPostgres } from '../support/postgres.ts';
import { examples, fillIn } from './example.ts';
import { createRepository, pinned, type Repository, type RunOptions, stepsOf } from './repository.ts';

const patience = 180_000;
const name = 'pull-request-checks';

let repository: Repository;
let python: PythonSetup;
let postgres: Postgres;
let production: string;
let listen: string;
let pull: PullRequest;
let commits = 0;

beforeAll(async () => {
  python = await setupPython();
  [postgres, repository] = await Promise.all([
    startPostgres(python),
    createRepository({ python: python.bin }),
  ]);
  production = await postgres.createDatabase('production');
  listen = `127.0.0.1:${await freePort()}`;
  const base = await commit(1, 'good');
  await promisify(execFile)(python.python, ['manage.py', 'migrate', '--noinput'], {
    cwd: repository.directory,
    env: { ...process.env, DATABASE_URL: production },
  });
  await repository.branch('topic');
  pull = repository.github.openPull({ base, head: base });
});
afterAll(() => Promise.all([postgres.stop(), repository.end()]));

/** Commits a release of the sample platform with the example's files. Returns the SHA. */
async function commit(number: number, kind: ReleaseKind): Promise<string> {
  const { directory, folder } = repository;
  for (const name of ['apps', 'config', 'manage.py', 'gunicorn.conf.py', 'VERSION'])
    await rm(join(directory, name), { recursive: true, force: true });
  commits += 1;
  const release = join(folder, `commit-${commits}`);
  await makeRelease({ number, kind, directory: release });
  await cp(release, directory, { recursive: true });
  await writeFile(join(directory, 'requirements.txt'), '# All is there.\n');
  await cp(join(examples, name, '.github'), join(directory, '.github'), { recursive: true });
  const file = join(directory, '.github/workflows/pull-request.yml');
  await writeFile(file, `${await readFile(file, 'utf8')}      database-url: \${{ vars.EMPTY_DATABASE }}\n`);
  const environmentFile = join(folder, 'production.env');
  await writeFile(
    environmentFile,
    `DATABASE_URL=${production}\nSECRET_KEY=for-the-test\nALLOWED_HOSTS=127.0.0.1\n`,
  );
  await fillIn(name, directory, {
    router: { listen },
    'state-directory': join(folder, 'state'),
    environments: {
      production: {
        'linux-host': { 'env-file': environmentFile },
        database: { 'env-file': environmentFile, python: python.python },
      },
    },
  });
  return repository.commit(`Release ${number}, ${kind}`);
}

/** Pushes a release to the pull request; its workflow runs. */
async function push(
  number: number,
  kind: ReleaseKind,
  { fork = false, ...options }: Partial<RunOptions> & { fork?: boolean } = {},
) {
  pull.head = await commit(number, kind);
  return repository.run('pull-request.yml', {
    event: 'pull_request',
    variables: { EMPTY_DATABASE: await postgres.createDatabase(`empty-${commits}`) },
    payload: {
      action: 'synchronize',
      number: pull.number,
      pull_request: {
        number: pull.number,
        head: {
          sha: pull.head,
          ref: 'topic',
          repo: { full_name: fork ? 'stranger/helpdesk' : 'acme/helpdesk' },
        },
        base: { sha: pull.base, ref: 'main', repo: { full_name: 'acme/helpdesk' } },
        user: { login: options.actor ?? 'a-developer' },
      },
      repository: { full_name: 'acme/helpdesk', default_branch: 'main' },
    },
    ...options,
  });
}

/** What GitHub shows of the pull request. */
function shown() {
  const { comments, checkRuns, analyses } = repository.github.repository;
  return {
    comments: comments.map(({ body }) => body),
    checks: checkRuns
      .filter(({ head_sha }) => head_sha === pull.head)
      .map(({ name: check, conclusion, annotations }) => ({ check, conclusion, annotations })),
    results: analyses.filter(({ commit_sha }) => commit_sha === pull.head).flatMap(({ runs }) => runs),
  };
}

const checkout = `${pinned.checkout}: success`;
const look = 'Check the migrations that are new';
const prepared = [
  checkout,
  checkout,
  `${pinned.setupPython}: success`,
  'Install what the migrations need: success',
  'Migrate it to where the base branch is: success',
];

test(
  'unsafe migrations are red, with the reason on their lines, in a comment and in code scanning',
  async () => {
    const run = await push(2, 'unsafe-migration');
    expect(run.jobs, run.log).toEqual({ config: 'success', migrations: 'failure', plan: 'success' });
    expect(stepsOf(run, 'config')).toEqual([checkout, 'Check deploy.yml: success']);
    expect(stepsOf(run, 'migrations')).toEqual([...prepared, `${look}: failure`, `post ${look}: success`]);
    expect(stepsOf(run, 'plan')).toEqual([checkout, 'Plan: success', 'post Plan: success']);
    expect(run.outputs['migrations']).toMatchObject({
      result: 'refused',
      'reason-code': 'unsafe_migration',
      planned: '3', // of the pull request alone
    });
    expect(run.outputs['plan']).toMatchObject({ result: 'planned', 'reason-code': 'dry_run' });
    expect(run.outputs['plan']?.['phases']).toContain('3 migrations would be applied, with 3 findings');

    const { comments, checks, results } = shown();
    expect(comments).toHaveLength(2);
    expect(comments).toContainEqual(
      expect.stringContaining('### Database migration for pull-request\n\nToo many findings: 2 high'),
    );
    expect(comments).toContainEqual(expect.stringContaining(`### Plan: helpdesk ${pull.head} to production`));
    const check = checks.find((one) => one.check === 'Database migration for pull-request');
    expect(check?.conclusion).toBe('failure');
    expect(check?.annotations).toContainEqual(
      expect.objectContaining({
        path: 'apps/tickets/migrations/0004_subject_and_severity.py',
        start_line: 18,
        annotation_level: 'failure',
      }),
    );
    expect(results).toEqual([expect.objectContaining({ tool: 'migrate-db', results: 3 })]);
    expect(run.summary).toContain('Too many findings: 2 high');
    expect(run.log).not.toContain(postgres.env['PGPASSWORD']);
  },
  patience,
);

test(
  'two more pushes renew the comments and add none',
  async () => {
    const before = repository.github.repository.comments.map(({ id }) => id);
    for (const number of [2, 3]) {
      const run = await push(number, 'good');
      expect(run.jobs, run.log).toEqual({ config: 'success', migrations: 'success', plan: 'success' });
      expect(stepsOf(run, 'migrations')).toEqual([...prepared, `${look}: success`, `post ${look}: success`]);
      expect(run.outputs['migrations']).toMatchObject({ result: 'succeeded', planned: '2', applied: '2' });
      expect(run.annotations).toEqual([]);
    }
    expect(repository.github.repository.comments.map(({ id }) => id)).toEqual(before);
    const { comments, checks } = shown();
    expect(comments).toContainEqual(
      expect.stringContaining('### Database migration for pull-request\n\nWithin the limits'),
    );
    expect(comments).toContainEqual(expect.stringContaining(`### Plan: helpdesk ${pull.head} to production`));
    expect(checks.map(({ conclusion }) => conclusion)).not.toContain('failure');
  },
  patience,
);

test.each([
  ['a fork', { fork: true, permissions: presets.fork }],
  ['Dependabot', { actor: 'dependabot[bot]', permissions: presets.dependabot }],
] as const)(
  'from %s the verdict is the same with a token that only reads, and nothing runs on the host',
  async (_who, options) => {
    const { comments } = shown();
    const run = await push(2, 'unsafe-migration', options);
    expect(run.jobs, run.log).toEqual({ config: 'success', migrations: 'failure' });
    expect(run.outputs['migrations']).toMatchObject({
      result: 'refused',
      'reason-code': 'unsafe_migration',
      planned: '3',
    });
    expect(run.summary).toContain('Too many findings: 2 high');
    expect(run.annotations).toContainEqual(expect.stringMatching(/^warning high rename: /));
    expect(run.annotations.filter((annotation) => annotation.startsWith('error '))).toEqual([
      expect.stringMatching(/^error Database migration: refused \(unsafe_migration\): /),
    ]);
    expect(shown()).toEqual({ comments, checks: [], results: [] });
  },
  patience,
);
