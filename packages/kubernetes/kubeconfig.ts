import { access, readFile } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import type { RequestOptions } from 'node:https';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { codeOf, DeployError, isRecord, messageOf, parseYaml } from '@deploy-actions/core';

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Where the way to a cluster is looked for. */
export interface KubeconfigSource {
  /** Text of a kubeconfig, as a secret holds it; goes before all else. */
  content?: string | undefined;
  /** Path of a kubeconfig. */
  file?: string | undefined;
  /** A context other than the current one. */
  context?: string | undefined;
  /** Where KUBECONFIG, HOME and, within a cluster, KUBERNETES_SERVICE_HOST are read. */
  environment: NodeJS.ProcessEnv;
}

/** A cluster and who asks it. */
export interface Connection {
  /** `https://10.0.0.1:6443`. */
  server: string;
  /** For messages: where it was read from, and the names in it. */
  source: string;
  context: string;
  user: string;
  /** The context's namespace, or the service account's. */
  namespace: string | undefined;
  /** `http://proxy:3128`, where the kubeconfig names one. */
  proxy: string | undefined;
  /** What must not be seen of what the kubeconfig says. */
  secrets: string[];
  /** What a request needs to be let in: TLS, agent and headers. Runs exec plugins, and again when a token has expired. */
  credentials(): Promise<RequestOptions>;
  /** Forgets cached credentials, after the server has refused them. */
  forget(): Promise<void>;
}

function invalid(source: string, what: string, cause?: unknown): DeployError {
  return new DeployError('invalid_config', `${source}: ${what}`, {
    remedy: 'Give a kubeconfig as `kubectl config view --raw --minify --flatten` prints it.',
    cause,
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const missing = codeOf(cause) === 'ENOENT';
    throw new DeployError(
      missing ? 'not_found' : 'permission_denied',
      `The kubeconfig ${path} ${missing ? 'does not exist' : `cannot be read (${codeOf(cause) ?? messageOf(cause)})`}.`,
      { remedy: 'Correct the path (`kubeconfig`, or the variable KUBECONFIG), or make it readable.', cause },
    );
  }
}

async function parse(text: string, source: string, folder: string | undefined): Promise<KubeConfig> {
  const config = new KubeConfig();
  try {
    config.loadFromString(text);
    await addTokenFiles(config, text, folder);
  } catch (cause) {
    throw invalid(source, `it is not a kubeconfig (${messageOf(cause).split('\n')[0]}).`, cause);
  }
  if (folder !== undefined) config.makePathsAbsolute(folder);
  return config;
}

/** `tokenFile` of a user, which the library knows of the pod's own account alone. */
async function addTokenFiles(config: KubeConfig, text: string, folder: string | undefined): Promise<void> {
  const document = await parseYaml(text);
  const users: unknown[] = isRecord(document) && Array.isArray(document['users']) ? document['users'] : [];
  for (const entry of users) {
    if (!isRecord(entry)) continue;
    const tokenFile = isRecord(entry['user']) ? entry['user']['tokenFile'] : undefined;
    const user = config.users.find(({ name }) => name === entry['name']);
    if (typeof tokenFile !== 'string' || user === undefined) continue;
    const path = folder === undefined ? tokenFile : resolve(folder, tokenFile);
    Object.assign(user, { authProvider: { name: 'tokenFile', config: { tokenFile: path } } });
  }
}

function inCluster(environment: NodeJS.ProcessEnv, namespace: string): KubeConfig {
  const host = environment['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = environment['KUBERNETES_SERVICE_PORT'] ?? '443';
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [
      {
        name: 'in-cluster',
        server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
        caFile: join(serviceAccount, 'ca.crt'),
        skipTLSVerify: false,
      },
    ],
    users: [
      {
        name: 'service account',
        authProvider: { name: 'tokenFile', config: { tokenFile: join(serviceAccount, 'token') } },
      },
    ],
    contexts: [{ name: 'in-cluster', cluster: 'in-cluster', user: 'service account', namespace }],
    currentContext: 'in-cluster',
  });
  return config;
}

