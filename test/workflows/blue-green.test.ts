// workflows-examples/linux-host-blue-green, from a push to the page that users see.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createExample, type Example, type Settings } from './example.ts';
import { deploymentsOf, stepsOf } from './repository.ts';

const examples = join(import.meta.dirname, '../../workflows-examples');
const checkout = 'actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1';
const prepare = 'Put the release where it stays';
const start = 'Start the new version, then give it all traffic';
const look = 'Look at it as users do';
const goBack = 'Go back, because users do not see a healthy application';
const patience = 120_000;

let example: Example;
const sha: Record<string, string> = {};

beforeAll(async () => {
  example = await createExample('linux-host-blue-green', {
    watch: '200ms',
    'ready-timeout': '20s',
    health: { interval: '100ms', timeout: '10s' },
  });
});
afterAll(() => example.end());

async function deploy(version: string, env: Record<string, string> = {}, settings: Settings = {}) {
  sha[version] = await example.commit(version, env, settings);
  return example.run('deploy.yml');
}

test(
  'the first and the second release get all traffic',
  async () => {
    for (const [version, slot] of [
      ['v1', 'blue'],
      ['v2', 'green'],
    ] as const) {
      const run = await deploy(version);
      expect(run.jobs, run.log).toEqual({ deploy: 'success' });
      expect(stepsOf(run)).toEqual([
        `${checkout}: success`,
        `${prepare}: success`,
        `${start}: success`,
        `${look}: success`,
        `post ${start}: success`,
      ]);
      expect(run.outputs['switch']).toMatchObject({
        result: 'succeeded',
        'reason-code': 'ok',
        version: sha[version],
        slot,
        'previous-version': version === 'v1' ? '' : sha['v1'],
      });
      expect(run.summary).toContain(`${sha[version]} has all traffic of helpdesk in production.`);
      expect(run.annotations).toEqual([]);
      expect(await example.serving()).toEqual([version]);
    }
  },
  patience,
);

test(
  'a run of a version that serves already changes nothing',
  async () => {
    const run = await example.run('deploy.yml', { event: 'workflow_dispatch' });
    expect(run.jobs, run.log).toEqual({ deploy: 'success' });
    expect(run.outputs['switch']).toMatchObject({ result: 'unchanged', 'reason-code': 'already_current' });
    expect(await example.serving()).toEqual(['v2']);
  },
  patience,
);

test(
  'a version that never gets ready is refused, with the reason where one looks',
  async () => {
    const run = await deploy('v3', { NEVER_READY: '1' }, { 'ready-timeout': '8s' });
    expect(run.jobs, run.log).toEqual({ deploy: 'failure' });
    expect(stepsOf(run)).toEqual([
      `${checkout}: success`,
      `${prepare}: success`,
      `${start}: failure`,
      `post ${start}: success`,
    ]);
    expect(run.outputs['switch']).toMatchObject({
      result: 'refused',
      'reason-code': 'not_ready',
      version: sha['v2'],
    });
    expect(run.summary).toContain('Blue-green switch: refused');
    expect(run.summary).toContain('answers 503');
    expect(run.summary).toContain(`${sha['v2']} (green) serves.`);
    expect(run.annotations).toContainEqual(
      expect.stringMatching(/^error Blue-green switch: refused \(not_ready\): /),
    );
    expect(await example.serving()).toEqual(['v2']);
  },
  patience,
);

test(
  'a version that is ready but not healthy for users is gone back from',
  async () => {
    const run = await deploy(
      'v4',
      {},
      { health: { json: { status: 'better than healthy' }, timeout: '500ms' } },
    );
    expect(run.jobs, run.log).toEqual({ deploy: 'failure' });
    expect(stepsOf(run)).toEqual([
      `${checkout}: success`,
      `${prepare}: success`,
      `${start}: success`,
      `${look}: failure`,
      `${goBack}: success`,
      `post ${goBack}: success`,
      `post ${start}: success`,
    ]);
    expect(run.outputs['switch']).toMatchObject({ result: 'succeeded', version: sha['v4'] });
    expect(run.annotations).toHaveLength(1);
    expect(run.annotations[0]).toMatch(/^error Health check: failed \(unhealthy\): /);
    expect(await example.serving()).toEqual(['v2']);
  },
  patience,
);

test(
  'rolling back by hand: the plan, a version by name, and one that never was',
  async () => {
    const rollback = (version: string, dryRun: boolean) =>
      example.run('rollback.yml', {
        event: 'workflow_dispatch',
        inputs: { version, 'dry-run': String(dryRun) },
      });
    const v1 = sha['v1'] ?? '';

    const plan = await rollback(v1, true);
    expect(plan.jobs, plan.log).toEqual({ rollback: 'success' });
    expect(plan.outputs['rollback']).toMatchObject({ result: 'planned', 'reason-code': 'dry_run' });
    expect(await example.serving()).toEqual(['v2']);

    const done = await rollback(v1, false);
    expect(done.jobs, done.log).toEqual({ rollback: 'success' });
    expect(stepsOf(done)).toEqual([
      `${checkout}: success`,
      'Give the traffic back: success',
      'post Give the traffic back: success',
    ]);
    expect(done.outputs['rollback']).toMatchObject({ result: 'succeeded', version: v1 });
    expect(await example.serving()).toEqual(['v1']);

    const unknown = await rollback('0.0.0', false);
    expect(unknown.jobs, unknown.log).toEqual({ rollback: 'failure' });
    expect(unknown.outputs['rollback']).toMatchObject({ 'reason-code': 'version_not_found' });
    expect(unknown.summary).toContain('Version 0.0.0 was never released here.');
    expect(await example.serving()).toEqual(['v1']);
  },
  patience,
);

test('GitHub was told of every deployment how far it was and what serves', () => {
  const deployments = deploymentsOf(example, sha);
  expect(deployments[1]).toContain('in_progress: Traffic: green 100 %');
  expect(deployments.map((statuses) => statuses.at(-1))).toEqual([
    'inactive: v2 serves now',
    'inactive: v2 serves now',
    'inactive: v4 serves now',
    expect.stringMatching(/^failure: v3 got no traffic: /),
    'inactive: v2 serves now',
    'inactive: v1 serves now',
    'success: v1 has all traffic of helpdesk in production.',
  ]);
});

test('the examples have one way to roll back', async () => {
  const [a, b] = await Promise.all(
    ['linux-host-blue-green', 'linux-host-canary'].map((name) =>
      readFile(join(examples, name, '.github/workflows/rollback.yml'), 'utf8'),
    ),
  );
  expect(a).toBe(b);
});
