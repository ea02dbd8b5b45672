// A test's own part of the cluster: a namespace, kubectl in it, accounts with some rights, and the Secrets that the manifests
// take for granted.

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ask, get } from './api.ts';
import { adminAccess, binariesOfCluster } from './cluster.ts';
import { output } from '../support/command.ts';
import { until } from '../support/until.ts';
import { type Access, writeKubeconfig } from './kubeconfig.ts';

/** Of RBAC. */
export interface PolicyRule {
  apiGroups: string[];
  resources: string[];
  verbs: string[];
  resourceNames?: string[];
}

export interface Account {
  kubeconfig: string;
  access: Access;
}

export interface Namespace {
  readonly name: string;
  /** The administrator's, with this namespace as the default. */
  readonly kubeconfig: string;
  readonly access: Access;
  /** kubectl's standard output; throws with what it says when it fails. */
  kubectl(...args: string[]): Promise<string>;
  /** Objects, or YAML text. */
  apply(...manifests: (object | string)[]): Promise<void>;
  /** Waits until all replicas of the newest revision are ready; throws when they are not in time. */
  rolledOut(deployment: string, seconds?: number): Promise<void>;
  /**
   * `http://127.0.0.1:PORT` of a Service of type NodePort, once it has answered for longer than kube-proxy waits between two
   * changes: pods that are ready are not yet reached. `port`: one of its ports by name; default the first.
   */
  urlOf(service: string, port?: string): Promise<string>;
  /** A ServiceAccount that may do in this namespace what the rules say, by a token for an hour. */
  account(name: string, rules: readonly PolicyRule[]): Promise<Account>;
  /** Deletes the namespace; its pods get no time. */
  end(): Promise<void>;
}

/** Milliseconds for what the API server and its controllers bring about a moment later. */
const patience = 30_000;

/** The path of one of the document's manifests. */
export const manifestFile = (name: string): string => join(import.meta.dirname, 'manifests', name);

/** kubectl of the cluster's version, with an environment in which it is whom the kubeconfig says and keeps its cache beside it. */
export async function kubectlFor(kubeconfig: string): Promise<{ program: string; env: NodeJS.ProcessEnv }> {
  const env = { PATH: process.env['PATH'], HOME: dirname(kubeconfig), KUBECONFIG: kubeconfig };
  return { program: join(await binariesOfCluster(), 'kubectl'), env };
}

