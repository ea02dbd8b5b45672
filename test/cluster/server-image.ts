// The image of the test server (server/main.go), and what a test deploys with it.

import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { testServer } from './binaries.ts';
import { addImage, type Digest, importImage, layerOf, tagImage } from './images.ts';
import { containerdSocket, imageStore } from './place.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** Adds the image to what the registry has, and resolves with its digest; the name of none stands for it yet. */
export async function addServerImage(env: Readonly<Record<string, string>>): Promise<Digest> {
  const folder = await mkdtemp(join(tmpdir(), 'server-image-'));
  try {
    await mkdir(join(folder, 'root'));
    await copyFile(await testServer(say), join(folder, 'root', 'server'));
    await layerOf(join(folder, 'root'), join(folder, 'layer.tar'));
    return await addImage(imageStore, [join(folder, 'layer.tar')], {
      Entrypoint: ['/server'],
      Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      ExposedPorts: { '8000/tcp': {} },
      User: '65532:65532',
      ...(env['VERSION'] === undefined
        ? {}
        : { Labels: { 'org.opencontainers.image.version': env['VERSION'] } }),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Makes `name` (`helpdesk-backend:blue`, any registry) an image of the test server with this environment, which can be pulled from
 * now on. All that use the cluster see the same names: a test that moves a tag takes a repository of its own.
 */
export async function publishServer(name: string, env: Readonly<Record<string, string>>): Promise<Digest> {
  const digest = await addServerImage(env);
  await tagImage(imageStore, name, digest);
  return digest;
}

/** The same, given to containerd without a registry: for `imagePullPolicy: Never` and `IfNotPresent`. */
export async function importServer(name: string, env: Readonly<Record<string, string>>): Promise<Digest> {
  const digest = await addServerImage(env);
  await importImage(imageStore, name, digest, containerdSocket);
  return digest;
}

export interface ServerOptions {
  name: string;
  image: string;
  /** Default 2. */
  replicas?: number;
  /** Overrides the image's. */
  env?: Readonly<Record<string, string>>;
  /** Labels of the pods beside `app`. */
  labels?: Readonly<Record<string, string>>;
  /** Of the Deployment's spec. */
  strategy?: object;
  /** Seconds that a pod goes on before it is sent SIGTERM; default none. */
  preStopSleep?: number;
  /** Of the pod's spec; default 30. */
  graceSeconds?: number;
  /** A second container with the same image. */
  beside?: { name: string; port: number; env: Readonly<Record<string, string>> };
}

function container(
  name: string,
  port: number,
  { image, preStopSleep }: ServerOptions,
  env: Readonly<Record<string, string>> = {},
): object {
  return {
    name,
    image,
    ports: [{ containerPort: port }],
    env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
    ...(preStopSleep === undefined ? {} : { lifecycle: { preStop: { sleep: { seconds: preStopSleep } } } }),
    readinessProbe: { httpGet: { path: '/health/', port }, periodSeconds: 1 },
  };
}

/** A Deployment whose pods are asked for readiness each second. */
export function serverDeployment(options: ServerOptions): object {
  const { beside } = options;
  const labels = { app: options.name, ...options.labels };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: options.name, labels },
    spec: {
      replicas: options.replicas ?? 2,
      ...(options.strategy === undefined ? {} : { strategy: options.strategy }),
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: options.graceSeconds ?? 30,
          containers: [
            container('server', 8000, options, options.env),
            ...(beside === undefined
              ? []
              : [container(beside.name, beside.port, options, { PORT: String(beside.port), ...beside.env })]),
          ],
        },
      },
    },
  };
}

/**
 * A Service of the pods with these labels, on a port of 127.0.0.1 that the API server chooses; on one more for each of `others`,
 * ports of the pod by name.
 */
export function nodePortService(
  name: string,
  selector: Readonly<Record<string, string>>,
  others: Readonly<Record<string, number>> = {},
): object {
  const ports = Object.entries({ http: 8000, ...others });
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: {
      type: 'NodePort',
      selector,
      ports: ports.map(([port, targetPort], index) => ({ name: port, port: 80 + index, targetPort })),
    },
  };
}
