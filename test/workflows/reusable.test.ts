// The suite's reusable workflows, called from a user's repository by the lines of workflows-examples/linux-host-blue-green:
// the shipped files, with all of their jobs, and the suite's actions at the version that they name.
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { workflowsIn } from '../../scripts/check/readme-workflows.ts';
import { createExample, type Example, examples, type Settings } from './example.ts';
import type { ActRun } from '../support/act.ts';
import { deploymentsOf, pinned, type RunOptions, stepsOf } from './repository.ts';

const patience = 120_000;
const name = 'linux-host-blue-green';
const prepare = 'Put the release where it stays';

/** A job of the user's own, which is told what came out. (act ends with a called workflow that fails: then it runs none.) */
const after = `
  after:
    needs: release
    runs-on: ubuntu-latest
    steps:
      - id: after
        shell: bash
        env:
          OUTPUTS: \${{ toJSON(needs.release.outputs) }}
        run: echo "outputs=$(tr -d '\\n' <<< "$OUTPUTS")" >> "$GITHUB_OUTPUT"
`;

let example: Example;
const sha: Record<string, string> = {};
/** What the health endpoint says. */
let healthy = true;
const health = createServer((_asked, response) => response.writeHead(healthy ? 200 : 503).end());

/** The application gets ill when a job of the run logs this. */
function illAt(job: string, what: string): RunOptions {
  return {
    onLine(line) {
      if (line.includes(`"jobID":"${job}"`) && line.includes(what)) healthy = false;
    },
  };
}

beforeAll(async () => {
  health.listen(0, '127.0.0.1');
  await once(health, 'listening');
  const port = (health.address() as AddressInfo).port;
  example = await createExample(name, {
    strategy: 'blue-green',
    watch: '200ms',
    'watch-after': '200ms',
    'ready-timeout': '20s',
    health: { url: `http://127.0.0.1:${port}/`, interval: '100ms', timeout: '500ms' },
  });
  const workflows = workflowsIn(await readFile(join(examples, name, 'README.md'), 'utf8'));
  expect([...workflows.keys()]).toEqual(['Deploy', 'Roll back']);
  for (const [file, title] of [
    ['deploy.yml', 'Deploy'],
    ['rollback.yml', 'Roll back'],
  ] as const) {
    const text = workflows.get(title)?.replace('watch: 15m', 'watch: 1500ms') ?? '';
    const whole = title === 'Deploy' ? `${text}${after}` : text;
    await writeFile(join(example.directory, '.github/workflows', file), whole);
  }
});
afterAll(async () => {
  health.close();
  await example.end();
});

async function deploy(
  version: string,
  env: Record<string, string> = {},
  { settings = {}, ...options }: RunOptions & { settings?: Settings } = {},
) {
  sha[version] = await example.commit(version, env, {
    'linux-host': { directory: join(example.folder, 'releases/{version}') },
    ...settings,
  });
  return example.run('deploy.yml', options);
}

/** The outputs of the reusable workflow. */
const passedUp = (run: ActRun) => JSON.parse(run.outputs['after']?.['outputs'] ?? '{}') as unknown;

/** The last status of each deployment. */
const told = () => deploymentsOf(example, sha).map((statuses) => statuses.at(-1));

test(
  'a release is approved, deployed and watched',
  async () => {
    for (const version of ['v1', 'v2']) {
      const run = await deploy(version);
      expect(run.jobs, run.log).toEqual({
        approve: 'success',
        deploy: 'success',
        watch: 'success',
        after: 'success',
      });
      expect(stepsOf(run, 'deploy')).toEqual([
        `${pinned.checkout}: success`,
        `${prepare}: success`,
        'Deploy: success',
        'post Deploy: success',
      ]);
      expect(stepsOf(run, 'watch')).toEqual([`${pinned.checkout}: success`, 'Watch what users see: success']);
      expect(passedUp(run)).toEqual({
        result: 'succeeded',
        'reason-code': 'ok',
        version: sha[version],
        'previous-version': version === 'v1' ? '' : sha['v1'],
      });
      expect(run.annotations).toEqual([]);
      expect(run.summary).toContain(`${sha[version]} may be deployed to production.`);
      expect(await example.serving()).toEqual([version]);
    }
    const [, second = []] = deploymentsOf(example, sha);
    expect(second[0]).toBe('queued: Waiting for the environment');
    expect(second).toContain('in_progress: Traffic: green 100 %');
    expect(told()).toEqual([
      'inactive: v2 serves now',
      'success: v2 has all traffic of helpdesk in production.',
    ]);
  },
  patience,
);

