// Kubeconfig files, as JSON: that is YAML, too.

import { readFile, writeFile } from 'node:fs/promises';

export interface Access {
  /** `https://HOST:PORT`. */
  server: string;
  /** PEM. */
  ca: string;
  token: string;
  /** Default: `default`. */
  namespace?: string;
}

interface Kubeconfig {
  clusters: { name: string; cluster: { server: string; 'certificate-authority-data': string } }[];
  users: { name: string; user: { token: string } }[];
  contexts: { name: string; context: { cluster: string; user: string; namespace?: string } }[];
}

/** Of one cluster, user and context. */
export function kubeconfigOf({ server, ca, token, namespace }: Access): string {
  const name = 'test';
  const content: Kubeconfig & Record<string, unknown> = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [
      { name, cluster: { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') } },
    ],
    users: [{ name, user: { token } }],
    contexts: [
      { name, context: { cluster: name, user: name, ...(namespace === undefined ? {} : { namespace }) } },
    ],
    'current-context': name,
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

export async function writeKubeconfig(file: string, access: Access): Promise<string> {
  await writeFile(file, kubeconfigOf(access), { mode: 0o600 });
  return file;
}

/** Of a file that {@link writeKubeconfig} wrote. */
export async function readAccess(file: string): Promise<Access> {
  const { clusters, users, contexts } = JSON.parse(await readFile(file, 'utf8')) as Kubeconfig;
  const [cluster, user, context] = [clusters[0]?.cluster, users[0]?.user, contexts[0]?.context];
  if (cluster === undefined || user === undefined) throw new Error(`${file} has no cluster or no user`);
  return {
    server: cluster.server,
    ca: Buffer.from(cluster['certificate-authority-data'], 'base64').toString(),
    token: user.token,
    ...(context?.namespace === undefined ? {} : { namespace: context.namespace }),
  };
}
