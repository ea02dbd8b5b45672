// The kernel's part of the cluster: settings, interfaces, rules of iptables. Everything here is undone by what only the cluster can have made: its folder, its interfaces, the chains of kube-proxy, kubelet and its CNI network.

import { existsSync } from 'node:fs';
import { readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { end, output } from '../support/command.ts';
import { inState, interfaces, networkName, nodeAddress, stateFolder, sysctlsFile } from './place.ts';

/**
 * Load from one address uses its ports again soon, and what connection tracking remembers of a port then sends a new connection
 * to a pod that is gone. So it forgets within 2 s, and clients get more than the usual number of ports: all those above NodePorts, which
 * is above what servers listen on, too. No hole is in the range: a server that lets the kernel choose its port would most often get the
 * first one behind the hole, and so the port that another has just left, or one that fetch refuses («bad port», 2049 or 6000).
 */
const sysctls: Record<string, string> = {
  'net.ipv4.ip_forward': '1',
  'net.ipv4.conf.all.route_localnet': '1', // NodePorts on 127.0.0.1
  'net.bridge.bridge-nf-call-iptables': '1', // pod to Service on one bridge
  'net.netfilter.nf_conntrack_tcp_timeout_syn_sent': '1',
  'net.netfilter.nf_conntrack_tcp_timeout_time_wait': '1',
  'net.netfilter.nf_conntrack_tcp_timeout_close': '1',
  'net.netfilter.nf_conntrack_tcp_timeout_last_ack': '1',
  'net.netfilter.nf_conntrack_tcp_timeout_close_wait': '1',
  'net.netfilter.nf_conntrack_tcp_timeout_fin_wait': '2',
  'net.ipv4.ip_local_port_range': '32768 65535',
};

const fileOf = (name: string): string => join('/proc/sys', ...name.split('.'));

/** Sets what the kernel has, and keeps what was there before. */
async function setSysctls(): Promise<void> {
  const before: Record<string, string> = {};
  for (const name of Object.keys(sysctls)) {
    const value = await readFile(fileOf(name), 'utf8').catch(() => undefined);
    if (value !== undefined) before[name] = value.trim();
  }
  await writeFile(sysctlsFile, JSON.stringify(before));
  for (const name of Object.keys(before)) await writeFile(fileOf(name), sysctls[name] ?? '');
}

async function restoreSysctls(): Promise<void> {
  const kept = await readFile(sysctlsFile, 'utf8').catch(() => '{}');
  const before = JSON.parse(kept) as Record<string, string>;
  // An empty list of ports is written as a line end.
  for (const [name, value] of Object.entries(before)) await writeFile(fileOf(name), `${value}\n`);
}

const iptables = ['iptables', 'ip6tables'] as const;

/** Whether rules of Kubernetes are there, of whatever cluster. */
export async function hasKubernetesRules(): Promise<boolean> {
  const { stdout } = await end('iptables-save', ['-t', 'nat']);
  return stdout.includes(':KUBE-SERVICES ');
}

export async function setUpNetwork(): Promise<void> {
  if (!existsSync('/proc/sys/net/bridge')) await end('modprobe', ['br_netfilter']).catch(() => {});
  // Makes the kernel load connection tracking, whose settings are set below.
  await output('iptables', ['-w', '-t', 'nat', '-n', '-L', 'POSTROUTING']);
  await setSysctls();
  await output('ip', ['link', 'add', interfaces.node, 'type', 'bridge']);
  await output('ip', ['address', 'add', `${nodeAddress}/32`, 'dev', interfaces.node]);
  await output('ip', ['link', 'set', interfaces.node, 'up']);
}

export async function tearDownNetwork(): Promise<void> {
  for (const name of Object.values(interfaces))
    if (existsSync(`/sys/class/net/${name}`)) await output('ip', ['link', 'delete', name]);
  for (const program of iptables) await removeRules(program);
  await restoreSysctls();
}

/** What the CNI plugins and kubelet keep outside the folder that they are told to use. */
export async function removeTraces(): Promise<void> {
  const sandboxes = await readdir(inState('containerd', 'io.containerd.grpc.v1.cri', 'sandboxes')).catch(
    () => [],
  );
  await removeFrom('/var/lib/cni/results', (name) => sandboxes.some((id) => name.includes(id)));
  const logs = '/var/log/containers';
  const ours = await Promise.all(
    (await readdir(logs).catch(() => [])).map(async (name) => {
      const target = await readlink(join(logs, name)).catch(() => '');
      return target.startsWith(`${stateFolder}/`) ? [name] : [];
    }),
  );
  await removeFrom(logs, (name) => ours.flat().includes(name));
}

async function removeFrom(folder: string, isOurs: (name: string) => boolean): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) if (isOurs(name)) await rm(join(folder, name));
}

/** All chains of Kubernetes and those of our CNI network, and every rule that leads into one of them. */
async function removeRules(program: (typeof iptables)[number]): Promise<void> {
  const { code, stdout } = await end(`${program}-save`, []);
  if (code !== 0) return; // no such protocol here
  const comment = `name: \\"${networkName}\\"`;
  const ours = new Set(
    stdout.split('\n').flatMap((line) => {
      const chain = /^:(KUBE-\S+) /.exec(line) ?? (line.includes(comment) ? /-j (CNI-\w+)/.exec(line) : null);
      return chain?.[1] === undefined ? [] : [chain[1]];
    }),
  );
  if (ours.size === 0) return;
  const commands: string[] = [];
  let chains: string[] = [];
  for (const line of stdout.split('\n')) {
    const [, name = ''] = /^(?::|-A )(\S+)/.exec(line) ?? [];
    const target = / -[jg] (\S+)/.exec(line)?.[1] ?? '';
    if (line.startsWith('*')) {
      commands.push(line);
      chains = [];
    } else if (line.startsWith(':') && ours.has(name)) chains.push(name);
    else if (line.startsWith('-A ') && !ours.has(name) && ours.has(target))
      commands.push(line.replace('-A', '-D'));
    else if (line === 'COMMIT') {
      commands.push(...chains.map((chain) => `-F ${chain}`), ...chains.map((chain) => `-X ${chain}`), line);
    }
  }
  await output(`${program}-restore`, ['--noflush', '-w'], { input: `${commands.join('\n')}\n` });
}
