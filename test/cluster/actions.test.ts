import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createJob, type Job } from '../support/runner.ts';
import { kubeconfigOf } from './kubeconfig.ts';
import { nodePortService, publishServer } from './server-image.ts';
import { bothColours, openStage, type Stage } from './stage.ts';

let stage: Stage;
let folder: string;
let job: Job;
let url: string;
beforeAll(async () => {
  stage = await openStage();
  folder = await mkdtemp(join(tmpdir(), 'cluster-actions-'));
  for (const version of ['1.0', '1.1', '1.2'])
    await publishServer(`acme/shop:${version}`, { VERSION: version });
  await publishServer('acme/shop:broken', { VERSION: 'broken', CRASH_AFTER: '100ms', READY_AFTER: 'never' });
  await stage.apply(...bothColours('shop', { image: 'acme/shop:1.0' }));
  await stage.rolledOut('shop-blue');
  url = await stage.urlOf('shop');
});
afterAll(async () => {
  await stage.end();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  job = await createJob({ env: { KUBECONFIG: stage.releaser.kubeconfig } });
});
afterEach(() => job.end());

const target = { platform: 'kubernetes', service: 'shop', watch: '0' };
/** By a connection of its own: one that is kept stays with the pod that it leads to. */
const answering = async () =>
  (await fetch(url, { headers: { connection: 'close' } })).headers.get('x-version');
/** All that is wanted of what a release touches; what controllers say of it changes by itself. */
const wanted = () =>
  stage.kubectl(
    ...['get', 'deployments,services', '-o'],
    'jsonpath={range .items[*]}{.metadata.name}{.metadata.labels}{.metadata.annotations}{.spec}{end}',
  );

describe('with nothing but platform, service and image', () => {
  it('blue-green-switch releases, rollback goes back to what was there before, and what serves already is not released again', async () => {
    const planned = await job.step('blue-green-switch', {
      ...target,
      image: 'acme/shop:1.1',
      'dry-run': 'true',
    });
    expect(planned.outputs, planned.log).toMatchObject({ result: 'planned', version: '1.0', slot: 'blue' });
    await expect.poll(answering).toBe('1.0');
    const first = await job.step('blue-green-switch', { ...target, image: 'acme/shop:1.1' });
    expect(first.outputs, first.log).toMatchObject({
      result: 'succeeded',
      version: '1.1',
      slot: 'green',
      'previous-version': '1.0',
    });
    await expect.poll(answering).toBe('1.1');
    const back = await job.step('rollback', target);
    expect(back.outputs, back.log).toMatchObject({ result: 'succeeded', version: '1.0', slot: 'blue' });
    await expect.poll(answering).toBe('1.0');
    const again = await job.step('blue-green-switch', { ...target, image: 'acme/shop:1.1' });
    expect(again.outputs, again.log).toMatchObject({ result: 'succeeded', version: '1.1' });
    const second = await job.step('blue-green-switch', { ...target, image: 'docker.io/acme/shop:1.1' });
    expect(second.outputs, second.log).toMatchObject({
      result: 'unchanged',
      'reason-code': 'already_current',
    });
    expect(await job.post(second)).toMatchObject({ exitCode: 0 });
  });

  it('a broken version gets no traffic, and says with its last words why', async () => {
    const step = await job.step('blue-green-switch', { ...target, image: 'acme/shop:broken' });
    expect(step.outputs, step.log).toMatchObject({
      result: 'refused',
      'reason-code': 'start_failed',
      version: '1.1',
      'rejected-version': 'broken',
    });
    expect(step.log).toMatch(/CrashLoopBackOff/);
    await expect.poll(answering).toBe('1.1');
  });

  it('rollback goes back to the version before', async () => {
    const release = await job.step('blue-green-switch', { ...target, image: 'acme/shop:1.2' });
    expect(release.outputs, release.log).toMatchObject({ result: 'succeeded', version: '1.2' });
    const back = await job.step('rollback', target);
    expect(back.outputs, back.log).toMatchObject({ result: 'succeeded', version: '1.1' });
    await expect.poll(answering).toBe('1.1');
    const nothing = await job.step('rollback', { ...target, version: '9' });
    expect(nothing.exitCode).not.toBe(0);
    expect(nothing.outputs, nothing.log).toMatchObject({ 'reason-code': 'version_not_found' });
    process.stderr.write(`rollback took ${back.seconds.toFixed(2)} s\n`);
  });
});

describe('what is wrong is said, and nothing is touched:', () => {
  const refused = async (inputs: Record<string, string>, env: Record<string, string> = {}) => {
    const before = await wanted();
    const step = await job.step(
      'blue-green-switch',
      { ...target, image: 'acme/shop:1.2', ...inputs },
      { env },
    );
    expect(step.exitCode).toBe(1);
    expect(await wanted()).toBe(before);
    return step;
  };

  it('a Service that is not there', async () => {
    const step = await refused({ service: 'no-such' });
    expect(step.outputs['reason-code'], step.log).toBe('not_found');
    expect(step.log).toContain(`Service no-such in namespace ${stage.name}`);
  });

  it('an image of a repository that no container has', async () => {
    const step = await refused({ image: 'ghcr.io/acme/shop:1.2' });
    expect(step.outputs['reason-code'], step.log).toBe('not_found');
    expect(step.log).toContain('server: acme/shop:');
  });

  it('a namespace without rights names the rule that is missing', async () => {
    const step = await refused({ namespace: 'default' });
    expect(step.outputs['reason-code'], step.log).toBe('permission_denied');
    expect(step.log).toMatch(/resources: \["(?:services|deployments|configmaps|leases)"\]/);
  });

  it('an API server that does not answer', async () => {
    const file = join(folder, 'unreachable');
    await writeFile(file, kubeconfigOf({ ...stage.releaser.access, server: 'https://127.0.0.1:1' }));
    const step = await refused({ kubeconfig: file });
    expect(step.outputs['reason-code'], step.log).toBe('unreachable');
    expect(step.log).toContain('https://127.0.0.1:1');
  });

  it('a token that is not known', async () => {
    const kubeconfig = kubeconfigOf({ ...stage.releaser.access, token: 'wrong-token-of-a-test' });
    const step = await refused({ kubeconfig });
    expect(step.outputs['reason-code'], step.log).toBe('permission_denied');
    expect(step.log).toContain('does not know the credentials');
    expect(step.raw).not.toContain('wrong-token-of-a-test');
  });

  it('a service without its input, or an image that is none', async () => {
    const step = await refused({ service: '' });
    expect(step.log).toContain('service: is missing');
    expect((await refused({ image: '' })).log).toContain('image: is missing');
    expect((await refused({ router: 'nginx' })).log).toContain('does not go with platform `kubernetes`');
  });

  it('a Service with no selector, and two Services on one colour', async () => {
    await stage.apply({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'headless' },
      spec: { ports: [{ port: 80 }] },
    });
    expect((await refused({ service: 'headless' })).log).toContain('Service headless has no selector');
    const { selector } = JSON.parse(
      await stage.kubectl('get', 'service', 'shop', '-o', 'jsonpath={.spec}'),
    ) as {
      selector: Record<string, string>;
    };
    await stage.apply(nodePortService('shop-too', selector));
    const step = await refused({});
    expect(step.outputs['reason-code'], step.log).toBe('invalid_input');
    expect(step.log).toContain('shop-too');
    await stage.kubectl('delete', 'service', 'shop-too', 'headless');
  });
});
