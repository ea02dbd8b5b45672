import { deadlineIn, silentLog } from '@deploy-actions/core';
import {
  createClient,
  type KubernetesClient,
  loadKubeconfig,
  type Pod,
  resources,
  type Workload,
} from '@deploy-actions/kubernetes';
import type { Fence } from '@deploy-actions/release-engine';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  kubeconfigFor,
  type KubernetesDouble,
  startKubernetesDouble,
} from '../../../test/support/kubernetes.ts';
import { createHandOver, held, stopLeaving, unheld } from './hand-over.ts';
import { withImages, type WorkloadName } from './rolling-change.ts';
import { createRollout, type Rollout } from './rollout.ts';

const apps = '/apis/apps/v1/namespaces/apps';
const core = '/api/v1/namespaces/apps';
const web: WorkloadName = { kind: 'deployment', name: 'web' };
const release = { version: '2', images: ['acme/app:2'], container: null, replicas: null };
const never = new AbortController().signal;
const held1: Fence = { token: 1, check: async () => {} };

const labels = { app: 'web' };
const template = (image: string) => ({
  metadata: { labels },
  spec: { containers: [{ name: 'app', image }] },
});
const owned = (kind: string, uid: string) => [{ kind, name: uid, uid, controller: true }];

let api: KubernetesDouble;
let client: KubernetesClient;
let rollout: Rollout;
beforeEach(async () => {
  api = await startKubernetesDouble();
  const connection = await loadKubeconfig({ content: kubeconfigFor(api.url), environment: {} });
  client = createClient({ connection, namespace: 'apps', log: silentLog, pauses: [1, 1, 1] });
  rollout = createRollout({ client, workload: web, log: silentLog });
  api.put(`${apps}/deployments/web`, {
    metadata: { uid: 'd', generation: 1 },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: template('acme/app:1') },
    status: { observedGeneration: 1 },
  });
});
afterEach(async () => {
  client.close();
  await api.close();
});

const writes = () => api.requests.filter(({ method }) => method !== 'GET');
const toTwo = (workload: Workload) => withImages(workload, web, release);

describe('the one write', () => {
  it('changes what was asked for and nothing else, and says what', async () => {
    const changes = await rollout.change(toTwo, held1);
    expect(changes.map(({ path }) => path)).toContain('spec.template.spec.containers[app].image');
    expect(writes()).toHaveLength(1);
    expect((await rollout.read()).spec).toMatchObject({ replicas: 2, template: template('acme/app:2') });
    expect(await rollout.change(toTwo, held1)).toEqual([]);
    expect(writes()).toHaveLength(1);
  });

  it('is made anew when only the status moved, and refused when the template did', async () => {
    const path = `${apps}/deployments/web`;
    const move = (change: object) => {
      let isDone = false;
      api.interfere = ({ method }) => {
        const now = api.objects.get(path);
        if (method === 'PATCH' && !isDone && now !== undefined) {
          isDone = true;
          api.put(path, { ...now, ...change });
        }
        return undefined;
      };
    };
    move({ status: { observedGeneration: 1, replicas: 2 } });
    await rollout.change(toTwo, held1);
    expect(writes()).toHaveLength(2);
    const { spec } = await rollout.read();
    move({ spec: { ...spec, template: template('acme/app:other') } });
    const three = { ...release, images: ['acme/app:3'] };
    await expect(rollout.change((now) => withImages(now, web, three), held1)).rejects.toMatchObject({
      reasonCode: 'state_conflict',
      message: 'Deployment web is being changed by somebody else.',
    });
  });

  it('is not made twice when its answer was lost', async () => {
    let left = 1;
    api.interfere = ({ method }) => (method === 'PATCH' && left-- > 0 ? { kind: 'cut-after' } : undefined);
    await rollout.change(toTwo, held1);
    expect(writes()).toHaveLength(1);
  });

  it('is not made by whom the lease was taken from', async () => {
    const lost: Fence = { token: 1, check: () => Promise.reject(new Error('lost')) };
    await expect(rollout.change(toTwo, lost)).rejects.toThrow('lost');
    expect(writes()).toEqual([]);
  });
});

describe('revisions', () => {
  it('are those that the controller keeps, newest first', async () => {
    for (const [number, image] of [
      [1, 'acme/app:0'],
      [2, 'acme/app:1'],
    ] as const) {
      api.put(`${apps}/replicasets/web-${number}`, {
        metadata: {
          uid: `r${number}`,
          labels,
          ownerReferences: owned('Deployment', 'd'),
          annotations: { 'deployment.kubernetes.io/revision': String(number) },
        },
        spec: { replicas: 0, template: template(image) },
      });
    }
    api.put(`${apps}/replicasets/other`, { metadata: { labels }, spec: { template: template('x') } });
    expect(await rollout.revisions(await rollout.read())).toMatchObject([
      { name: 'web-2', number: 2, isCurrent: true, release: { version: '1' } },
      { name: 'web-1', number: 1, isCurrent: false, release: { version: '0' } },
    ]);
  });
});

