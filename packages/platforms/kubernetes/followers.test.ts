import { deadlineIn, DeployError, isRecord, silentLog } from '@deploy-actions/core';
import { createClient, type KubernetesClient, loadKubeconfig } from '@deploy-actions/kubernetes';
import type { Fence, Platform } from '@deploy-actions/release-engine';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  kubeconfigFor,
  type KubernetesDouble,
  startKubernetesDouble,
} from '../../../test/support/kubernetes.ts';
import { createKubernetes } from './kubernetes.ts';
import type { KubernetesRelease } from './release.ts';

const never = new AbortController().signal;
const root = '/namespaces/apps';
let double: KubernetesDouble;
let client: KubernetesClient;

const fence = (token: number): Fence => ({ token, check: async () => {} });

/** A Deployment that its controllers have seen as it is; the double has none. */
function putDeployment(name: string, slot: string, replicas: number, more: object = {}): void {
  const labels = { app: name, version: slot };
  double.put(`/apis/apps/v1${root}/deployments/${name}-${slot}`, {
    metadata: { name: `${name}-${slot}`, uid: `${name}-${slot}`, generation: 1, ...more },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'server', image: 'acme/app:1' }] } },
    },
    status: { observedGeneration: 1 },
  });
}

function putPod(name: string, slot: string, status: object = { phase: 'Running' }): string {
  const path = `/api/v1${root}/pods/${name}-${slot}-x`;
  double.put(path, { metadata: { name: `${name}-${slot}-x`, labels: { app: name, version: slot } }, status });
  return path;
}

function putReplicaSet(name: string, slot: string, replicas: number): string {
  const path = `/apis/apps/v1${root}/replicasets/${name}-${slot}-1`;
  double.put(path, {
    metadata: {
      name: `${name}-${slot}-1`,
      generation: 2,
      labels: { app: name, version: slot },
      ownerReferences: [{ kind: 'Deployment', name, uid: `${name}-${slot}`, controller: true }],
    },
    spec: { replicas },
    status: { observedGeneration: 2 },
  });
  return path;
}

beforeEach(async () => {
  double = await startKubernetesDouble();
  const connection = await loadKubeconfig({ content: kubeconfigFor(double.url), environment: {} });
  client = createClient({ connection, namespace: 'apps', log: silentLog });
  double.put(`/api/v1${root}/services/shop`, {
    metadata: { name: 'shop' },
    spec: { selector: { app: 'shop', version: 'green' }, ports: [] },
  });
  for (const slot of ['blue', 'green']) {
    putDeployment('shop', slot, 1);
    putDeployment('beat', slot, slot === 'blue' ? 1 : 0);
  }
});
afterEach(async () => {
  client.close();
  await double.close();
});

const open = (workerDrain = 400): Platform<KubernetesRelease> =>
  createKubernetes({
    client,
    service: 'shop',
    log: silentLog,
    workerDrain,
    followers: { workers: [], schedulers: ['beat'] },
  });

/** Without waiting for the pods of the new one, which the double does not make. */
async function handOver(platform: Platform<KubernetesRelease>, token = 7): Promise<unknown> {
  try {
    await platform.followers?.handOver('green', true, deadlineIn(300), fence(token), never);
    return undefined;
  } catch (thrown) {
    return thrown;
  }
}

const replicasOf = (name: string): unknown => {
  const spec = double.objects.get(`/apis/apps/v1${root}/deployments/${name}`)?.['spec'];
  return isRecord(spec) ? spec['replicas'] : undefined;
};

describe('a scheduler', () => {
  it('is not started while a pod of the other slot is there, even one that is ending', async () => {
    const pod = putPod('beat', 'blue');
    const thrown = await handOver(open());
    expect(thrown).toBeInstanceOf(DeployError);
    expect(thrown).toMatchObject({
      reasonCode: 'drain_timeout',
      message: expect.stringContaining('beat-blue-x') as string,
    });
    expect([replicasOf('beat-blue'), replicasOf('beat-green')]).toEqual([0, 0]);
    double.objects.delete(pod);
    expect(await handOver(open(), 8)).toBeUndefined();
    expect([replicasOf('beat-blue'), replicasOf('beat-green')]).toEqual([0, 1]);
  });

  it('is not started while a controller may still make a pod of the other one', async () => {
    const set = putReplicaSet('beat', 'blue', 1);
    expect(await handOver(open())).toMatchObject({ reasonCode: 'drain_timeout' });
    expect(replicasOf('beat-green')).toBe(0);
    double.objects.delete(set);
    putReplicaSet('beat', 'blue', 0);
    expect(await handOver(open(), 8)).toBeUndefined();
    expect(replicasOf('beat-green')).toBe(1);
  });

  it('counts one that has ended as gone', async () => {
    putPod('beat', 'blue', { phase: 'Failed' });
    expect(await handOver(open())).toBeUndefined();
    expect(replicasOf('beat-green')).toBe(1);
  });

  it('is left to a newer holder of the lease', async () => {
    putDeployment('beat', 'blue', 1, { annotations: { 'deploy-actions.dev/fence': '9' } });
    expect(await handOver(open(), 8)).toMatchObject({ reasonCode: 'lock_lost' });
    expect([replicasOf('beat-blue'), replicasOf('beat-green')]).toEqual([1, 0]);
  });

  it('has Deployments of its own for each colour, or is refused', async () => {
    double.objects.delete(`/apis/apps/v1${root}/deployments/beat-green`);
    await expect(open().observe()).rejects.toMatchObject({
      reasonCode: 'not_found',
      message: expect.stringContaining('beat-green') as string,
    });
  });
});