test(
  'of a bad release everything goes back, and GitHub is told so',
  async () => {
    const run = await deploy('v3', { NEVER_READY: '1' }, { settings: { 'ready-timeout': '2s' } });
    expect(run.jobs, run.log).toEqual({ approve: 'success', deploy: 'failure' });
    expect(run.outputs['deploy']).toMatchObject({ result: 'refused', 'reason-code': 'not_ready' });
    expect(run.annotations).toContainEqual(expect.stringMatching(/^error Deploy: refused \(not_ready\): /));
    expect(await example.serving()).toEqual(['v2']);
    expect(told()[2]).toMatch(/^failure: v3 got no traffic: /);

    healthy = true;
    const becameIll = await deploy(
      'v4',
      {},
      { ...illAt('deploy', 'Traffic: '), settings: { 'watch-after': '2s' } },
    );
    expect(becameIll.jobs, becameIll.log).toEqual({ approve: 'success', deploy: 'failure' });
    expect(becameIll.outputs['deploy']).toMatchObject({
      result: 'rolled-back',
      'reason-code': 'unhealthy',
      version: sha['v2'],
      'rejected-version': sha['v4'],
    });
    expect(becameIll.summary).toContain('The traffic was given back');
    expect(await example.serving()).toEqual(['v2']);
    expect(told().slice(3)).toEqual([
      expect.stringMatching(/^failure: /),
      expect.stringMatching(/^success: v2 serves again\. /),
    ]);
  },
  patience,
);

test(
  'a release that gets ill while the job `watch` looks is given back',
  async () => {
    healthy = true;
    const run = await deploy('v5', {}, illAt('watch', '… watching'));
    expect(run.jobs, run.log).toEqual({ approve: 'success', deploy: 'success', watch: 'failure' });
    expect(stepsOf(run, 'watch')).toEqual([
      `${pinned.checkout}: success`,
      'Watch what users see: failure',
      'See who serves: success',
      'Go back, because users do not see a healthy application: success',
      'post Go back, because users do not see a healthy application: success',
      'post See who serves: success',
    ]);
    expect(run.outputs['serving']).toMatchObject({ result: 'planned', version: sha['v5'] });
    expect(run.outputs['back']).toMatchObject({ result: 'succeeded', version: sha['v2'] });
    expect(await example.serving()).toEqual(['v2']);
    expect(told().at(-1)).toBe('success: v2 has all traffic of helpdesk in production.');
  },
  patience,
);

test(
  'rolling back by hand: the plan, and the way back',
  async () => {
    const rollback = (version: string, dryRun: boolean) =>
      example.run('rollback.yml', {
        event: 'workflow_dispatch',
        inputs: { version, 'dry-run': String(dryRun) },
      });
    const plan = await rollback('previous', true);
    expect(plan.jobs, plan.log).toEqual({ rollback: 'success' });
    expect(plan.outputs['rollback']).toMatchObject({ result: 'planned', 'reason-code': 'dry_run' });
    expect(await example.serving()).toEqual(['v2']);

    const done = await rollback('previous', false);
    expect(done.jobs, done.log).toEqual({ rollback: 'success' });
    expect(stepsOf(done)).toEqual([
      `${pinned.checkout}: success`,
      'Give the traffic back: success',
      'post Give the traffic back: success',
    ]);
    expect(done.outputs['rollback']).toMatchObject({ result: 'succeeded', version: sha['v1'] });
    expect(await example.serving()).toEqual(['v1']);
    expect(told().at(-1)).toBe('success: v1 has all traffic of helpdesk in production.');
  },
  patience,
);
