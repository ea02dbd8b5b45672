// An application in two colours behind one Service, and whoever releases it: an account with the rights of the example's Role.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLog } from '@deploy-actions/core';
import { createClient, type KubernetesClient, loadKubeconfig } from '@deploy-actions/kubernetes';
import { loadAll } from 'js-yaml';
import { use } from './cluster.ts';
import { type Account, createNamespace, type Namespace, type PolicyRule } from './namespace.ts';
import { nodePortService, serverDeployment, type ServerOptions } from './server-image.ts';

const examples = join(import.meta.dirname, '../../workflows-examples');

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** The rules of the Role that the documentation asks for, by the example's folder. */
export async function exampleRules(
  example = 'kubernetes-blue-green',
  file = 'role.yml',
): Promise<PolicyRule[]> {
  const documents = loadAll(await readFile(join(examples, example, file), 'utf8')) as {
    kind: string;
    rules?: PolicyRule[];
  }[];
  return documents.find(({ kind }) => kind === 'Role')?.rules ?? [];
}

export interface Stage extends Namespace {
  account: Namespace['account'];
  /** The one who releases. */
  releaser: Account;
  /** A client of the one who releases, or of whom this kubeconfig names. */
  connect(kubeconfig?: string): Promise<KubernetesClient>;
}

export async function openStage(example?: string): Promise<Stage> {
  const cluster = await use(say);
  const namespace = await createNamespace();
  const releaser = await namespace.account('deploy-actions', await exampleRules(example));
  const clients: KubernetesClient[] = [];
  return {
    ...namespace,
    releaser,
    async connect(kubeconfig = releaser.kubeconfig) {
      const connection = await loadKubeconfig({ file: kubeconfig, environment: {} });
      const client = createClient({ connection, namespace: namespace.name, log: silentLog });
      clients.push(client);
      return client;
    },
    async end() {
      for (const client of clients) client.close();
      await namespace.end();
      await cluster.release();
    },
  };
}

/** One colour of an application: a Deployment `<app>-<colour>`. */
export function colourOf(
  app: string,
  colour: string,
  options: Omit<ServerOptions, 'name' | 'labels'>,
): object {
  return serverDeployment({ ...options, name: `${app}-${colour}`, labels: { app, version: colour } });
}

/** Blue with pods, green without, and the Service that sends to blue. */
export function bothColours(
  app: string,
  options: Omit<ServerOptions, 'name' | 'labels'>,
  service = nodePortService,
): object[] {
  return [
    colourOf(app, 'blue', options),
    colourOf(app, 'green', { ...options, replicas: 0 }),
    service(app, { app, version: 'blue' }),
  ];
}
