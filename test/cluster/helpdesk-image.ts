// The image of the sample platform (test/helpdesk): a root of Debian in place of the image that the document's Dockerfile begins
// with, the locked packages, and a release. The first two are made once, in a minute or two, and kept in the user's cache.

import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setupPython } from '../../scripts/setup-python.ts';
import { makeRelease, type ReleaseKind } from '../helpdesk/release.ts';
import { cached, type Say } from './cache.ts';
import { debianLayer, debianPython, keyOfValue } from './debian-root.ts';
import { output } from '../support/command.ts';
import { addImage, type Digest, layerOf, tagImage } from './images.ts';
import { imageStore } from './place.ts';

const user = 10_001;
const requirementsFile = join(import.meta.dirname, '../helpdesk/app/requirements/production.txt');

async function packagesLayer(say: Say): Promise<string> {
  const requirements = await readFile(requirementsFile, 'utf8');
  const key = keyOfValue([requirements, debianPython]);
  const folder = await cached(`helpdesk-packages-${key}`, say, async (made) => {
    const { python } = await setupPython({ log: say });
    const target = join(made, 'root', 'opt', 'packages');
    say('Installing the packages of the sample platform for its image');
    await output(python, [
      ...['-m', 'pip', '--disable-pip-version-check', '--no-input', 'install', '--quiet'],
      ...['--no-deps', '--only-binary', ':all:', '--python-version', debianPython],
      ...['--target', target, '-r', requirementsFile],
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
