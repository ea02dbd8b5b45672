// A root of Debian in place of the images that Dockerfiles begin with: made by debootstrap once, in about a minute, and kept in
// the user's cache.

import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { output } from '../support/command.ts';
import { cached, type Say } from './cache.ts';
import { requirePackages } from './packages.ts';
import { withProgress } from './progress.ts';

/** Debian 12, whose Python is 3.11 as the document's image's; with what its Dockerfile installs and its scripts call. */
const debian = {
  suite: 'bookworm',
  python: '3.11',
  packages: ['python3', 'ca-certificates', 'curl', 'postgresql-client'],
};

export const debianPython = debian.python;

export const keyOfValue = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);

/** Its files as a tar file. */
export async function debianLayer(say: Say): Promise<string> {
  const folder = await cached(`debian-${debian.suite}-${keyOfValue(debian)}`, say, async (made) => {
    await requirePackages(say, { debootstrap: 'debootstrap' });
    say(`Making a root of Debian ${debian.suite} by debootstrap: about a minute, once`);
    const root = join(made, 'root');
    const include = `--include=${debian.packages.join(',')}`;
    let last = 'starting';
    const onLine = (line: string): void => {
      if (line.startsWith('I: ')) last = line.slice('I: '.length);
    };
    // In a mount namespace of its own: what it mounts in the root is gone with it, even when it is killed.
    const args = ['--mount', 'debootstrap', '--variant=minbase', include, debian.suite, root];
    await withProgress(
      say,
      () => last,
      () => output('unshare', args, { onLine }),
    );
    for (const name of ['var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/locale'])
      await rm(join(root, name), { recursive: true, force: true });
    await output('tar', ['--numeric-owner', '-C', root, '-cf', join(made, 'layer.tar'), '.']);
    await rm(root, { recursive: true });
  });
  return join(folder, 'layer.tar');
}
