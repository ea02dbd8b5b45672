// That the cluster is a real one: what it schedules, pulls, refuses and passes on.

import { readFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask } from './api.ts';
import { startApiProxy } from './api-proxy.ts';
import { adminAccess, status } from './cluster.ts';
import { createNamespace, kubectlFor, manifestFile, type Namespace, provideSecrets } from './namespace.ts';
import { nodePortService, importServer, publishServer, serverDeployment } from './server-image.ts';

let namespace: Namespace;
/** In a repository of this run, so that no other moves its tags. */
let repository: string;

beforeAll(async () => {
  namespace = await createNamespace('cluster');
  repository = `registry.example.com:5000/team/${namespace.name}`;
});
afterAll(() => namespace.end());

async function names(selector: string): Promise<string[]> {
  const text = await namespace.kubectl('get', 'pods', '-l', selector, '-o', 'name');
  return text
    .trim()
    .split('\n')
    .map((name) => name.replace('pod/', ''));
}

test('is healthy, of the wanted version, and known by the certificate of its own authority', async () => {
  expect(await status()).toMatchObject({ healthy: true });
  const access = await adminAccess();
  expect((await ask(access, 'GET', '/version')).body).toMatchObject({ gitVersion: 'v1.34.4' });
  await expect(ask({ ...access, ca: '' }, 'GET', '/version')).rejects.toThrow('certificate');
  expect((await ask({ ...access, token: 'guessed' }, 'GET', '/version')).status).toBe(401);
});

describe('a Deployment of the test server', () => {
  let url: string;
  let pod: string;

  beforeAll(async () => {
    await publishServer(`${repository}:v1`, { VERSION: 'v1' });
    await namespace.apply(
      serverDeployment({ name: 'web', image: `${repository}:v1`, env: { ERROR_EVERY: '0' } }),
      nodePortService('web', { app: 'web' }),
    );
    await namespace.rolledOut('web');
    url = await namespace.urlOf('web');
    pod = (await names('app=web'))[0] ?? '';
  });

  test('answers on a NodePort of 127.0.0.1, from all its pods', async () => {
    const pods = await names('app=web');
    const hosts = new Set<string>();
    const end = performance.now() + 10_000;
    // The nodes may learn of the last pod a moment later; every answer has to be a good one.
    for (let count = 0; count < 40 || (hosts.size < pods.length && performance.now() < end); count += 1) {
      const answer = await fetch(url, { headers: { connection: 'close' } });
      expect([answer.status, answer.headers.get('x-version')]).toEqual([200, 'v1']);
      hosts.add(((await answer.json()) as { host: string }).host);
    }
    expect([...hosts].toSorted()).toEqual(pods.toSorted());
  });

  test('has logs, by the API server from kubelet', async () => {
    expect(await namespace.kubectl('logs', pod)).toContain('"listening":8000');
  });

  test('is reached through the pod proxy', async () => {
    const path = `/api/v1/namespaces/${namespace.name}/pods/${pod}:8000/proxy/tickets`;
    expect((await ask(namespace.access, 'GET', path)).body).toMatchObject({ path: '/tickets', host: pod });
  });

  test('is reached by port-forward, and watched, through the proxy of faults', async () => {
    const proxy = await startApiProxy(namespace.access);
    try {
      const { program, env } = await kubectlFor(proxy.kubeconfig);
      const forward = spawn(program, ['port-forward', pod, ':8000'], {
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const [line] = (await once(createInterface(forward.stdout), 'line')) as [string];
      const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
      expect(await answer.json()).toMatchObject({ host: pod });
      forward.kill();
      await once(forward, 'exit');
      const upgraded = proxy.calls.find(({ path }) => path.includes('/portforward'));
      expect(upgraded).toMatchObject({ upstream: 101, outcome: 101 });

      const watch = spawn(program, ['get', 'configmaps', '--watch', '-o', 'name'], {
        env,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines = createInterface(watch.stdout);
      const seen = new Promise<void>((resolve) => {
        lines.on('line', (text) => text === 'configmap/watched' && resolve());
      });
      await namespace.kubectl('create', 'configmap', 'watched');
      await seen;
      watch.kill();
      await once(watch, 'exit');
      expect(proxy.mutations()).toEqual([]);
    } finally {
      await proxy.stop();
    }
  });
});

test('pulls a moved `:latest` again from the registry that stands for docker.io', async () => {
  const name = `latest-${namespace.name}`;
  await publishServer(`${name}:latest`, { VERSION: 'first' });
  await namespace.apply(
    serverDeployment({ name, image: name, replicas: 1 }),
    nodePortService(name, { app: name }),
  );
  await namespace.rolledOut(name);
  const url = await namespace.urlOf(name);
  const version = async () =>
    (await fetch(url, { headers: { connection: 'close' } })).headers.get('x-version');
  expect(await version()).toBe('first');
  await publishServer(`${name}:latest`, { VERSION: 'second' });
  await namespace.kubectl('rollout', 'restart', `deployment/${name}`);
  await namespace.rolledOut(name);
  await expect.poll(version, { timeout: 10_000 }).toBe('second');
});

test('runs an imported image that no registry has, and says at once when there is none', async () => {
  await importServer(`localhost/${namespace.name}:imported`, { VERSION: 'imported' });
  await namespace.apply(
    serverDeployment({ name: 'imported', image: `localhost/${namespace.name}:imported`, replicas: 1 }),
    serverDeployment({ name: 'missing', image: `${repository}:missing`, replicas: 1 }),
  );
  await namespace.rolledOut('imported');
  const reason = async () =>
    namespace.kubectl(
      ...['get', 'pods', '-l', 'app=missing', '-o'],
      'jsonpath={.items[*].status.containerStatuses[*].state.waiting.message}',
    );
  await expect.poll(reason, { timeout: 20_000 }).toContain('not found');
});

test('denies a ServiceAccount what no Role allows', async () => {
  const { access } = await namespace.account('reader', [
    { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] },
  ]);
  const path = (resource: string, where = namespace.name) => `/api/v1/namespaces/${where}/${resource}`;
  expect((await ask(access, 'GET', path('pods'))).status).toBe(200);
  const denied = await ask(access, 'GET', path('secrets'));
  expect(denied.status).toBe(403);
  expect(JSON.stringify(denied.body)).toContain(`system:serviceaccount:${namespace.name}:reader`);
  expect((await ask(access, 'GET', path('pods', 'default'))).status).toBe(403);
  expect((await ask(access, 'DELETE', path('pods'))).status).toBe(403);
});

test("takes the document's blue-green manifest as it is", async () => {
  for (const colour of ['blue', 'green'])
    await publishServer(`helpdesk-backend:${colour}`, { VERSION: colour });
  await provideSecrets(namespace);
  await namespace.kubectl('apply', '-f', manifestFile('blue-green-deployment.yml'));
  await Promise.all(['blue', 'green'].map((colour) => namespace.rolledOut(`helpdesk-${colour}`)));
  const path = `/api/v1/namespaces/${namespace.name}/services/helpdesk-service/proxy/`;
  // Without a probe its pods are ready before they listen.
  await expect
    .poll(async () => (await ask(namespace.access, 'GET', path)).body)
    .toMatchObject({ version: 'blue' });
  expect(await readFile(manifestFile('blue-green-deployment.yml'), 'utf8')).not.toContain('readinessProbe');
});