function putPod(name: string, set: string, isReady = true): Pod {
  api.put(`${core}/pods/${name}`, {
    metadata: {
      uid: name,
      labels: { ...labels, 'pod-template-hash': set },
      ownerReferences: owned('ReplicaSet', set),
    },
    spec: { containers: [] },
    status: { phase: 'Running', conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }] },
  });
  return api.objects.get(`${core}/pods/${name}`) as unknown as Pod;
}

function putSet(uid: string, replicas: number, image: string, readyReplicas = replicas): void {
  api.put(`${apps}/replicasets/web-${uid}`, {
    metadata: { uid, labels, ownerReferences: owned('Deployment', 'd') },
    spec: { replicas, template: template(image) },
    status: { readyReplicas },
  });
}

describe('pods without a preStop hook', () => {
  it('are held back from the controller, and what was there before comes back', async () => {
    const before = await rollout.read();
    const on = held(before);
    expect(on.spec.minReadySeconds).toBe(599);
    expect(held(on)).toEqual(on);
    expect(unheld(on).spec.minReadySeconds).toBeUndefined();
    const own = { ...before, spec: { ...before.spec, minReadySeconds: 7 } };
    expect(unheld(held(own)).spec.minReadySeconds).toBe(7);
    expect(unheld(before)).toBe(before);
  });

  it('are let go one for each new pod that is ready, out of the Service first and stopped later', async () => {
    const old = [putPod('old-1', 'old'), putPod('old-2', 'old')];
    putSet('old', 2, 'acme/app:1');
    const workload = await rollout.read();
    const handOver = createHandOver({ client, seconds: 0.05, fence: held1, log: silentLog });
    const look = { workload, wanted: 2, old, replicaSets: [] };
    await handOver.step({ ...look, newReady: 0 });
    expect(writes()).toEqual([]);
    await handOver.step({ ...look, newReady: 1 });
    expect(writes().map(({ path }) => path)).toEqual([`${core}/pods/old-1`, `${apps}/replicasets/web-old`]);
    expect(api.objects.get(`${core}/pods/old-1`)?.metadata['labels']).toEqual({
      'deploy-actions.dev/leaving': 'd',
    });
    expect(api.objects.get(`${apps}/replicasets/web-old`)?.['spec']).toMatchObject({ replicas: 1 });
    // The same look again: what was let go does not count any more.
    await handOver.step({ ...look, newReady: 1 });
    expect(writes().filter(({ path }) => path.endsWith('old-2'))).toEqual([]);
    await handOver.end(never);
    expect(writes().at(-1)).toMatchObject({ method: 'DELETE', path: `${core}/pods/old-1` });
  });

  it('that serve nobody do not keep the update from its end', async () => {
    const old = [putPod('old-1', 'old', false)];
    putSet('old', 1, 'acme/app:1');
    const handOver = createHandOver({ client, seconds: 0, fence: held1, log: silentLog });
    const replicaSets = (await client.list(resources.replicaSets)).items;
    await handOver.step({ workload: await rollout.read(), wanted: 2, newReady: 2, old, replicaSets });
    expect(writes().map(({ path }) => path)).toEqual([`${apps}/replicasets/web-old`]);
  });

  it('that a killed run had taken out are stopped by the next', async () => {
    api.put(`${core}/pods/left`, { metadata: { labels: { 'deploy-actions.dev/leaving': 'd' } } });
    await stopLeaving(client, await rollout.read(), held1);
    expect(writes()).toMatchObject([{ method: 'DELETE', path: `${core}/pods/left` }]);
  });
});

