// Where the cluster is: one for the machine, shared by all clones on it. Two would fight over the rules of iptables and the
// kernel's settings, so tests keep apart by namespaces, names of images and ports that the API server chooses.
//
// All ports lie below those that the kernel gives to clients.

import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const stateFolder = join(tmpdir(), 'deploy-actions-cluster');

export const inState = (...names: string[]): string => join(stateFolder, ...names);

export const kubeconfigFile = inState('kubeconfig');
export const containerdSocket = inState('containerd.sock');
/** What the registry serves, and where images are made. */
export const imageStore = inState('images');
/** One line of JSON for each process that was started. */
export const processesFile = inState('processes');
export const sysctlsFile = inState('sysctls.json');

/** Beside the folder, for that comes and goes. */
export const lockFile = `${stateFolder}.lock`;

export const nodeName = 'node1';
/** On an interface of its own, so that neither the machine's network nor its absence matters. */
export const nodeAddress = '10.243.0.1';
export const podSubnet = '10.244.0.0/24';
export const serviceSubnet = '10.96.0.0/16';
export const firstServiceAddress = '10.96.0.1';

export const interfaces = { node: 'deploynode0', pods: 'deploypods0' } as const;
/** The name of the CNI network, which iptables rules carry as a comment. */
export const networkName = 'deploy-actions';

export const ports = {
  etcd: 16_379,
  etcdPeer: 16_380,
  api: 16_443,
  kubelet: 16_250,
  kubeletHealth: 16_248,
  proxyMetrics: 16_249,
  proxyHealth: 16_256,
  controllerManager: 16_257,
  scheduler: 16_259,
  registry: 16_500,
} as const;

export const registryUrl = `http://127.0.0.1:${ports.registry}`;
