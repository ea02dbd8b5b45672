// What the cluster needs of the system.

import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cacheFolder, type Say } from './cache.ts';
import { output } from '../support/command.ts';
import { withLock } from './lock.ts';

/** A file that each of Debian's packages brings: a program, or a path. */
const needed: Record<string, string> = {
  'etcd-server': 'etcd',
  containerd: 'containerd',
  runc: 'runc',
  'containernetworking-plugins': '/usr/lib/cni/bridge',
  iptables: 'iptables',
  conntrack: 'conntrack',
  iproute2: 'ip',
  openssl: 'openssl',
  gcc: 'gcc',
  'libc6-dev': '/usr/include/stdlib.h',
  'util-linux': 'flock',
};

/** With the folders of programs that are root's, where a plain user's PATH may not have them. */
export const systemPath = [
  process.env['PATH'],
  '/usr/local/sbin',
  '/usr/sbin',
  '/sbin',
  '/usr/bin',
  '/bin',
].join(delimiter);

function isThere(file: string): boolean {
  if (file.startsWith('/')) return existsSync(file);
  return systemPath.split(delimiter).some((folder) => existsSync(join(folder, file)));
}

/** Debian's packages out of `wanted` that are not there. */
export function missingPackages(wanted: Record<string, string> = needed): string[] {
  return Object.entries(wanted).flatMap(([name, file]) => (isThere(file) ? [] : [name]));
}

/** Installs what is missing, without starting a service. Throws with what to do where that cannot be done. */
export async function requirePackages(say: Say, wanted: Record<string, string> = needed): Promise<void> {
  const missing = missingPackages(wanted);
  if (missing.length === 0) return;
  const command = `apt-get install ${missing.join(' ')}`;
  if (!isThere('apt-get'))
    throw new Error(
      `missing: ${missing.join(', ')} (Debian's names), and there is no apt-get to install them`,
    );
  if (process.getuid?.() !== 0) throw new Error(`missing: ${missing.join(', ')}; as root: ${command}`);
  // Two apt-get at once would refuse each other.
  const wait = () => say('Another process installs packages: waiting for it');
  await withLock(join(cacheFolder, 'packages.lock'), wait, () => install(missing, say));
  const left = missingPackages(wanted);
  if (left.length > 0) throw new Error(`${command} ended well, but there is no ${left.join(', ')}`);
}

async function install(missing: readonly string[], say: Say): Promise<void> {
  say(`Installing ${missing.join(', ')}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const onLine = (line: string) => {
    if (/^(?:Get:|Setting up)/.test(line)) say(`  ${line}`);
  };
  await output('apt-get', ['update', '-q'], { env });
  await output('apt-get', ['install', '-qy', '--no-install-recommends', ...missing], { env, onLine });
}