/** Throws with what to do when no cluster is up. */
export async function createNamespace(prefix = 'test'): Promise<Namespace> {
  const admin = await adminAccess();
  const name = `${prefix}-${randomBytes(4).toString('hex')}`;
  const folder = await mkdtemp(join(tmpdir(), 'namespace-'));
  const access = { ...admin, namespace: name };
  const kubeconfig = await writeKubeconfig(join(folder, 'kubeconfig'), access);
  const { program, env } = await kubectlFor(kubeconfig);

  const kubectl = (...args: string[]): Promise<string> => output(program, args, { env });

  async function apply(...manifests: (object | string)[]): Promise<void> {
    const texts = manifests.map((one) => (typeof one === 'string' ? one : JSON.stringify(one)));
    await output(program, ['apply', '-f', '-'], { env, input: texts.join('\n---\n') });
  }

  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  // Every namespace gets them, and pods need both.
  for (const part of ['serviceaccounts/default', 'configmaps/kube-root-ca.crt']) {
    const path = `/api/v1/namespaces/${name}/${part}`;
    await until(part, async () => (await ask(admin, 'GET', path)).status === 200, patience);
  }
  return {
    name,
    kubeconfig,
    access,
    kubectl,
    apply,
    async rolledOut(deployment, seconds = 90) {
      await kubectl('rollout', 'status', `deployment/${deployment}`, `--timeout=${seconds}s`);
    },
    async urlOf(service, portName) {
      const { spec } = (await get(access, `/api/v1/namespaces/${name}/services/${service}`)) as {
        spec: { ports: { name?: string; nodePort?: number }[] };
      };
      const port = spec.ports.find((one) => portName === undefined || one.name === portName)?.nodePort;
      if (port === undefined) throw new Error(`the Service ${service} has no NodePort ${portName ?? ''}`);
      const url = `http://127.0.0.1:${port}`;
      await untilSteady(url);
      return url;
    },
    async account(account, rules) {
      const rbac = 'rbac.authorization.k8s.io';
      const metadata = { name: account, namespace: name };
      await apply(
        { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
        { apiVersion: `${rbac}/v1`, kind: 'Role', metadata, rules },
        {
          apiVersion: `${rbac}/v1`,
          kind: 'RoleBinding',
          metadata,
          subjects: [{ kind: 'ServiceAccount', ...metadata }],
          roleRef: { apiGroup: rbac, kind: 'Role', name: account },
        },
      );
      const path = `/api/v1/namespaces/${name}/serviceaccounts/${account}/token`;
      const request = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest' };
      const { status, body } = await ask(admin, 'POST', path, {
        ...request,
        spec: { expirationSeconds: 3600 },
      });
      if (status !== 201) throw new Error(`no token for ${account}: ${status} ${JSON.stringify(body)}`);
      const { token } = (body as { status: { token: string } }).status;
      const own = { ...access, token };
      const allowed = rules.find(({ verbs }) => verbs.length > 0);
      if (allowed !== undefined) await until(`the right of ${account}`, () => mayDo(own, allowed), patience);
      return { access: own, kubeconfig: await writeKubeconfig(join(folder, `${account}.kubeconfig`), own) };
    },
    async end() {
      await kubectl('delete', 'namespace', name, '--wait=false');
      await kubectl('delete', 'pods', '--all', '--grace-period=0', '--force', '--wait=false');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Whether the API server knows by now that an account may do what a rule allows. */
async function mayDo(access: Access, rule: PolicyRule): Promise<boolean> {
  const [resource, subresource] = rule.resources[0]?.split('/') ?? [];
  const resourceAttributes = {
    namespace: access.namespace,
    verb: rule.verbs[0],
    group: rule.apiGroups[0],
    ...{ resource, subresource },
    ...(rule.resourceNames === undefined ? {} : { name: rule.resourceNames[0] }),
  };
  const { body } = await ask(access, 'POST', '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews', {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes },
  });
  return (body as { status?: { allowed?: boolean } }).status?.allowed === true;
}

async function untilSteady(url: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  let since = performance.now();
  while (performance.now() - since < 1_500) {
    const options = { headers: { connection: 'close' }, signal: AbortSignal.timeout(5_000) };
    const isAnswered = await fetch(url, options).then(
      (answer) => answer.arrayBuffer().then(() => answer.ok),
      () => false,
    );
    if (!isAnswered) since = performance.now();
    if (performance.now() > deadline) throw new Error(`${url} did not answer steadily within 30 s`);
    await delay(50);
  }
}

/**
 * Makes what the document's manifests take for granted: the Secrets db-secret and app-secrets with values of this moment, and the
 * ConfigMap app-config with the key that k8s-deployment.yml wants and configmap.yml does not have.
 */
export async function provideSecrets(namespace: Namespace): Promise<void> {
  const random = (): string => randomBytes(18).toString('base64url');
  const secret = (name: string, stringData: Record<string, string>): object => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name },
    type: 'Opaque',
    stringData,
  });
  const names = ['SECRET_KEY', 'DB_PASSWORD', 'EMAIL_HOST_PASSWORD', 'AWS_ACCESS_KEY_ID'];
  names.push('AWS_SECRET_ACCESS_KEY', 'SENTRY_DSN');
  await namespace.apply(
    secret('db-secret', { url: `postgresql://helpdesk:${random()}@127.0.0.1:5432/helpdesk` }),
    secret('app-secrets', Object.fromEntries(names.map((name) => [name, random()]))),
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'app-config' },
      data: { 'redis-url': 'redis://redis-service:6379/0' },
    },
  );
}
