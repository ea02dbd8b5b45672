// The processes of the cluster: their configuration and their order.

import { randomBytes, generateKeyPairSync } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ask } from './api.ts';
import { issue, makeAuthority } from '../support/certificates.ts';
import { output } from '../support/command.ts';
import { type Daemon, lastLines, runs, startDaemon } from './daemons.ts';
import { addImage, importImage, layerOf } from './images.ts';
import { type Access, writeKubeconfig } from './kubeconfig.ts';
import { systemPath } from './packages.ts';
import {
  containerdSocket,
  firstServiceAddress,
  imageStore,
  inState,
  interfaces,
  kubeconfigFile,
  networkName,
  nodeAddress,
  nodeName,
  podSubnet,
  ports,
  processesFile,
  registryUrl,
  serviceSubnet,
} from './place.ts';

/** As JSON, for the objects that are made of nothing else. */
const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

const environment = { PATH: systemPath, HOME: '/root' };
const pauseImage = 'localhost/pause:1';
const server = `https://${nodeAddress}:${ports.api}`;

/** Who the components are; RBAC's own rules give each of these names what it needs. */
const components = {
  admin: ['admin', 'system:masters'],
  controllers: ['system:kube-controller-manager', ''],
  scheduler: ['system:kube-scheduler', ''],
  proxy: ['system:kube-proxy', ''],
  kubelet: [`system:node:${nodeName}`, 'system:nodes'],
} as const;
type Component = keyof typeof components;

const configOf = (component: Component): string =>
  component === 'admin' ? kubeconfigFile : inState('pki', `${component}.kubeconfig`);

async function writeCredentials(): Promise<Access> {
  const folder = inState('pki');
  const authority = await makeAuthority(folder, 'ca');
  await Promise.all([
    issue(authority, folder, 'apiserver', [
      `IP:${nodeAddress}`,
      'IP:127.0.0.1',
      `IP:${firstServiceAddress}`,
      'DNS:localhost',
      'DNS:kubernetes.default.svc',
    ]),
    issue(authority, folder, 'apiserver-to-kubelet', []),
    issue(authority, folder, 'kubelet', [`IP:${nodeAddress}`, `DNS:${nodeName}`]),
  ]);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'sec1', format: 'pem' });
  await writeFile(join(folder, 'accounts.key'), pem, { mode: 0o600 });
  const tokens: string[] = [];
  let admin: Access | undefined;
  for (const component of Object.keys(components) as Component[]) {
    const [user, group] = components[component];
    const token = randomBytes(24).toString('base64url');
    tokens.push([token, user, user, `"${group}"`].join(','));
    const access = { server, ca: authority.cert, token };
    await writeKubeconfig(configOf(component), access);
    if (component === 'admin') admin = access;
  }
  await writeFile(join(folder, 'tokens.csv'), `${tokens.join('\n')}\n`, { mode: 0o600 });
  if (admin === undefined) throw new Error('there is no admin among the components');
  return admin;
}

async function writeConfiguration(): Promise<void> {
  await writeFile(
    inState('containerd.toml'),
    `version = 2
root = ${JSON.stringify(inState('containerd'))}
state = ${JSON.stringify(inState('containerd-state'))}
[grpc]
  address = ${JSON.stringify(containerdSocket)}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = ${JSON.stringify(inState('cni'))}
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = ${JSON.stringify(inState('registries'))}
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
`,
  );
  // Ours stands for every registry, and none is asked after it: what it does not have is not found, at once.
  await mkdir(inState('registries', '_default'), { recursive: true });
  await writeFile(
    inState('registries', '_default', 'hosts.toml'),
    `server = "${registryUrl}"
[host."${registryUrl}"]
  capabilities = ["pull", "resolve"]
`,
  );
  await mkdir(inState('cni'));
  const bridge = {
    type: 'bridge',
    bridge: interfaces.pods,
    isGateway: true,
    ipMasq: true,
    hairpinMode: true,
    ipam: {
      type: 'host-local',
      dataDir: inState('addresses'),
      ranges: [[{ subnet: podSubnet }]],
      routes: [{ dst: '0.0.0.0/0' }],
    },
  };
  await writeFile(
    inState('cni', '10-bridge.conflist'),
    json({
      cniVersion: '1.0.0',
      name: networkName,
      plugins: [bridge, { type: 'portmap', capabilities: { portMappings: true } }],
    }),
  );
  await writeFile(inState('resolv.conf'), 'options timeout:1 attempts:1\n');
  await writeFile(
    inState('kubelet.json'),
    json({
      apiVersion: 'kubelet.config.k8s.io/v1beta1',
      kind: 'KubeletConfiguration',
      address: nodeAddress,
      port: ports.kubelet,
      healthzPort: ports.kubeletHealth,
      authentication: {
        anonymous: { enabled: false },
        webhook: { enabled: false },
        x509: { clientCAFile: inState('pki', 'ca.crt') },
      },
      // Whoever has a client certificate of our authority; the API server alone does.
      authorization: { mode: 'AlwaysAllow' },
      tlsCertFile: inState('pki', 'kubelet.crt'),
      tlsPrivateKeyFile: inState('pki', 'kubelet.key'),
      cgroupDriver: 'cgroupfs',
      failSwapOn: false,
      failCgroupV1: false,
      containerRuntimeEndpoint: `unix://${containerdSocket}`,
      evictionHard: { 'nodefs.available': '1%', 'imagefs.available': '1%' },
      imageGCHighThresholdPercent: 100,
      localStorageCapacityIsolation: false,
      serializeImagePulls: false,
      resolvConf: inState('resolv.conf'),
      podLogsDir: inState('pod-logs'),
      volumePluginDir: inState('volume-plugins'),
    }),
  );
}

