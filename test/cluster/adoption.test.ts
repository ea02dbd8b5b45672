import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Deployment, type KubernetesClient, resources } from '@deploy-actions/kubernetes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countsOf, startLoad } from '../support/load/index.ts';
import { createJob, type Job } from '../support/runner.ts';
import { watchEndpoints } from './endpoint-watch.ts';
import type { Account } from './namespace.ts';
import { nodePortService, publishServer, serverDeployment } from './server-image.ts';
import { exampleRules, openStage, type Stage } from './stage.ts';

const crash = join(import.meta.dirname, '../support/crash.mjs');
const repository = `acme/adopted-${process.pid}`;

let stage: Stage;
let admin: KubernetesClient;
let adopter: Account;
let job: Job;
beforeAll(async () => {
  stage = await openStage();
  admin = await stage.connect(stage.kubeconfig);
  adopter = await stage.account('adopter', [
    ...(await exampleRules()),
    ...(await exampleRules('kubernetes-blue-green', 'role-adopt.yml')),
  ]);
  for (const version of ['1', '2', '3'])
    await publishServer(`${repository}:${version}`, { VERSION: version });
  job = await createJob({ env: { KUBECONFIG: adopter.kubeconfig } });
});
afterAll(async () => {
  await job.end();
  await stage.end();
});

/** One Deployment and its Service, as most are. */
async function place(app: string, change: (deployment: Deployment) => void = () => {}): Promise<void> {
  const options = {
    name: app,
    image: `${repository}:1`,
    replicas: 2,
    graceSeconds: 5,
    labels: { tier: 'web' },
  };
  const deployment = serverDeployment(options) as Deployment;
  change(deployment);
  await stage.apply(deployment, nodePortService(app, { app }));
  await stage.rolledOut(app);
}

const adopt = (app: string, version: string, more: Record<string, string> = {}) => ({
  ...{ platform: 'kubernetes', service: app, adopt: 'true', watch: '0', image: `${repository}:${version}` },
  ...more,
});

const replicasOf = async (name: string) => (await admin.get(resources.deployments, name)).spec.replicas;

describe('a Deployment with a Service, and no colours', () => {
  it('comes to its colours by its first release, without a lost request', { timeout: 180_000 }, async () => {
    await place('shop');
    const url = await stage.urlOf('shop');
    const planned = await job.step('blue-green-switch', adopt('shop', '2', { 'dry-run': 'true' }));
    expect(planned.outputs, planned.log).toMatchObject({ result: 'planned' });
    expect(planned.log).toContain('make Deployment shop-blue like shop, with 2 replica(s)');
    expect(await admin.find(resources.deployments, 'shop-blue')).toBeUndefined();

    const endpoints = await watchEndpoints(stage.access, stage.name, 'shop', { from: 2 });
    const load = await startLoad({
      url: `${url}/`,
      rate: 200,
      durationSeconds: 150,
      kinds: ['new'],
      phase: 'all',
    });
    try {
      const first = await job.step('blue-green-switch', adopt('shop', '2'));
      expect(first.outputs, first.log).toMatchObject({
        result: 'succeeded',
        version: '2',
        slot: 'green',
        'previous-version': '1',
      });
      expect(await replicasOf('shop')).toBe(0);
      expect(await replicasOf('shop-blue')).toBe(2);
      expect(await replicasOf('shop-green')).toBe(2);
      // From now on it is as any other; saying it again changes nothing.
      const back = await job.step('rollback', { platform: 'kubernetes', service: 'shop', watch: '0' });
      expect(back.outputs, back.log).toMatchObject({ result: 'succeeded', version: '1', slot: 'blue' });
      const again = await job.step('blue-green-switch', adopt('shop', '3'));
      expect(again.outputs, again.log).toMatchObject({ result: 'succeeded', version: '3', slot: 'green' });
      await delay(1_000);
      const report = await load.stop();
      const counts = countsOf(report.phases[0]?.kinds ?? {});
      expect(counts, JSON.stringify(report.phases)).toMatchObject({ lost: 0, failed: 0 });
      process.stderr.write(`${JSON.stringify(counts)}; at least ${endpoints.least} endpoints\n`);
      expect(endpoints.problems).toEqual([]);
      expect(endpoints.least).toBeGreaterThanOrEqual(2);
    } finally {
      load.kill();
      endpoints.stop();
    }
  });

  it('comes to them after a kill at any write, too', { timeout: 400_000 }, async () => {
    // Lease and journal aside: two Deployments, the Service, and the old Deployment.
    for (let write = 1; write <= 6; write += 1) {
      const app = `killed-${write}`;
      await place(app);
      await stage.urlOf(app);
      const endpoints = await watchEndpoints(stage.access, stage.name, app, { from: 2 });
      const when = write % 2 === 0 ? 'before' : 'after';
      const killed = await job.step('blue-green-switch', adopt(app, '2'), {
        imports: [crash],
        env: { CRASH_AT: String(write), CRASH_WHEN: when, CRASH_IGNORE: '/' },
      });
      expect(killed.signal, killed.log).toBe('SIGKILL');
      const again = await job.step('blue-green-switch', adopt(app, '2'));
      expect(again.outputs, `write ${write}, ${when}: ${again.log}`).toMatchObject({
        result: 'succeeded',
        version: '2',
      });
      expect(await replicasOf(app)).toBe(0);
      expect(endpoints.problems).toEqual([]);
      expect(endpoints.least).toBeGreaterThanOrEqual(2);
      endpoints.stop();
      await stage.kubectl('delete', 'deployment', app, `${app}-blue`, `${app}-green`, '--wait=false');
    }
  });

  it(
    'is left alone where that would lose requests, or nobody asked for it',
    { timeout: 120_000 },
    async () => {
      await place('unprobed', ({ spec }) => {
        const [container] = spec.template.spec.containers;
        delete container?.readinessProbe;
      });
      const refused = await job.step('blue-green-switch', adopt('unprobed', '2'));
      expect(refused.outputs, refused.log).toMatchObject({ 'reason-code': 'unsupported' });
      expect(refused.log).toContain('has no readiness probe');
      const unasked = await job.step('blue-green-switch', adopt('unprobed', '2', { adopt: 'false' }));
      expect(unasked.outputs, unasked.log).toMatchObject({ 'reason-code': 'unsupported' });
      expect(unasked.log).toContain('`adopt: true`');

      await place('shared');
      await stage.apply(nodePortService('shared-too', { app: 'shared', tier: 'web' }));
      const shared = await job.step('blue-green-switch', adopt('shared', '2'));
      expect(shared.log).toContain('Service shared-too sends to its pods, too');

      await place('forbidden');
      const weak = await job.step('blue-green-switch', adopt('forbidden', '2'), {
        env: { KUBECONFIG: stage.releaser.kubeconfig },
      });
      expect(weak.outputs, weak.log).toMatchObject({ 'reason-code': 'permission_denied' });
      const names = await stage.kubectl('get', 'deployments', '-o', 'name');
      for (const app of ['unprobed', 'shared', 'forbidden']) expect(names).not.toContain(`${app}-blue`);
    },
  );
});
