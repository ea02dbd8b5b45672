import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createJob, type Job } from '../support/runner.ts';
import { publishServer, serverDeployment } from './server-image.ts';
import { openStage, type Stage } from './stage.ts';

let stage: Stage;
let job: Job;
beforeAll(async () => {
  stage = await openStage('kubernetes-rolling');
  for (const version of ['1', '2', '3']) await publishServer(`acme/stepped:${version}`, { VERSION: version });
  await publishServer('acme/stepped:slow', { VERSION: 'slow', START_DELAY: '20s' });
  await stage.apply(serverDeployment({ name: 'app', image: 'acme/stepped:1' }));
  await stage.rolledOut('app');
});
afterAll(() => stage.end());
beforeEach(async () => {
  job = await createJob({ env: { KUBECONFIG: stage.releaser.kubeconfig } });
});
afterEach(() => job.end());

const target = { workload: 'deployment/app', 'drain-seconds': '1', watch: '0s' };
const image = async () =>
  (
    await stage.kubectl(
      'get',
      'deployment',
      'app',
      '-o',
      'jsonpath={.spec.template.spec.containers[0].image}',
    )
  ).trim();

it('rolling-update needs no more than a workload and an image, and rollback goes back', async () => {
  const planned = await job.step('rolling-update', {
    ...target,
    image: 'acme/stepped:2',
    'dry-run': 'true',
  });
  expect(planned.outputs, planned.log).toMatchObject({ result: 'planned', version: '1' });
  expect(planned.summary).toContain('30 → 31');
  const step = await job.step('rolling-update', { ...target, image: 'acme/stepped:2' });
  expect(step.outputs, step.log).toMatchObject({
    result: 'succeeded',
    'reason-code': 'ok',
    version: '2',
    'previous-version': '1',
  });
  expect(await job.post(step)).toMatchObject({ exitCode: 0 });
  const back = await job.step('rollback', { platform: 'kubernetes', workload: 'deployment/app' });
  expect(back.outputs, back.log).toMatchObject({ result: 'succeeded', version: '1' });
  expect(await image()).toBe('acme/stepped:1');
  const nothing = await job.step('rollback', {
    platform: 'kubernetes',
    workload: 'deployment/app',
    version: '9',
  });
  expect(nothing.exitCode).toBe(1);
  expect(nothing.outputs).toMatchObject({ 'reason-code': 'version_not_found' });
});

it('a step that is cancelled goes back in time, and the post step finds it settled', async () => {
  const running = await job.start('rolling-update', { ...target, image: 'acme/stepped:slow' });
  await expect.poll(image, { timeout: 30_000 }).toBe('acme/stepped:slow');
  const step = await running.cancel();
  expect(step.signal, step.log).toBeNull();
  expect(step.outputs, step.log).toMatchObject({ 'reason-code': 'cancelled' });
  expect(await job.post(step)).toMatchObject({ exitCode: 0 });
  expect(await image()).toBe('acme/stepped:1');
});

it('a step that is killed is settled by its post step', async () => {
  const running = await job.start('rolling-update', { ...target, image: 'acme/stepped:slow' });
  await expect.poll(image, { timeout: 30_000 }).toBe('acme/stepped:slow');
  const step = await running.kill();
  const post = await job.post(step);
  expect(post?.exitCode, post?.log).toBe(0);
  expect(await image()).toBe('acme/stepped:1');
});

it('of two steps at once one says who holds the lease', async () => {
  const running = await job.start('rolling-update', { ...target, image: 'acme/stepped:3' });
  await running.line(/→ acme\/stepped:3/);
  const other = await job.step('rolling-update', { ...target, image: 'acme/stepped:2' });
  expect(other.outputs, other.log).toMatchObject({ 'reason-code': 'lock_held' });
  const first = await running.done;
  expect(first.outputs, first.log).toMatchObject({ result: 'succeeded', version: '3' });
});
