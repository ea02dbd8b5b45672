// workflows-examples/pull-request-checks, with the sample platform and a real PostgreSQL: what people see in a pull request.
// The workflow is as users copy it, but for the empty database: GitHub's runners bring one along, this machine has its own.
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PythonSetup, setupPython } from '../../scripts/setup-python.ts';
import { makeRelease, type ReleaseKind } from '../helpdesk/release.ts';
import type { PullRequest } from '../support/github/index.ts';
import { freePort } from '../support/ports.ts';
import { type Postgres, startPostgres } from '../support/postgres.ts';
import { examples, fillIn } from './example.ts';
import { createRepository, type Repository, type RunOptions, stepsOf } from './repository.ts';

const patience = 180_000;
const name = 'pull-request-checks';

let repository: Repository;
let python: PythonSetup;
let postgres: Postgres;
let production: string;
let listen: string;
let pull: PullRequest;
let databases = 0;

beforeAll(async () => {
  python = await setupPython();
  [postgres, repository] = await Promise.all([
    startPostgres(python),
    createRepository({ python: python.bin }),
  ]);
  production = await postgres.createDatabase('production');
  listen = `127.0.0.1:${await freePort()}`;
  const base = await commit(1, 'good');
  await repository.branch('topic');
  pull = repository.github.openPull({ base, head: base });
});
afterAll(() => Promise.all([postgres.stop(), repository.end()]));

/** Commits a release of the sample platform with the example's files. Returns the SHA. */
async function commit(number: number, kind: ReleaseKind): Promise<string> {
  const { directory, folder } = repository;
  for (const name of ['apps', 'config', 'manage.py', 'gunicorn.conf.py', 'VERSION'])
    await rm(join(directory, name), { recursive: true, force: true });
  const release = join(folder, `release-${number}-${kind}`);
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
  databases += 1;
  return repository.run('pull-request.yml', {
    event: 'pull_request',
    variables: { EMPTY_DATABASE: await postgres.createDatabase(`empty-${databases}`) },
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

test(
  'a good one',
  async () => {
    const run = await push(2, 'good');
    await writeFile('/tmp/pr-run.log', run.log);
    console.log(run.jobs, stepsOf(run), run.outputs, run.annotations);
    const { comments, checkRuns, analyses } = repository.github.repository;
    console.log(JSON.stringify({ comments, checkRuns, analyses }, null, 1));
    console.log(repository.github.calls.map((call) => `${call.operation} ${call.outcome}`));
    expect(run.jobs).toEqual({});
  },
  patience,
);