describe('waiting', () => {
  it('ends when every pod is of the template and ready, and fails with what a container said', async () => {
    putSet('now', 2, 'acme/app:1');
    putPod('a', 'now');
    putPod('b', 'now', false);
    const seen: string[] = [];
    for await (const { message } of rollout.wait(deadlineIn(5_000), never)) {
      seen.push(message);
      if (message.startsWith('1 of 2')) putPod('b', 'now');
    }
    expect(seen.at(-1)).toBe('2 of 2 pods ready');
    expect(await rollout.isDone()).toBe(true);
    api.put(`${core}/pods/b`, {
      ...api.objects.get(`${core}/pods/b`),
      status: {
        containerStatuses: [
          { name: 'app', ready: false, restartCount: 0, state: { waiting: { reason: 'ImagePullBackOff' } } },
        ],
      },
    });
    const failing = (async () => {
      for await (const _ of rollout.wait(deadlineIn(5_000), never));
    })();
    await expect(failing).rejects.toMatchObject({
      reasonCode: 'start_failed',
      message: 'Deployment web cannot start: container app of b: ImagePullBackOff',
    });
  });

  it('goes on until the controllers know of the pods that are ready, too', async () => {
    putSet('now', 2, 'acme/app:1', 1);
    putPod('a', 'now');
    putPod('b', 'now');
    const seen: string[] = [];
    for await (const { message, ready } of rollout.wait(deadlineIn(5_000), never)) {
      seen.push(message);
      if (!ready && message.includes('know')) putSet('now', 2, 'acme/app:1');
    }
    expect(seen.filter((message) => message !== 'looking at it')).toEqual([
      '2 of 2 pods ready; the controllers know of 1 so far',
      '2 of 2 pods ready',
    ]);
  });

  it('goes on for as long as all pods have to stay ready, from the beginning where one is not', async () => {
    putSet('now', 2, 'acme/app:1');
    putPod('a', 'now');
    putPod('b', 'now');
    const seen: string[] = [];
    let disturbedAt = NaN;
    // The deadline is for getting ready, not for staying so.
    for await (const { message } of rollout.wait(deadlineIn(2_000), never, { steady: 2_500 })) {
      seen.push(message);
      if (message.startsWith('1 of 2')) putPod('b', 'now');
      if (!Number.isNaN(disturbedAt) || !message.includes('watched')) continue;
      disturbedAt = performance.now();
      putPod('b', 'now', false);
    }
    expect(performance.now() - disturbedAt).toBeGreaterThan(2_450);
    expect(seen.filter((message) => /2 of 2 pods ready, and watched for .* more/.test(message))).not.toEqual(
      [],
    );
    expect(seen).toContainEqual(expect.stringContaining('1 of 2 pods ready'));
    expect(seen.at(-1)).toBe('2 of 2 pods ready');
  });

  it('says of a version that is not ready any more that it was', async () => {
    putSet('now', 2, 'acme/app:1');
    putPod('a', 'now');
    putPod('b', 'now');
    const failing = (async () => {
      for await (const { message } of rollout.wait(deadlineIn(2_000), never, { steady: 60_000 }))
        if (message.includes('watched')) putPod('b', 'now', false);
    })();
    await expect(failing).rejects.toMatchObject({
      reasonCode: 'not_ready',
      message: expect.stringMatching(/^Deployment web was ready and did not stay so: 1 of 2 pods ready/),
    });
  });

  it('of a DaemonSet counts nothing before its controller has looked at the change, nor the pods of the template before', async () => {
    const daemons = createRollout({ client, workload: { kind: 'daemonset', name: 'agent' }, log: silentLog });
    const agent = (observedGeneration: number, updatedNumberScheduled: number): void =>
      api.put(`${apps}/daemonsets/agent`, {
        metadata: { uid: 'a', generation: 2 },
        spec: { selector: { matchLabels: labels }, template: template('acme/app:2') },
        status: { observedGeneration, desiredNumberScheduled: 1, updatedNumberScheduled },
      });
    const of = (hash: string) => ({
      labels: { ...labels, 'controller-revision-hash': hash },
      ownerReferences: owned('DaemonSet', 'a'),
    });
    const putRevision = (hash: string, revision: number): void =>
      api.put(`${apps}/controllerrevisions/agent-${hash}`, {
        metadata: of(hash),
        revision,
      });
    const putOne = (hash: string): void =>
      api.put(`${core}/pods/one`, {
        metadata: of(hash),
        spec: { containers: [] },
        status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
      });
    putRevision('one', 1);
    putOne('one');
    agent(1, 1);
    const seen: string[] = [];
    const steps = [
      () => agent(2, 0),
      () => {
        putRevision('two', 2);
        putOne('two');
        agent(2, 1);
      },
    ];
    for await (const { message, ready } of daemons.wait(deadlineIn(5_000), never)) {
      seen.push(message);
      if (!ready && message.includes('controller')) steps.shift()?.();
    }
    expect(steps).toEqual([]);
    expect(seen.at(-1)).toBe('1 of 1 pods ready');
    // The pod of the revision before was ready all the time.
    expect(seen).toContain('1 of 1 pods ready; the controllers know of 0 so far');
    expect(seen.filter((message) => message === '1 of 1 pods ready')).toHaveLength(1);
  });
});
