import { describe, expect, it } from 'vitest';
import type { DeploymentProgress } from '@deploy-actions/action-kit';
import { createTestContext } from '../../test/support/context.ts';
import { actionsBot, presets, startGitHub } from '../../test/support/github/index.ts';
import { deploymentPlan, describeEvent, environmentUrlOf, tracked } from './tracked.ts';

const inputs = {
  app: 'helpdesk',
  environment: 'production',
  platform: 'linux-host',
  router: 'embedded-proxy',
  images: undefined,
  notes: undefined,
  'environment-url': undefined,
  'probe-url': undefined,
  'github-token': undefined,
} as const;
const done = {
  result: 'succeeded',
  reasonCode: 'ok',
  message: '',
  outputs: { version: '2' },
  report: {},
} as const;

describe('where an environment is seen', () => {
  const seen = (given: { at?: string; probed?: string }) =>
    environmentUrlOf({
      'environment-url': given.at === undefined ? undefined : new URL(given.at),
      'probe-url': given.probed === undefined ? undefined : new URL(given.probed),
    })?.href;

  it('is what the inputs say, else the site that is probed', () => {
    expect(seen({ at: 'https://a.example/x', probed: 'https://b.example/health/' })).toBe(
      'https://a.example/x',
    );
    expect(seen({ probed: 'https://b.example/health/?deep=1' })).toBe('https://b.example/');
    expect(seen({})).toBeUndefined();
  });

  it.each([
    'http://127.0.0.1:8080/',
    'http://localhost/',
    'http://[::1]:80/',
    'http://0.0.0.0/',
    'http://a.localhost/',
  ])('is not %s, which nobody else sees', (probed) => expect(seen({ probed })).toBeUndefined());
});

describe('the commit of a deployment', () => {
  const commit = (known?: { sha: string; images: Record<string, string> }) =>
    deploymentPlan(inputs, { version: '2', strategy: 'rollback', known }).commit;

  it('is that of the run, or the one that the ledger has of a version that is gone back to', () => {
    expect(commit()).toBe('run');
    expect(commit({ sha: 'a'.repeat(40), images: {} })).toEqual({ sha: 'a'.repeat(40) });
    expect(commit({ sha: '', images: {} })).toBe('earlier');
  });
});

describe('a phase', () => {
  it('is told in words, once it is news', () => {
    const told = (what: 'phase' | 'traffic' | 'verified', message: string) =>
      describeEvent({ at: 0, what, message }, '2');
    expect(told('traffic', 'green 20 %, blue 80 %')).toBe('Traffic: green 20 %, blue 80 %');
    expect(told('phase', 'starting')).toBe('Starting 2 and waiting until it is ready');
    expect(told('phase', 'finished')).toBeUndefined();
    expect(told('verified', 'seen')).toBeUndefined();
  });
});

describe('an action', () => {
  it('has a deployment of its own, but as a phase of a pipeline', async () => {
    const github = await startGitHub();
    const work = (progress: DeploymentProgress) => {
      progress.phase('Starting 2');
      return Promise.resolve(done);
    };
    const facts = {
      ...createTestContext().context.facts,
      repository: github.name,
      sha: github.head,
      apiUrl: github.apiUrl,
      graphqlUrl: github.graphqlUrl,
    };
    const given = { ...inputs, 'github-token': github.token(presets.write, actionsBot) };
    const plan = deploymentPlan(given, { version: '2', strategy: 'canary' });
    const phases: string[] = [];
    const deployment = { phase: (description: string) => void phases.push(description) };
    expect(await tracked(createTestContext({ facts, deployment }).context, given, plan, work)).toBe(done);
    expect(phases).toEqual(['Starting 2']);
    expect(github.calls).toEqual([]);

    await tracked(createTestContext({ facts }).context, given, plan, work);
    expect(github.repository.deployments).toHaveLength(1);
    const failing = () => Promise.reject(new Error('disk full'));
    await expect(tracked(createTestContext({ facts }).context, given, plan, failing)).rejects.toThrow(
      'disk full',
    );
    expect(github.repository.deployments.at(-1)?.statuses.at(-1)).toMatchObject({
      state: 'error',
      description: 'disk full',
    });
    await github.stop();
  });
});
