// How long is waited for an API server that was never heard of, and for one that was.

import { createServer, type Server, type Socket } from 'node:net';
import { type Log, type ProgressLine, silentLog } from '@deploy-actions/core';
import { afterEach, expect, it } from 'vitest';
import { kubeconfigFor, startKubernetesDouble } from '../../test/support/kubernetes.ts';
import { createClient, type KubernetesClient } from './client.ts';
import { loadKubeconfig } from './kubeconfig.ts';
import { resources } from './objects.ts';

const ends: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function clientOf(url: string, log: Log = silentLog): Promise<KubernetesClient> {
  const connection = await loadKubeconfig({ content: kubeconfigFor(url), environment: {} });
  const client = createClient({ connection, namespace: 'apps', log });
  ends.push(() => client.close());
  return client;
}

async function failing(work: () => Promise<unknown>): Promise<{ message: string; milliseconds: number }> {
  const began = performance.now();
  const thrown = await work().then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  return { message: String(thrown), milliseconds: performance.now() - began };
}

it('one that refuses connections is tried for some 5 s, which is said; who asks again does not wait again', async () => {
  const shown: ProgressLine[] = [];
  const client = await clientOf('https://127.0.0.1:1', {
    ...silentLog,
    progress: (line) => shown.push(line),
  });
  const first = await failing(() => client.get(resources.services, 'shop'));
  expect(first.message).toMatch(/127\.0\.0\.1:1 .* did not answer .*ECONNREFUSED/);
  expect(first.milliseconds).toBeGreaterThan(3_000);
  expect(first.milliseconds).toBeLessThan(8_000);
  expect(shown[0]).toMatchObject({
    what: 'waiting for https://127.0.0.1:1',
    detail: expect.stringContaining('ECONNREFUSED'),
  });
  const second = await failing(() => client.within('other').get(resources.services, 'shop'));
  expect(second.milliseconds).toBeLessThan(2_500);
});

it('one whose connection never comes about is given up after 5 s, not after the time for an answer', async () => {
  const sockets = new Set<Socket>();
  const silent: Server = createServer((socket) => void sockets.add(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    sockets.forEach((socket) => socket.destroy());
    silent.close();
  });
  const address = silent.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const client = await clientOf(`https://127.0.0.1:${port}`);
  const { message, milliseconds } = await failing(() => client.get(resources.services, 'shop'));
  expect(message).toContain('no connection within 5000 ms');
  expect(milliseconds).toBeLessThan(9_000);
});

it('one that answered before is waited for longer', async () => {
  const api = await startKubernetesDouble();
  ends.push(() => api.close());
  const client = await clientOf(api.url);
  await client.list(resources.services);
  let cuts = 0;
  api.interfere = () => ((cuts += 1) <= 5 ? { kind: 'cut' } : undefined);
  await client.list(resources.services);
  expect(cuts).toBe(6);
});
