import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { createKubernetesStore, stateName } from '@deploy-actions/kubernetes';
import { readAudit } from '@deploy-actions/ledger';
import { acquireLease, thisProcess } from '@deploy-actions/release-engine';
import { silentLog } from '@deploy-actions/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countsOf, startLoad } from '../support/load/index.ts';
import { watchEndpoints } from './endpoint-watch.ts';
import type { Account } from './namespace.ts';
import { restartWith, rulesOf, type Said } from './operations.ts';
import { nodePortService, publishServer, serverDeployment } from './server-image.ts';
import { openStage, type Stage } from './stage.ts';

let stage: Stage;
let account: Account;
const folders: string[] = [];

async function restarted(
  ...given: Parameters<typeof restartWith> extends [unknown, ...infer R] ? R : never
): Promise<Said> {
  const said = await restartWith(account, ...given);
  folders.push(said.temp);
  return said;
}

/** Of the pods that stay: one that leaves is listed until its node has stopped it. */
async function uids(app: string): Promise<string[]> {
  const listed = await stage.kubectl('get', 'pods', '-l', `app=${app}`, '-o', 'json');
  const { items } = JSON.parse(listed) as {
    items: { metadata: { uid: string; deletionTimestamp?: string } }[];
  };
  return items
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata }) => metadata.uid)
    .toSorted();
}

const strategyOf = (name: string, field = 'strategy'): Promise<string> =>
  stage.kubectl('get', name, '-o', `jsonpath={.spec.${field}}`);

/** Does the work; resolves to what it does and to the fewest endpoints of the Service, of three, that were ready meanwhile. */
async function watched<T>(service: string, work: () => Promise<T>): Promise<{ done: T; least: number }> {
  const endpoints = await watchEndpoints(stage.access, stage.name, service, { from: 3 });
  try {
    const done = await work();
    return { done, least: endpoints.least };
  } finally {
    endpoints.stop();
  }
}

const budget = (app: string, minAvailable: number): object => ({
  apiVersion: 'policy/v1',
  kind: 'PodDisruptionBudget',
  metadata: { name: app },
  spec: { minAvailable, selector: { matchLabels: { app } } },
});

function asStatefulSet(name: string, replicas: number): object {
  const { spec, metadata } = serverDeployment({ name, image: 'acme/restart:1', replicas }) as {
    spec: object;
    metadata: object;
  };
  return { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata, spec: { ...spec, serviceName: name } };
}

beforeAll(async () => {
  stage = await openStage();
  account = await stage.account('restarter', await rulesOf('restart-role.yml'));
  await publishServer('acme/restart:1', { VERSION: '1', ON_SIGTERM: 'drain', DRAIN_FOR: '3s' });
  await stage.apply(
    serverDeployment({
      name: 'shop',
      image: 'acme/restart:1',
      replicas: 3,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 2, maxSurge: 0 } },
    }),
    nodePortService('shop', { app: 'shop' }),
    budget('shop', 2),
    serverDeployment({ name: 'moved', image: 'acme/restart:1', replicas: 3, strategy: { type: 'Recreate' } }),
    nodePortService('moved', { app: 'moved' }),
    budget('moved', 2),
    asStatefulSet('kept', 3),
    nodePortService('kept', { app: 'kept' }),
    budget('kept', 2),
    serverDeployment({ name: 'tight', image: 'acme/restart:1', replicas: 1 }),
    budget('tight', 1),
  );
  await Promise.all(['shop', 'moved', 'tight'].map((name) => stage.rolledOut(name)));
  await stage.kubectl('rollout', 'status', 'statefulset/kept', '--timeout=90s');
});
afterAll(async () => {
  await stage.end();
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
});

