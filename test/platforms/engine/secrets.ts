// What package managers of this machine are told about their registries, as build secrets: a build step has none of the machine's
// configuration, and an image must not keep it.

import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { end } from '../../support/command.ts';

/** Where a build step finds the certificate authorities, which the other two name. */
const caInBuild = '/run/secrets/ca';

/** Writes them into the folder. `ca`, `pip-config` (for /etc/pip.conf) and `npm-config` (for npm's `userconfig`); a machine may have none. */
export async function hostSecrets(folder: string): Promise<Record<string, string>> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const secrets: Record<string, string> = {};
  const add = async (id: string, text: string): Promise<void> => {
    secrets[id] = join(folder, id);
    await writeFile(secrets[id], text, { mode: 0o600 });
  };
  const pip = await pipSettings();
  const npm = await npmSettings();
  const ca = pip['cert'] ?? npm['cafile'];
  if (ca !== undefined) {
    secrets['ca'] = join(folder, 'ca');
    await copyFile(ca, secrets['ca']);
    // Who has authorities of its own for one has them for all.
    pip['cert'] = caInBuild;
    npm['cafile'] = caInBuild;
  }
  const lines = (settings: Record<string, string>): string =>
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join('');
  if (Object.keys(pip).length > 0) await add('pip-config', `[global]\n${lines(pip)}`);
  if (Object.keys(npm).length > 0) await add('npm-config', lines(npm));
  return secrets;
}

/** Of pip's effective configuration what says where packages come from. */
async function pipSettings(): Promise<Record<string, string>> {
  const wanted = ['cert', 'index-url', 'extra-index-url', 'trusted-host', 'proxy'];
  const { stdout } = await end('python3', ['-m', 'pip', 'config', 'list']);
  // The later wins: a variable over a command's section over the global one.
  const found = ['global', 'install', ':env:'].flatMap((section) => [
    ...stdout.matchAll(new RegExp(`^${section}\\.([\\w-]+)='(.*)'$`, 'gm')),
  ]);
  return Object.fromEntries(
    found.flatMap(([, name = '', value = '']) => (wanted.includes(name) ? [[name, value]] : [])),
  );
}

/** The lines of npm's configuration of the machine and of the user, with their credentials. */
async function npmSettings(): Promise<Record<string, string>> {
  const { stdout } = await end('npm', ['config', 'get', 'globalconfig']);
  const settings: Record<string, string> = {};
  for (const file of [stdout.trim(), join(homedir(), '.npmrc')]) {
    const text = await readFile(file, 'utf8').catch(() => '');
    for (const [, name = '', value = ''] of text.matchAll(
      /^((?:@[^:=]+:)?registry|cafile|proxy|https-proxy|\/\/.*?)=(.*)$/gm,
    ))
      settings[name] = value;
  }
  return settings;
}