async function find(source: KubeconfigSource): Promise<{ config: KubeConfig; source: string }> {
  const { environment } = source;
  if (source.content !== undefined && source.content.trim() !== '') {
    const name = 'The kubeconfig of the input';
    return { config: await parse(source.content, name, undefined), source: name };
  }
  const listed = (environment['KUBECONFIG'] ?? '').split(delimiter).filter((path) => path !== '');
  const home = join(environment['HOME'] ?? '', '.kube', 'config');
  const paths = source.file === undefined ? listed : [source.file];
  // As kubectl does: of several files, those that are missing are passed over.
  const present: string[] = [];
  for (const path of paths) if (paths.length === 1 || (await exists(path))) present.push(path);
  if (paths.length === 0 && (await exists(home))) present.push(home);
  if (present.length > 0) {
    const name = present.join(delimiter);
    const merged = new KubeConfig();
    for (const path of present) {
      const config = await parse(await textOf(path), path, dirname(resolve(path)));
      // The first to say something wins.
      const fresh = <T extends { name: string }>(list: T[], known: T[]) =>
        list.filter((entry) => known.every((other) => other.name !== entry.name));
      merged.clusters = [...merged.clusters, ...fresh(config.clusters, merged.clusters)];
      merged.users = [...merged.users, ...fresh(config.users, merged.users)];
      merged.contexts = [...merged.contexts, ...fresh(config.contexts, merged.contexts)];
      merged.currentContext ||= config.currentContext;
    }
    return { config: merged, source: name };
  }
  if (
    (environment['KUBERNETES_SERVICE_HOST'] ?? '') !== '' &&
    (await exists(join(serviceAccount, 'token')))
  ) {
    const namespace = await textOf(join(serviceAccount, 'namespace')).catch(() => 'default');
    return { config: inCluster(environment, namespace.trim()), source: 'The pod’s service account' };
  }
  throw new DeployError('invalid_input', 'There is no kubeconfig, and this does not run in a cluster.', {
    remedy: `Give \`kubeconfig\` (a path, or the text from a secret), set KUBECONFIG, or have ${home} made by an earlier step.`,
  });
}

/** Opens the way to a cluster; asks it nothing yet. Throws `not_found`, `invalid_config`, `invalid_input`. */
export async function loadKubeconfig(from: KubeconfigSource): Promise<Connection> {
  let { config, source } = await find(from);
  let proxy: string | undefined;

  function select(): void {
    if (from.context !== undefined) config.setCurrentContext(from.context);
    const names = config.contexts.map(({ name }) => name);
    const current = config.getCurrentContext();
    if (!names.includes(current)) {
      const known = names.length === 0 ? 'none' : names.join(', ');
      throw invalid(
        source,
        from.context === undefined && !current
          ? `it has no current context; contexts are: ${known}.`
          : `it has no context "${current}"; contexts are: ${known}.`,
      );
    }
    const context = config.getContextObject(current);
    const cluster = config.clusters.find(({ name }) => name === context?.cluster);
    const user = config.users.find(({ name }) => name === context?.user);
    if (cluster === undefined)
      throw invalid(source, `context "${current}" names cluster "${context?.cluster}", which is not in it.`);
    if (user === undefined)
      throw invalid(source, `context "${current}" names user "${context?.user}", who is not in it.`);
    if (!/^https?:\/\//.test(cluster.server)) {
      throw invalid(source, `the server "${cluster.server}" of cluster "${cluster.name}" is no URL.`);
    }
    proxy = cluster.proxyUrl || undefined;
    if (proxy !== undefined && !/^https?:\/\//.test(proxy)) {
      throw new DeployError(
        'unsupported',
        `${source}: the proxy "${proxy}" of cluster "${cluster.name}" is not of HTTP.`,
        {
          remedy: 'Use an HTTP proxy, or a tunnel that ends on the runner.',
        },
      );
    }
    // The transport is ours, and so is its proxy.
    delete (cluster as { proxyUrl?: string }).proxyUrl;
    // The library takes plain HTTP (a local proxy, a tunnel) only so; there is no TLS to verify.
    if (cluster.server.startsWith('http:')) Object.assign(cluster, { skipTLSVerify: true });
    if (user.exec !== undefined && user.exec !== null) tellCluster(user.exec as ExecPlugin, cluster);
  }
  select();

  const context = config.getContextObject(config.getCurrentContext());
  const cluster = config.getCurrentCluster();
  return {
    server: cluster?.server ?? '',
    source,
    context: config.getCurrentContext(),
    user: context?.user ?? '',
    namespace: context?.namespace || undefined,
    proxy,
    secrets: config.users.flatMap(({ token, password, keyData }) =>
      [token, password, keyData].filter((secret) => typeof secret === 'string' && secret !== ''),
    ) as string[],
    async credentials() {
      const options: RequestOptions = { headers: {} };
      try {
        await config.applyToHTTPSOptions(options);
      } catch (cause) {
        throw new DeployError(
          'permission_denied',
          `The credentials of user "${context?.user}" (${source}) cannot be had: ${messageOf(cause).trim()}`,
          {
            remedy:
              'An exec plugin has to be installed on the runner and logged in; files that the kubeconfig names have to be there.',
            cause,
          },
        );
      }
      return options;
    },
    async forget() {
      ({ config, source } = await find(from));
      select();
    },
  };
}

interface ExecPlugin {
  apiVersion?: string;
  env?: { name: string; value: string }[];
}

/** What client-go tells an exec plugin, and some insist on: the version of the answer, and that nobody is there to ask. */
function tellCluster(exec: ExecPlugin, cluster: { server: string }): void {
  const info = {
    apiVersion: exec.apiVersion ?? 'client.authentication.k8s.io/v1',
    kind: 'ExecCredential',
    spec: { interactive: false, cluster: { server: cluster.server } },
  };
  exec.env = [...(exec.env ?? []), { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }];
}