describe('a Deployment', () => {
  it('is planned first, and nothing is written', async () => {
    const before = await uids('shop');
    const said = await restarted({ service: 'shop', 'dry-run': true });
    expect(said.outcome).toMatchObject({
      result: 'planned',
      outputs: { workload: 'deployment/shop', pods: 3, ready: 3 },
    });
    expect(await uids('shop')).toEqual(before);
  });

  it('under load loses nothing, and never has fewer than all pods ready, though its own strategy would', async () => {
    const before = await uids('shop');
    const strategy = await strategyOf('deployment/shop');
    const url = await stage.urlOf('shop');
    const load = await startLoad({
      url: `${url}/`,
      rate: 100,
      durationSeconds: 120,
      kinds: ['new'],
      phase: 'restart',
    });
    try {
      const { done: said, least } = await watched('shop', () => restarted({ service: 'shop' }));
      expect(said.outcome, said.log).toMatchObject({ result: 'succeeded', outputs: { pods: 3, ready: 3 } });
      expect(least).toBeGreaterThanOrEqual(3);
      await delay(4_000);
      const report = await load.stop();
      const counts = countsOf(report.phases.find(({ name }) => name === 'restart')?.kinds ?? {});
      process.stderr.write(`${JSON.stringify(counts)}\n`);
      expect(counts).toMatchObject({ lost: 0, failed: 0 });
      expect(counts.answered).toBeGreaterThan(200);
    } finally {
      load.kill();
    }
    expect((await uids('shop')).filter((uid) => before.includes(uid))).toEqual([]);
    expect(await strategyOf('deployment/shop')).toBe(strategy);
  });

  it('is written to the audit of its Service', async () => {
    const store = createKubernetesStore(await stage.connect(), stateName('service', 'shop'));
    expect(await readAudit(store)).toMatchObject([
      { what: 'restart', reason: 'a test', run: { actor: 'tester' } },
    ]);
  });

  it.each(['service', 'deployment'])('is refused while a release to the %s holds its lease', async (kind) => {
    const client = await stage.connect();
    const lease = await acquireLease({
      store: createKubernetesStore(client, stateName(kind, 'shop')),
      run: { id: 'another', url: '', actor: '' },
      process: thisProcess(),
      isAlive: () => true,
      wait: 0,
      signal: new AbortController().signal,
      log: silentLog,
    });
    const before = await uids('shop');
    try {
      await expect(restarted({ service: 'shop' })).rejects.toMatchObject({ reasonCode: 'lock_held' });
    } finally {
      await lease.release();
    }
    expect(await uids('shop')).toEqual(before);
  });

  it('is refused while a rollout is under way', async () => {
    await stage.kubectl('set', 'image', 'deployment/shop', `server=acme/restart:none-${stage.name}`);
    await expect(restarted({ service: 'shop' })).rejects.toMatchObject({ reasonCode: 'state_conflict' });
    await stage.kubectl('rollout', 'undo', 'deployment/shop');
    await stage.rolledOut('shop');
  });

  it('that does not come up is failed, taken back, and goes on serving', async () => {
    await stage.apply({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings' },
      data: { x: '1' },
    });
    const deployment = serverDeployment({ name: 'frail', image: 'acme/restart:1', replicas: 2 }) as {
      spec: { template: { spec: { containers: Record<string, unknown>[] } } };
    };
    const [container = {}] = deployment.spec.template.spec.containers;
    container['env'] = [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'settings', key: 'x' } } }];
    await stage.apply(deployment);
    await stage.rolledOut('frail');
    await stage.kubectl('delete', 'configmap', 'settings');
    const before = await uids('frail');
    await expect(restarted({ workload: 'frail' })).rejects.toMatchObject({
      reasonCode: 'not_ready',
      message: expect.stringMatching(/settings.*taken back.*2 of \d pods are ready now/s) as string,
    });
    await expect.poll(() => uids('frail'), { timeout: 30_000 }).toEqual(before);
  });

  it('whose strategy stops all pods at once is refused, and moved by eviction when asked', async () => {
    await expect(restarted({ workload: 'moved' })).rejects.toMatchObject({ reasonCode: 'unsupported' });
    const before = await uids('moved');
    const { done: said, least } = await watched('moved', () =>
      restarted({ workload: 'moved', strategy: 'evict' }),
    );
    expect(said.outcome, said.log).toMatchObject({ result: 'succeeded', outputs: { pods: 3, ready: 3 } });
    expect(least).toBeGreaterThanOrEqual(2);
    expect((await uids('moved')).filter((uid) => before.includes(uid))).toEqual([]);
  });

  it('whose budget allows nothing is refused for eviction', async () => {
    await expect(restarted({ workload: 'tight', strategy: 'evict' })).rejects.toMatchObject({
      reasonCode: 'unsupported',
      message: expect.stringContaining('disruption budget tight') as string,
    });
  });
});

it('a StatefulSet is restarted by partition, within its budget', async () => {
  const before = await uids('kept');
  const strategy = await strategyOf('statefulset/kept', 'updateStrategy');
  const { done: said, least } = await watched('kept', () => restarted({ workload: 'statefulset/kept' }));
  expect(said.outcome, said.log).toMatchObject({ result: 'succeeded', outputs: { pods: 3, ready: 3 } });
  expect(least).toBeGreaterThanOrEqual(2);
  expect((await uids('kept')).filter((uid) => before.includes(uid))).toEqual([]);
  expect(await strategyOf('statefulset/kept', 'updateStrategy')).toBe(strategy);
});

it('a health check that does not pass after it is a failure', async () => {
  const url = new URL(`${await stage.urlOf('shop')}/`);
  url.port = '9';
  await expect(
    restarted({ workload: 'tight', 'health-url': url, 'health-timeout': 2_000 }),
  ).rejects.toMatchObject({ reasonCode: 'unhealthy' });
});
