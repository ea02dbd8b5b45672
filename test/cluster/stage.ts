// A namespace of the test's own on the real cluster, the rights that the documentation asks for in it, and releases to deploy.

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isRecord, type Log, silentLog } from '@deploy-actions/core';
import { createClient, type KubernetesClient, loadKubeconfig } from '@deploy-actions/kubernetes';
import { ask, get } from './api.ts';
import { cached } from './cache.ts';
import { adminAccess, binariesOfCluster, use } from './cluster.ts';
import { output } from '../support/command.ts';
import { addImage, type Digest, layerOf, tagImage } from './images.ts';
import { type Access, kubeconfigOf } from './kubeconfig.ts';
import { imageStore, kubeconfigFile } from './place.ts';

const folder = import.meta.dirname;
const roleFile = join(folder, '../../workflows-examples/kubernetes-blue-green/role.yml');

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** The test server as one static program, made once. */
async function serverProgram(): Promise<string> {
  const source = await readFile(join(folder, 'server/main.go'));
  const digest = createHash('sha256').update(source).digest('hex').slice(0, 16);
  const made = await cached(`test-server-${digest}`, say, async (making) => {
    const env = { ...process.env, CGO_ENABLED: '0' };
    await output('go', ['build', '-trimpath', '-o', join(making, 'server'), '.'], {
      cwd: join(folder, 'server'),
      env,
    });
  });
  return join(made, 'server');
}

/** Makes an image of the test server and gives it the name; `env` decides how it behaves. */
export async function pushServer(name: string, env: Record<string, string>): Promise<Digest> {
  const work = await mkdtemp(join(tmpdir(), 'test-server-'));
  try {
    const root = join(work, 'root');
    await mkdir(root);
    await output('cp', [await serverProgram(), join(root, 'server')]);
    const tar = join(work, 'layer.tar');
    await layerOf(root, tar);
    const digest = await addImage(imageStore, [tar], {
      Entrypoint: ['/server'],
      Env: Object.entries(env).map(([key, value]) => `${key}=${value}`),
    });
    await tagImage(imageStore, name, digest);
    return digest;
  } finally {
    await rm(work, { recursive: true });
  }
}

export interface Stage {
  namespace: string;
  /** Everything is allowed. */
  admin: Access;
  kubectl(...args: string[]): Promise<string>;
  /** Creates or replaces objects in the namespace. */
  apply(...objects: Record<string, unknown>[]): Promise<void>;
  /** The text of a kubeconfig with no other rights than those of the example's Role. */
  kubeconfig: string;
  /** A client with these rights. */
  connect(log?: Log): Promise<KubernetesClient>;
  dispose(): Promise<void>;
}

/** A namespace with the Role of the example and a token for its service account. */
export async function openStage(): Promise<Stage> {
  const cluster = await use(say);
  const admin = await adminAccess();
  const namespace = `test-${randomBytes(4).toString('hex')}`;
  const program = join(await binariesOfCluster(), 'kubectl');
  const run = (args: string[], input?: string) =>
    output(
      program,
      ['--kubeconfig', kubeconfigFile, '-n', namespace, ...args],
      input === undefined ? {} : { input },
    );
  await run(['create', 'namespace', namespace]);
  await run(['apply', '-f', '-'], await readFile(roleFile, 'utf8'));
  const answer = await ask(
    admin,
    'POST',
    `/api/v1/namespaces/${namespace}/serviceaccounts/deploy-actions/token`,
    { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: { expirationSeconds: 7200 } },
  );
  const status = isRecord(answer.body) && isRecord(answer.body['status']) ? answer.body['status'] : {};
  const kubeconfig = kubeconfigOf({ ...admin, token: String(status['token']), namespace });
  const clients: KubernetesClient[] = [];
  return {
    namespace,
    admin,
    kubeconfig,
    kubectl: (...args) => run(args),
    async apply(...objects) {
      const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
      await run(['apply', '--server-side', '--force-conflicts', '-f', '-'], list);
    },
    async connect(log = silentLog) {
      const connection = await loadKubeconfig({ content: kubeconfig, environment: {} });
      const client = createClient({ connection, namespace, log });
      clients.push(client);
      return client;
    },
    async dispose() {
      for (const client of clients) client.close();
      await run(['delete', 'namespace', namespace, '--wait=false']);
      await cluster.release();
    },
  };
}

export interface DeploymentOptions {
  name: string;
  labels: Record<string, string>;
  image: string;
  replicas?: number;
  /** Whether pods have a readiness probe; default true. */
  probed?: boolean;
  env?: Record<string, string>;
  graceSeconds?: number;
}

/** A Deployment of the test server. */
export function deploymentOf(options: DeploymentOptions): Record<string, unknown> {
  const { name, labels, image, replicas = 1, probed = true, env = {}, graceSeconds = 15 } = options;
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: graceSeconds,
          containers: [
            {
              name: 'app',
              image,
              ports: [{ name: 'http', containerPort: 8000 }],
              env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
              ...(probed
                ? { readinessProbe: { httpGet: { path: '/health/', port: 'http' }, periodSeconds: 1 } }
                : {}),
            },
          ],
        },
      },
    },
  };
}

/** A Service that clients on this machine reach, by a port that the API server chooses. */
export function serviceOf(name: string, selector: Record<string, string>): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { type: 'NodePort', selector, ports: [{ name: 'http', port: 80, targetPort: 'http' }] },
  };
}

/** `http://127.0.0.1:PORT` of a Service. */
export async function urlOf(stage: Stage, service: string): Promise<string> {
  const object = await get(stage.admin, `/api/v1/namespaces/${stage.namespace}/services/${service}`);
  const spec = isRecord(object) && isRecord(object['spec']) ? object['spec'] : {};
  const [port] = Array.isArray(spec['ports']) ? (spec['ports'] as { nodePort: number }[]) : [];
  return `http://127.0.0.1:${port?.nodePort}`;
}

/** Waits until a Service answers: its pods are ready, and the node has written its rules. */
export async function untilServed(url: string): Promise<void> {
  for (const end = performance.now() + 30_000; ;) {
    try {
      const response = await fetch(url, { headers: { connection: 'close' } });
      await response.arrayBuffer();
      if (response.ok) return;
    } catch (thrown) {
      if (performance.now() > end) throw thrown;
    }
    await delay(50);
  }
}
