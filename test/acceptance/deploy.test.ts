import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faults } from '../support/github/index.ts';
import { ending, errorOf } from './ending.ts';
import { tree } from './host.ts';
import { createPipelineBench, phasesOf, type PipelineBench } from './pipeline.ts';

describe('the pipeline in one step', { timeout: 90_000 }, () => {
  let bench: PipelineBench;
  beforeAll(async () => {
    bench = await createPipelineBench();
  });
  afterAll(() => bench.end());

  it('says what deploy.yml lacks before it touches anything', async () => {
    const step = await bench.deploy('v1', { strategy: 'canary', 'webhook-url': bench.receiver });
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'invalid_config' });
    expect(errorOf(step)).toMatch(/- app: is required and missing.*- platform: is required and missing/s);
    expect((await bench.job.post(step))?.exitCode).toBe(0);
    expect(await tree(bench.host.state)).toEqual({});
    expect(bench.github.calls).toEqual([]);
    expect(bench.told.map(({ body }) => JSON.parse(body) as unknown)).toEqual([
      expect.objectContaining({ result: 'refused', reasonCode: 'invalid_config', version: 'v1' }),
    ]);
  });

  it('plans without writing, in the one comment of the pull request', async () => {
    await bench.configure({ VERSION: 'v1' }, { checks: { required: ['unit (ubuntu, 24)'] } });
    const { number, head } = bench.github.openPull();
    const event = join(bench.host.root, 'event.json');
    const repo = { full_name: bench.github.name };
    await writeFile(event, JSON.stringify({ pull_request: { number, head: { sha: head, repo } } }));
    const pull = await bench.jobOf({ env: { GITHUB_EVENT_NAME: 'pull_request', GITHUB_EVENT_PATH: event } });
    for (const version of ['v1', 'v2']) {
      const step = await bench.deploy(version, { 'dry-run': 'true' }, pull);
      expect(step.outputs).toMatchObject({
        result: 'planned',
        'reason-code': 'dry_run',
        phase: 'postflight',
      });
      expect(phasesOf(step)).toEqual([
        'preflight: planned',
        'shift: planned',
        'watch: planned',
        'postflight: planned',
      ]);
      expect(step.summary).toContain(`start ${version} in blue`);
    }
    expect(await tree(bench.host.state)).toEqual({});
    expect(bench.github.repository.comments).toHaveLength(1);
    const [comment] = bench.github.repository.comments;
    expect(comment).toMatchObject({ issue: number });
    expect(comment?.body).toContain('Plan: helpdesk v2 to production');
    expect(comment?.body).toContain('start v2 in blue');
    expect(comment?.body).not.toContain('start v1 in blue');
    expect(comment?.body).toContain('⏳ not on the commit');
    expect(bench.github.repository.deployments).toEqual([]);
  });

  it('waits for no check in vain, and touches nothing before they are green', async () => {
    await bench.configure({ VERSION: 'v1' }, { checks: { required: ['unit', 'security'], timeout: '1s' } });
    bench.github.repository.statuses.push({
      ...{ id: 7, sha: bench.github.head, context: 'unit', state: 'success', description: null },
    });
    const step = await bench.deploy('v1');
    expect(step.outputs).toMatchObject({
      ...{ result: 'refused', 'reason-code': 'checks_not_green', phase: 'preflight', version: '' },
    });
    expect(errorOf(step)).toContain('«security» is not on the commit. Nothing was touched.');
    expect(step.log).toContain('waiting for the checks of the commit');
    expect(await tree(bench.host.state)).toEqual({});
    expect(bench.statusesOf('v1')?.at(-1)).toContain('failure: The commit is not green');
  });

  it.each([
    ['GitHub refuses', faults.unprocessable, 'internal'],
    ['the token may not read them', faults.missingPermission, 'permission_denied'],
  ])('stops before any write when the checks cannot be read: %s', async (_why, fault, reasonCode) => {
    bench.github.inject({ operation: /commits\/\{ref\}\/check-runs$/, fault });
    const step = await bench.deploy('v1');
    bench.github.behave();
    expect(step.outputs).toMatchObject({ result: 'failed', 'reason-code': reasonCode, phase: 'preflight' });
    expect(await tree(bench.host.state)).toEqual({});
  });

  it('takes a version through all phases, as one deployment', async () => {
    await bench.configure({ VERSION: 'v1' }, { 'environment-url': 'https://helpdesk.example/' });
    const step = await bench.deploy('v1');
    expect(step.outputs).toMatchObject({ result: 'succeeded', version: 'v1', phase: 'postflight' });
    expect(phasesOf(step)).toEqual([
      ...['preflight: succeeded', 'shift: succeeded', 'watch: succeeded', 'postflight: succeeded'],
    ]);
    expect(step.summary).toMatch(/```mermaid\nflowchart TD\n {2}preflight\["✅ Preflight/);
    expect(step.summary).toContain('<details><summary>Shift: succeeded</summary>');
    expect(await bench.host.versions()).toEqual({ v1: 20 });
    expect(
      bench.github.repository.deployments.filter(({ statuses }) => statuses.at(-1)?.state === 'success'),
    ).toHaveLength(1);
    expect(bench.statusesOf('v1')).toEqual(
      expect.arrayContaining([
        'in_progress: Looking before anything is touched',
        'in_progress: Traffic: blue 100 %',
        'in_progress: Watching the new version',
        'in_progress: Looking at the whole',
      ]),
    );
    expect(bench.statusesOf('v1')?.at(-1)).toMatch(/^success: /);
    expect((await bench.job.post(step))?.exitCode).toBe(0);
  });

  it('does nothing when the version serves already', async () => {
    const step = await bench.deploy('v1');
    expect(step.outputs).toMatchObject({ result: 'unchanged', 'reason-code': 'already_current' });
    expect(phasesOf(step)).toContain('watch: unchanged');
  });

  it('stops at a frozen environment, unless broken open with a reason', async () => {
    await bench.configure({ VERSION: 'v2' });
    const desk = { environment: 'production', reason: 'The shop is busy' };
    expect((await ending(bench.job, 'releases', { command: 'freeze', ...desk })).exitCode).toBe(0);
    const before = await tree(bench.host.state);
    const refused = await bench.deploy('v2');
    expect(refused.outputs).toMatchObject({
      ...{ result: 'refused', 'reason-code': 'environment_frozen', phase: 'preflight', version: 'v1' },
    });
    expect(errorOf(refused)).toMatch(/The shop is busy\. Nothing was written\. v1 \(blue\) serves/);
    expect(await tree(bench.host.state)).toEqual(before);
    const planned = await bench.deploy('v2', { 'dry-run': 'true' });
    expect(planned.outputs['result']).toBe('planned');
    expect(planned.summary).toContain(
      'As it is now, it would wait or be refused: helpdesk in production is frozen',
    );

    const broken = await bench.deploy('v2', { 'break-freeze': 'Outage of the login.' });
    expect(broken.outputs).toMatchObject({ result: 'succeeded', version: 'v2' });
    expect(broken.log).toContain('is frozen; going on: Outage of the login.');
    await bench.configure({ VERSION: 'v1' });
    expect((await ending(bench.job, 'releases', { command: 'unfreeze', ...desk })).exitCode).toBe(0);
    expect((await bench.deploy('v1')).outputs['result']).toBe('succeeded');
  });

  it('touches nothing while another run releases', async () => {
    await bench.configure({ VERSION: 'v2' }, { 'watch-after': '0', watch: '60s' });
    const first = await bench.job.start('deploy', { environment: 'production', version: 'v2' });
    await first.line(/… watching/);
    const second = await bench.deploy('v1', {}, await bench.jobOf({ runId: '2' }));
    expect(second.outputs).toMatchObject({
      result: 'failed',
      'reason-code': 'lock_held',
      phase: 'preflight',
    });
    expect(errorOf(second)).toContain('actions/runs/1');
    await first.cancel();
    expect(await bench.host.versions()).toEqual({ v1: 20 });
  });

  it('moves no traffic when the migration fails', async () => {
    const database = { migrator: 'django', directory: bench.host.root, python: '/bin/false' };
    await bench.configure({ VERSION: 'v2' }, { database });
    const step = await bench.deploy('v2');
    expect(step.outputs).toMatchObject({ result: 'failed', phase: 'migrate', version: 'v1' });
    expect(phasesOf(step)).toEqual(['preflight: succeeded', 'migrate: failed']);
    expect(step.summary).toContain('Shift<br>not begun');
    expect(await bench.host.versions()).toEqual({ v1: 20 });
  });
});
