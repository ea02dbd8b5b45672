import { faults } from '../../test/support/github/index.ts';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeploymentPlan, resumeDeployment, trackDeployment } from './deployment.ts';
import { openStudio, type Studio } from './test-support.ts';

let studio: Studio;
beforeEach(async () => (studio = await openStudio()));
afterEach(() => studio.end());

const plan: DeploymentPlan = {
  environment: 'staging',
  version: '2',
  strategy: 'canary',
  commit: 'run',
  environmentUrl: new URL('https://staging.example/'),
  facts: { app: 'helpdesk' },
};
const deployments = () =>
  studio.github.repository.deployments.map(({ payload, sha, statuses }) => ({
    version: (payload as { version: string }).version,
    sha,
    states: statuses.map(({ state, description }) => `${state}: ${description}`),
  }));

/** A deployment from begin to end. */
async function deploy(
  own: Partial<DeploymentPlan>,
  ending: Parameters<ReturnType<typeof trackDeployment>['end']>[0],
) {
  const stage = await studio.stage();
  const tracker = trackDeployment(stage.reporting, stage.context, { ...plan, ...own });
  tracker.phase('Starting');
  await tracker.end(ending);
  return stage;
}

describe('a deployment', () => {
  it('says each phase and how it ended, with where it serves and where its log is', async () => {
    const { reporting, context, warnings } = await studio.stage();
    const tracker = trackDeployment(reporting, context, plan);
    tracker.phase('Starting');
    tracker.phase('Traffic: 20 %');
    tracker.phase('Traffic: 20 %');
    await tracker.end({ result: 'succeeded', message: '2 serves.', serving: '2' });
    tracker.phase('Too late');
    expect(deployments()).toEqual([
      {
        version: '2',
        sha: studio.github.head,
        states: [
          'queued: Waiting for the environment',
          'in_progress: Starting',
          'in_progress: Traffic: 20 %',
          'success: 2 serves.',
        ],
      },
    ]);
    const [made] = studio.github.repository.deployments;
    expect(made?.payload).toMatchObject({ app: 'helpdesk', strategy: 'canary', actor: 'ada' });
    expect(made?.statuses.at(-1)).toMatchObject({
      environment_url: 'https://staging.example/',
      log_url: 'https://github.example/acme/helpdesk/actions/runs/7/attempts/1',
    });
    expect(warnings).toEqual([]);
  });

  it.each(['staging', 'production'])('makes what served before inactive, in %s', async (environment) => {
    await deploy({ environment, version: '1' }, { result: 'succeeded', message: 'ok', serving: '1' });
    await deploy({ environment }, { result: 'succeeded', message: 'ok', serving: '2' });
    expect(deployments().map(({ states }) => states.at(-1)?.split(':')[0])).toEqual(['inactive', 'success']);
  });

  it('of a version that is taken back fails, and what serves again is the latest', async () => {
    const first = studio.github.head;
    const at = (sha: string) => ({ commit: { sha } });
    await deploy({ version: '1', ...at(first) }, { result: 'succeeded', message: 'ok', serving: '1' });
    await deploy(at(studio.github.push('main')), { result: 'rolled-back', message: 'Errors.', serving: '1' });
    expect(deployments().map(({ version, sha, states }) => [version, sha === first, states.at(-1)])).toEqual([
      ['1', true, 'inactive: '],
      ['2', false, 'failure: Errors.'],
      ['1', true, 'success: 1 serves again. Errors.'],
    ]);
  });

  it('has no other commit than that of its version', async () => {
    const gone = await deploy({ commit: 'earlier' }, { result: 'succeeded', message: 'Back.', serving: '2' });
    expect(deployments()).toEqual([]);
    expect(gone.lines.join('\n')).toContain('the commit that it was released from is not known');
  });

  it('is not made without a token', async () => {
    const { reporting, context, warnings } = await studio.stage({ permissions: null });
    await trackDeployment(reporting, context, plan).end({ result: 'succeeded', message: '', serving: '2' });
    expect(studio.github.calls).toEqual([]);
    expect(warnings).toEqual([]);
  });

  it('that the main step left open is ended by the post step, and only then', async () => {
    const main = await studio.stage();
    const tracker = trackDeployment(main.reporting, main.context, plan);
    tracker.phase('Starting');
    await expect.poll(() => main.remembered['deployment-id']).toBeDefined();
    const post = await studio.stage({ recall: main.remembered });
    const left = resumeDeployment(post.reporting, post.context, plan);
    await left?.end({ result: 'cancelled', message: 'Taken back.', serving: '1' });
    expect(deployments()).toHaveLength(1);
    expect(deployments()[0]?.states.at(-1)).toBe('error: Taken back.');
    const again = await studio.stage({ recall: { ...main.remembered, ...post.remembered } });
    expect(resumeDeployment(again.reporting, again.context, plan)).toBeUndefined();
  });

  it('is ended by the post step as the main step would have, when GitHub did not hear of it', async () => {
    const main = await studio.stage();
    const tracker = trackDeployment(main.reporting, main.context, plan);
    await expect.poll(() => main.remembered['deployment-id']).toBeDefined();
    studio.github.inject({ operation: /statuses/, fault: faults.missingPermission });
    const ending = { result: 'failed', message: 'Never ready.', serving: '1' } as const;
    await tracker.end(ending);
    expect(main.warnings.join()).toContain('Add `deployments: write` to the `permissions` of the job.');
    studio.github.behave();
    const post = await studio.stage({ recall: main.remembered });
    const found = { result: 'cancelled', message: 'Who knows.', serving: undefined } as const;
    await resumeDeployment(post.reporting, post.context, plan)?.end(found);
    expect(deployments()[0]?.states.at(-1)).toBe('failure: Never ready.');
  });
});
