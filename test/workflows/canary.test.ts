// workflows-examples/linux-host-canary, under the traffic that a canary is judged by.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Load, startLoad } from '../support/load/index.ts';
import { createExample, type Example, type Settings } from './example.ts';
import { deploymentsOf, stepsOf } from './repository.ts';

const checkout = 'actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1';
const prepare = 'Put the release where it stays';
const give = 'Give the new version more and more of the traffic';
const patience = 120_000;

let example: Example;
let load: Load | undefined;
const sha: Record<string, string> = {};

beforeAll(async () => {
  example = await createExample('linux-host-canary', {
    'ready-timeout': '20s',
    'linux-host': { instances: 1 }, // so that exactly every fifth answer of the bad version is an error
    canary: { pause: '1s' },
    analysis: { 'min-requests': 20, interval: '200ms', 'hold-timeout': '15s' },
  });
});
afterAll(async () => {
  load?.kill();
  await example.end();
});

async function deploy(version: string, env: Record<string, string> = {}, settings: Settings = {}) {
  sha[version] = await example.commit(version, env, settings);
  return example.run('deploy.yml');
}

test(
  'the first release has nothing to be compared with and gets all traffic',
  async () => {
    const run = await deploy('v1');
    expect(run.jobs, run.log).toEqual({ deploy: 'success' });
    expect(await example.serving()).toEqual(['v1']);
    load = await startLoad({ url: example.url, rate: 100, durationSeconds: 120, kinds: ['new'] });
  },
  patience,
);

test(
  'a good version is promoted weight by weight',
  async () => {
    const run = await deploy('v2');
    expect(run.jobs, run.log).toEqual({ deploy: 'success' });
    expect(stepsOf(run)).toEqual([
      `${checkout}: success`,
      `${prepare}: success`,
      `${give}: success`,
      `post ${give}: success`,
    ]);
    expect(run.outputs['canary']).toMatchObject({
      result: 'succeeded',
      'reason-code': 'ok',
      version: sha['v2'],
      'previous-version': sha['v1'],
      verdict: 'pass',
      weight: '80',
    });
    for (const weight of ['20 %', '40 %', '60 %', '80 %'])
      expect(run.summary).toContain(`| ${weight} | pass`);
    expect(await example.serving()).toEqual(['v2']);
  },
  patience,
);

test(
  'a version with 20 % errors goes back at its first weight, and later steps know why',
  async () => {
    const run = await deploy('v3', { ERROR_EVERY: '5' });
    expect(run.jobs, run.log).toEqual({ deploy: 'failure' });
    expect(stepsOf(run)).toEqual([
      `${checkout}: success`,
      `${prepare}: success`,
      `${give}: failure`,
      'Users met errors or slow answers: success',
      `post ${give}: success`,
    ]);
    expect(run.outputs['canary']).toMatchObject({
      result: 'rolled-back',
      'reason-code': 'limit_exceeded',
      version: sha['v2'],
      verdict: 'fail',
      weight: '20',
    });
    expect(run.annotations).toContainEqual(
      expect.stringMatching(/^error Canary: rolled-back \(limit_exceeded\): /),
    );
    expect(run.annotations.at(-1)).toBe(
      `warning Canary taken back: It had 20 % of the traffic. ${sha['v2']} serves.`,
    );
    expect(run.summary).toContain('Canary: rolled-back');
    expect(await example.serving()).toEqual(['v2']);
  },
  patience,
);

test(
  'a run that is cancelled half-way is settled by its post step',
  async () => {
    sha['v4'] = await example.commit('v4', {}, { canary: { pause: '1h' } });
    const run = await example.run('deploy.yml', { cancelAt: '… watching' });
    expect(run.jobs, run.log).toEqual({ deploy: 'failure' });
    // act ends the action's process with SIGKILL, which is harder than a runner is: only the post step can settle.
    expect(run.log).toContain('this step has been cancelled: signal: killed');
    expect(stepsOf(run)).toEqual([
      `${checkout}: success`,
      `${prepare}: success`,
      `${give}: failure`,
      `post ${give}: success`,
    ]);
    expect(run.log).toContain(`${sha['v4']} was taken back: `);
    expect(await example.serving()).toEqual(['v2']);
  },
  patience,
);

test('GitHub was told of every deployment how far it was and what serves', () => {
  const deployments = deploymentsOf(example, sha);
  expect(deployments[1]).toContain('in_progress: Traffic: green 100 %');
  expect(deployments.map((statuses) => statuses.at(-1))).toEqual([
    'inactive: v2 serves now',
    'inactive: v2 serves now',
    expect.stringMatching(/^failure: v3 was taken back: At 20 % .* Error rate /),
    expect.stringMatching(/^success: v2 serves again\. /),
    expect.stringMatching(/^error: v4 was taken back: /),
  ]);
});

test('none of the requests was lost', async () => {
  const report = await load?.stop();
  expect(report?.total.new).toMatchObject({ lost: 0 });
  expect(report?.total.new?.sent).toBeGreaterThan(500);
});
