import { silentLog } from '@deploy-actions/core';
import { storeConformance } from '../release-engine/store-conformance.ts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  kubeconfigFor,
  type KubernetesDouble,
  startKubernetesDouble,
} from '../../test/support/kubernetes.ts';
import { createClient, type KubernetesClient } from './client.ts';
import { loadKubeconfig } from './kubeconfig.ts';
import { createKubernetesStore } from './state-store.ts';

let api: KubernetesDouble;
let client: KubernetesClient;
beforeAll(async () => {
  api = await startKubernetesDouble();
  const connection = await loadKubeconfig({ content: kubeconfigFor(api.url), environment: {} });
  client = createClient({ connection, namespace: 'apps', log: silentLog, pauses: [1, 1, 1, 1] });
});
afterAll(async () => {
  client.close();
  await api.close();
});

let places = 0;
storeConformance('kubernetes', () => ({
  fresh: () => `deploy-actions.test-${(places += 1)}`,
  open: (place) => createKubernetesStore(client, place),
  resolution: 1_000,
}));

const leases = '/apis/coordination.k8s.io/v1/namespaces/apps/leases';
const maps = '/api/v1/namespaces/apps/configmaps';

describe('state in a cluster', () => {
  it('has the lock as a Lease, for people and tools to see', async () => {
    const store = createKubernetesStore(client, 'deploy-actions.shop');
    const version = await store.write('lease', { holder: { id: '7.1' }, ttl: 30_000 }, 0);
    const lease = api.objects.get(`${leases}/deploy-actions.shop.lease`);
    expect(lease).toMatchObject({
      spec: { holderIdentity: '7.1', leaseDurationSeconds: 30, leaseTransitions: version },
    });
    await store.write('lease', null, version);
    expect(api.objects.get(`${leases}/deploy-actions.shop.lease`)?.['spec']).not.toHaveProperty(
      'holderIdentity',
    );
  });

  it('gives a lease that was deleted no smaller token than those before it', async () => {
    const store = createKubernetesStore(client, 'deploy-actions.lost');
    const first = await store.write('lease', 'a', 0);
    const token = await store.write('lease', 'b', first);
    api.objects.delete(`${leases}/deploy-actions.lost.lease`);
    await new Promise((resolve) => setTimeout(resolve, 2_100));
    expect(await store.write('lease', 'c', 0)).toBeGreaterThan(token);
  });

  it('is written once, whatever becomes of the answers', async () => {
    const store = createKubernetesStore(client, 'deploy-actions.cut');
    const mutations = () => api.requests.filter(({ method }) => method !== 'GET').length;
    for (const kind of ['cut', 'cut-after'] as const) {
      let left = 2;
      const before = mutations();
      api.interfere = ({ method }) => (method !== 'GET' && left-- > 1 ? { kind } : undefined);
      const { version } = await store.read('journal');
      const written = await store.write('journal', { kind }, version);
      expect(await store.read('journal')).toEqual({ value: { kind }, version: written });
      expect(mutations() - before).toBe(kind === 'cut' ? 2 : 1);
    }
    api.interfere = () => undefined;
  });

  it('keeps a heartbeat from making a write fail', async () => {
    const store = createKubernetesStore(client, 'deploy-actions.beat');
    const version = await store.write('lease', 'mine', 0);
    let touched = false;
    api.interfere = ({ method, path }) => {
      if (method === 'PATCH' && !touched) {
        touched = true;
        // Somebody's heartbeat, between the look and the write.
        const lease = api.objects.get(path);
        if (lease !== undefined) api.put(path, lease);
      }
      return undefined;
    };
    expect(await store.write('lease', 'next', version)).toBe(version + 1);
    api.interfere = () => undefined;
  });

  it('that a newer suite wrote, or somebody spoilt, is refused', async () => {
    const store = createKubernetesStore(client, 'deploy-actions.other');
    const document = (text: string) =>
      api.put(`${maps}/deploy-actions.other.journal`, { data: { document: text } });
    document('{"schema":2,"version":1,"at":1,"value":1}');
    await expect(store.read('journal')).rejects.toMatchObject({ reasonCode: 'state_too_new' });
    for (const text of ['', '{', '[]', '{"schema":1}', '{"schema":1,"version":"1","at":1}']) {
      document(text);
      await expect(store.read('journal'), text).rejects.toMatchObject({ reasonCode: 'state_corrupt' });
      await expect(store.write('journal', 1, 1), text).rejects.toMatchObject({ reasonCode: 'state_corrupt' });
    }
  });
});
