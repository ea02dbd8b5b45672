import { createHmac } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ending, errorOf, expectEnding } from './ending.ts';
import { createPipelineBench, phasesOf, type PipelineBench } from './pipeline.ts';

describe('a pipeline that goes back', { timeout: 90_000 }, () => {
  let bench: PipelineBench;
  beforeAll(async () => {
    bench = await createPipelineBench();
  });
  afterAll(() => bench.end());

  it('leaves the first version where it is: there is none to give the traffic back to', async () => {
    await bench.configure({ VERSION: 'v1' }, { 'watch-after': '0', ...(await bench.healthyFor(0)) });
    const step = await bench.deploy('v1');
    expect(step.outputs).toMatchObject({ result: 'failed', 'reason-code': 'unhealthy', version: 'v1' });
    expect(phasesOf(step)).toContain('shift: succeeded, stays');
    expect(errorOf(step)).toContain('v1 keeps the traffic: there is no earlier version to give it back to.');
    expect(await bench.host.versions()).toEqual({ v1: 20 });
  });

  it.each([
    ['in the end', 'postflight', '0', 0],
    ['while it is watched', 'watch', '20s', 3],
  ])('gives the traffic back when the application is not healthy %s', async (_when, phase, watch, times) => {
    await bench.configure({ VERSION: 'v2' }, { 'watch-after': watch, ...(await bench.healthyFor(times)) });
    const notified = bench.told.length;
    const step = await bench.deploy('v2', {
      'slack-webhook': `${bench.receiver}/slack/secret-path`,
      'webhook-url': `${bench.receiver}/hook`,
      'webhook-secret': 'shared-secret',
    });
    expect(step.outputs).toMatchObject({
      ...{ result: 'rolled-back', 'reason-code': 'unhealthy', phase },
      ...{ version: 'v1', 'rejected-version': 'v2' },
    });
    expect(phasesOf(step)).toEqual(expect.arrayContaining(['shift: succeeded, undone', `${phase}: failed`]));
    expect(errorOf(step)).toMatch(/the queue is stuck.* The traffic was given back: v1 has all traffic/s);
    expect(step.summary).toContain('-.-> shift');
    expect(step.summary).toContain('↩ taken back');
    expect(await bench.host.versions()).toEqual({ v1: 20 });
    expect(bench.statusesOf('v2')?.at(-1)).toMatch(/^failure: /);
    expect(bench.statusesOf('v1')?.at(-1)).toMatch(/^success: v1 serves again/);

    const [slack, hook] = bench.told.slice(notified).toSorted((a, b) => (a.path < b.path ? 1 : -1));
    expect(JSON.parse(slack?.body ?? '')).toMatchObject({
      text: expect.stringContaining('❌ helpdesk v2 to production: rolled-back'),
    });
    expect(JSON.parse(hook?.body ?? '')).toMatchObject({
      ...{ app: 'helpdesk', environment: 'production', version: 'v2', result: 'rolled-back' },
      ...{ reasonCode: 'unhealthy', serving: 'v1', run: expect.stringContaining('/actions/runs/') },
    });
    const signature = createHmac('sha256', 'shared-secret')
      .update(hook?.body ?? '')
      .digest('hex');
    expect(hook?.headers['x-deploy-actions-signature-256']).toBe(`sha256=${signature}`);
    expect(step.raw).not.toContain('secret-path');
  });

  it('gives the traffic back when the new version is beyond its limits with all of it', async () => {
    await bench.configure(
      { VERSION: 'v3', ERROR_EVERY: '2' },
      {
        'watch-after': '10s',
        analysis: { 'max-error-rate': 5, 'min-requests': 20, interval: '200ms', 'hold-timeout': '20s' },
      },
    );
    let isOver = false;
    const users = (async () => {
      while (!isOver) await bench.host.versions(5);
    })();
    const step = await bench.deploy('v3').finally(() => (isOver = true));
    await users;
    expect(step.outputs).toMatchObject({
      ...{ result: 'rolled-back', 'reason-code': 'limit_exceeded', phase: 'watch', version: 'v1' },
    });
    expect(errorOf(step)).toMatch(/Beyond its limits .* The traffic was given back/s);
    expect(await bench.host.versions()).toEqual({ v1: 20 });
  });

  it('tells that it went well again, and nothing of what goes on going well', async () => {
    const notified = bench.told.length;
    const inputs = { 'webhook-url': `${bench.receiver}/hook` };
    await bench.configure({ VERSION: 'v2', AGAIN: '1' });
    expect((await bench.deploy('v2', inputs)).outputs['result']).toBe('succeeded');
    await bench.configure({ VERSION: 'v1' });
    expect((await bench.deploy('v1', inputs)).outputs['result']).toBe('succeeded');
    const told = bench.told.slice(notified).map(({ body }) => JSON.parse(body) as Record<string, unknown>);
    expect(told).toEqual([expect.objectContaining({ version: 'v2', result: 'succeeded', recovered: true })]);
  });

  it('takes back nothing that another run released since', async () => {
    await bench.configure({ VERSION: 'v2' }, { 'watch-after': '1m' });
    const step = await bench.job.start('deploy', { environment: 'production', version: 'v2' });
    await step.line(/… watching/);
    const other = await bench.jobOf({ runId: '2' });
    const inputs = { ...(await bench.host.release('v3')), watch: '0' };
    expect((await ending(other, 'blue-green-switch', inputs)).outputs['result']).toBe('succeeded');
    const ended = await expectEnding(bench.job, await step.done);
    expect(ended.outputs).toMatchObject({ result: 'superseded', phase: 'watch', version: 'v3' });
    expect(phasesOf(ended)).toContain('shift: succeeded');
    expect((await bench.job.post(ended))?.exitCode).toBe(0);
    expect(await bench.host.versions()).toEqual({ v3: 20 });
    await bench.configure({ VERSION: 'v1' });
    expect((await bench.deploy('v1')).outputs['result']).toBe('succeeded');
  });

  it('says what is left when it cannot go back, and does not try again', async () => {
    const [there, away] = ['v1', 'v1.away'].map((name) => join(bench.host.root, 'releases', name));
    await bench.configure(
      { VERSION: 'v2' },
      { 'watch-after': '0', 'keep-previous': false, ...(await bench.healthyFor(0)) },
    );
    await rename(there ?? '', away ?? '');
    const step = await bench.deploy('v2');
    expect(step.outputs).toMatchObject({
      ...{ result: 'failed', 'reason-code': 'revert_failed', phase: 'postflight', version: 'v2' },
    });
    expect(phasesOf(step)).toContain('shift: succeeded, failed');
    expect(errorOf(step)).toMatch(/the queue is stuck.* The traffic could not be given back: /s);
    expect(errorOf(step)).toContain('run the action `rollback` for this environment');
    expect(step.summary).toContain('**could not be taken back**');
    const after = await bench.job.post(step);
    expect(after?.exitCode, after?.log).toBe(0);
    expect(await bench.host.versions()).toEqual({ v2: 20 });
    await rename(away ?? '', there ?? '');
    await bench.configure({ VERSION: 'v1' });
    expect((await bench.deploy('v1')).outputs['result']).toBe('succeeded');
  });

  it('goes no further than a version that never gets ready, whoever can be told of it', async () => {
    await bench.configure({ VERSION: 'v3', NEVER_READY: '1' });
    const step = await bench.deploy('v3', { 'webhook-url': 'http://127.0.0.1:1/' });
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'not_ready', phase: 'shift' });
    expect(phasesOf(step)).toEqual(['preflight: succeeded', 'shift: refused']);
    expect(step.annotations.find(({ level }) => level === 'warning')?.message).toContain(
      'The notification to the webhook was not delivered; this does not change the result',
    );
    expect(await bench.host.versions()).toEqual({ v1: 20 });
  });

  it('gives the traffic back when it is cancelled while it watches, in the time there is', async () => {
    await bench.configure({ VERSION: 'v3' }, { 'watch-after': '1m' });
    const inputs = { environment: 'production', version: 'v3', 'webhook-url': `${bench.receiver}/hook` };
    const step = await bench.job.start('deploy', inputs);
    await step.line(/… watching/);
    expect(await bench.host.versions()).toEqual({ v3: 20 });
    const asked = performance.now();
    const ended = await expectEnding(bench.job, await step.cancel());
    expect(performance.now() - asked).toBeLessThan(7_500);
    // A busy machine may leave it to the post step.
    const isBack = phasesOf(ended).includes('shift: succeeded, undone');
    if (!isBack) expect(phasesOf(ended)).toContain('shift: succeeded, pending');
    const serving = isBack ? 'v1' : 'v3';
    expect(ended.outputs).toMatchObject({ result: 'cancelled', phase: 'watch', version: serving });
    expect(JSON.parse(bench.told.at(-1)?.body ?? '')).toMatchObject({ result: 'cancelled', serving });
    const after = await bench.job.post(ended);
    expect(after?.exitCode, after?.log).toBe(0);
    expect(after?.log.includes('doing so now')).toBe(!isBack);
    expect(await bench.host.versions()).toEqual({ v1: 20 });
    expect(bench.statusesOf('v3')?.at(-1)).toMatch(/^error: /);
  });

  it('is settled by the post step when it was killed while it watched', async () => {
    await bench.configure({ VERSION: 'v3', AGAIN: '1' }, { 'watch-after': '1m' });
    const inputs = { environment: 'production', version: 'v3', 'webhook-url': `${bench.receiver}/hook` };
    const step = await bench.job.start('deploy', inputs);
    await step.line(/… watching/);
    const after = await bench.job.post(await step.kill());
    expect(after?.exitCode, after?.log).toBe(0);
    expect(after?.log).toContain('The traffic was given back: v1 has all traffic');
    expect(await bench.host.versions()).toEqual({ v1: 20 });
    expect(JSON.parse(bench.told.at(-1)?.body ?? '')).toMatchObject({
      result: 'cancelled',
      serving: 'v1',
    });
    expect(bench.statusesOf('v3')?.at(-1)).toMatch(/^error: The main step was ended/);
  });
});