const noLeader = ['--leader-elect=false', '--kube-api-qps=200', '--kube-api-burst=400'];

/** What runs, by name. */
function commandsIn(binaries: string): Record<string, string[]> {
  const as = (component: Component): string[] =>
    ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map(
      (flag) => `--${flag}=${configOf(component)}`,
    );
  const pki = (name: string): string => inState('pki', name);
  return {
    registry: [
      process.execPath,
      '--disable-warning=ExperimentalWarning',
      join(import.meta.dirname, 'registry.ts'),
      '--directory',
      imageStore,
      '--port',
      String(ports.registry),
    ],
    containerd: ['containerd', '-c', inState('containerd.toml')],
    etcd: [
      'etcd',
      `--data-dir=${inState('etcd')}`,
      `--listen-client-urls=http://127.0.0.1:${ports.etcd}`,
      `--advertise-client-urls=http://127.0.0.1:${ports.etcd}`,
      `--listen-peer-urls=http://127.0.0.1:${ports.etcdPeer}`,
      '--unsafe-no-fsync',
    ],
    'kube-apiserver': [
      join(binaries, 'kube-apiserver'),
      `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
      `--bind-address=${nodeAddress}`,
      `--advertise-address=${nodeAddress}`,
      `--secure-port=${ports.api}`,
      `--tls-cert-file=${pki('apiserver.crt')}`,
      `--tls-private-key-file=${pki('apiserver.key')}`,
      // No user has a certificate, but the components look for the authority of those who could.
      `--client-ca-file=${pki('ca.crt')}`,
      `--kubelet-certificate-authority=${pki('ca.crt')}`,
      `--kubelet-client-certificate=${pki('apiserver-to-kubelet.crt')}`,
      `--kubelet-client-key=${pki('apiserver-to-kubelet.key')}`,
      '--kubelet-preferred-address-types=InternalIP',
      `--service-cluster-ip-range=${serviceSubnet}`,
      `--service-account-key-file=${pki('accounts.key')}`,
      `--service-account-signing-key-file=${pki('accounts.key')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--token-auth-file=${pki('tokens.csv')}`,
      '--authorization-mode=Node,RBAC',
      '--enable-admission-plugins=NodeRestriction',
      '--allow-privileged',
    ],
    'kube-controller-manager': [
      join(binaries, 'kube-controller-manager'),
      ...as('controllers'),
      `--secure-port=${ports.controllerManager}`,
      '--bind-address=127.0.0.1',
      `--cert-dir=${inState('pki')}`,
      `--service-account-private-key-file=${pki('accounts.key')}`,
      `--root-ca-file=${pki('ca.crt')}`,
      '--use-service-account-credentials',
      ...noLeader,
    ],
    'kube-scheduler': [
      join(binaries, 'kube-scheduler'),
      ...as('scheduler'),
      `--secure-port=${ports.scheduler}`,
      '--bind-address=127.0.0.1',
      `--cert-dir=${inState('pki')}`,
      ...noLeader,
    ],
    kubelet: [
      join(binaries, 'kubelet'),
      `--kubeconfig=${configOf('kubelet')}`,
      `--config=${inState('kubelet.json')}`,
      `--root-dir=${inState('kubelet')}`,
      `--hostname-override=${nodeName}`,
      `--node-ip=${nodeAddress}`,
    ],
    'kube-proxy': [
      join(binaries, 'kube-proxy'),
      `--kubeconfig=${configOf('proxy')}`,
      `--hostname-override=${nodeName}`,
      `--cluster-cidr=${podSubnet}`,
      '--proxy-mode=iptables',
      `--healthz-bind-address=127.0.0.1:${ports.proxyHealth}`,
      `--metrics-bind-address=127.0.0.1:${ports.proxyMetrics}`,
      // network.ts sets what it would set.
      '--conntrack-max-per-core=0',
      '--conntrack-tcp-timeout-established=0s',
      '--conntrack-tcp-timeout-close-wait=0s',
    ],
  };
}

/** The program that every pod's sandbox runs: it waits for its end. */
const pauseSource = `#include <signal.h>
#include <unistd.h>
static void end(int signal) { (void)signal; _exit(0); }
int main(void) { signal(SIGINT, end); signal(SIGTERM, end); for (;;) pause(); }
`;

async function importPause(signal: AbortSignal): Promise<void> {
  const folder = inState('pause');
  await mkdir(join(folder, 'root'), { recursive: true });
  const args = ['-static', '-Os', '-x', 'c', '-o', join(folder, 'root', 'pause'), '-'];
  await output('gcc', args, { input: pauseSource });
  await layerOf(join(folder, 'root'), join(folder, 'layer.tar'));
  const digest = await addImage(imageStore, [join(folder, 'layer.tar')], { Entrypoint: ['/pause'] });
  await importImage(imageStore, pauseImage, digest, containerdSocket, signal);
}

/** Waits for what a process does; throws with its last words when it ends before, or is not done in time. */
async function waitFor(daemon: Daemon, isDone: () => Promise<boolean>, signal: AbortSignal): Promise<void> {
  const seconds = 60;
  const end = performance.now() + seconds * 1000;
  while (!(await isDone().catch(() => false))) {
    signal.throwIfAborted();
    const ended = !runs(daemon);
    if (ended || performance.now() > end) {
      const what = ended ? 'ended' : `was not ready within ${seconds} s`;
      throw new Error(`${daemon.name} ${what}:\n${await lastLines(processesFile, daemon.name)}`);
    }
    await delay(50);
  }
}

const answers = async (url: string): Promise<boolean> => (await fetch(url)).ok;

/** Whether the API server says that it is ready. */
export async function apiReady(access: Access): Promise<boolean> {
  return (await ask(access, 'GET', '/readyz', undefined, { timeoutMs: 2_000 })).status === 200;
}

/** Whether the node is Ready by the word of its kubelet. */
export async function nodeReady(access: Access): Promise<boolean> {
  const { body } = await ask(access, 'GET', `/api/v1/nodes/${nodeName}`, undefined, { timeoutMs: 2_000 });
  const { status } = body as { status?: { conditions?: { type: string; status: string }[] } };
  return status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
}

/**
 * Starts everything and waits until pods can run. The state folder must be new, and the network set up. `signal` ends what is
 * only waited for; what was started stays.
 */
export async function startControlPlane(binaries: string, signal: AbortSignal): Promise<void> {
  await mkdir(inState('logs'));
  await mkdir(join(imageStore, 'blobs', 'sha256'), { recursive: true });
  const [access] = await Promise.all([writeCredentials(), writeConfiguration()]);
  const commands = commandsIn(binaries);
  const start = (name: string): Promise<Daemon> =>
    startDaemon(processesFile, name, commands[name] ?? [], environment);

  const registry = await start('registry');
  const etcd = await start('etcd');
  const containerd = await start('containerd');
  await waitFor(etcd, () => answers(`http://127.0.0.1:${ports.etcd}/health`), signal);
  const api = await start('kube-apiserver');
  const pull = waitFor(registry, () => answers(`${registryUrl}/v2/`), signal);
  await waitFor(
    containerd,
    async () => {
      await output('ctr', ['-a', containerdSocket, 'version'], { signal });
      return true;
    },
    signal,
  );
  await Promise.all([importPause(signal), pull, waitFor(api, () => apiReady(access), signal)]);
  await start('kube-controller-manager');
  await start('kube-scheduler');
  const proxy = await start('kube-proxy');
  const kubelet = await start('kubelet');
  await waitFor(kubelet, () => nodeReady(access), signal);
  await waitFor(proxy, () => answers(`http://127.0.0.1:${ports.proxyHealth}/healthz`), signal);
  // Pods get a token of this account, so none can be made before.
  await waitFor(
    api,
    async () => {
      const { status } = await ask(access, 'GET', '/api/v1/namespaces/default/serviceaccounts/default');
      return status === 200;
    },
    signal,
  );
}
