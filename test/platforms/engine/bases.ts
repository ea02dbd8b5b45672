// Images that stand for those of Docker Hub: built once, and kept in the user's cache as the folder of a registry that has them.

import { copyFile, cp, link, mkdir, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, cacheFolder, type Say } from '../../cluster/cache.ts';
import { endDaemons, recordedDaemons } from '../../cluster/daemons.ts';
import { debianLayer, keyOfValue } from '../../cluster/debian-root.ts';
import { removeGroups, unmountAll } from '../../cluster/leftovers.ts';
import { withProgress } from '../../cluster/progress.ts';
import { output } from '../../support/command.ts';
import { dockerEnvironment } from './client.ts';
import { controlGroup } from './place.ts';
import type { Programs } from './programs.ts';
import { prepareRecord, startBuilder, startRegistry } from './services.ts';

/** Names that Dockerfiles and Compose files have, and the target of bases/Dockerfile that stands for each. */
const images = {
  'library/debian:bookworm-slim': 'debian',
  'library/python:3.11-slim': 'python',
  'library/node:24-slim': 'node',
  'library/nginx:alpine': 'nginx',
  'nginxinc/nginx-unprivileged:1.29-alpine': 'nginx-unprivileged',
  'library/redis:7-alpine': 'redis',
  'library/postgres:15': 'postgres',
  'docker/dockerfile:1': 'front-end',
} as const;

const sources = join(import.meta.dirname, 'bases');
const npmVersion = '11.6.2';

export interface Bases {
  /** The folder of a registry; to be copied, not to be served. */
  folder: string;
  /** `python:3.11-slim` → `sha256:…` */
  digests: Record<string, string>;
}

/** `library/python:3.11-slim` as Dockerfiles write it. */
const shortName = (name: string): string => name.replace(/^library\//, '');

/** The first time they are built, after the root of Debian: about a minute and a half. */
export async function baseImages(programs: Programs, say: Say): Promise<Bases> {
  const layer = await debianLayer(say);
  const files = (await readdir(sources)).toSorted();
  const contents = await Promise.all(files.map((name) => readFile(join(sources, name), 'utf8')));
  const node = await realpath(process.execPath);
  const key = keyOfValue([images, contents, layer, process.version, npmVersion, programs.frontEnd]);
  const folder = await cached(`engine-images-${key}`, say, async (made) => {
    say('Building the images that stand for those of Docker Hub: about a minute and a half, once');
    // Under a name that the next try knows, for this one may be killed.
    const scratch = join(cacheFolder, `engine-images-${key}.scratch`);
    const [record, group] = [join(scratch, 'processes'), `${controlGroup}-images-${key}`];
    await clean(scratch, record, group);
    try {
      const context = join(scratch, 'context');
      await cp(sources, context, { recursive: true });
      const into = (from: string, name: string) =>
        link(from, join(context, name)).catch(() => copyFile(from, join(context, name)));
      await mkdir(join(context, 'node/bin'), { recursive: true });
      await into(layer, 'layer.tar');
      await into(programs.frontEnd, 'dockerfile-frontend');
      await into(node, 'node/bin/node');
      await output('npm', [
        ...['install', '--global', '--silent', '--no-audit', '--no-fund', '--prefix', join(context, 'node')],
        `npm@${npmVersion}`,
      ]);
      await rm(join(context, 'node/bin/npm'), { force: true });
      await rm(join(context, 'node/bin/npx'), { force: true });
      const digests = await buildInto({ record, programs, group, context, made, say });
      await writeFile(join(made, 'digests.json'), JSON.stringify(digests, null, 2));
    } finally {
      await clean(scratch, record, group);
    }
  });
  return {
    folder: join(folder, 'registry'),
    digests: JSON.parse(await readFile(join(folder, 'digests.json'), 'utf8')) as Record<string, string>,
  };
}

/** Ends what runs there, and takes it away. */
async function clean(scratch: string, record: string, group: string): Promise<void> {
  await endDaemons(await recordedDaemons(record));
  await removeGroups(group);
  await unmountAll(scratch);
  await rm(scratch, { recursive: true, force: true, maxRetries: 3 });
}

async function buildInto(options: {
  record: string;
  programs: Programs;
  group: string;
  context: string;
  made: string;
  say: Say;
}): Promise<Record<string, string>> {
  const { record, programs, group, context, made, say } = options;
  await prepareRecord(record);
  const registry = await startRegistry(record, programs, join(made, 'registry'));
  const folder = join(context, '../builder');
  const builder = await startBuilder({ record, programs, folder, registry, controlGroup: group });
  const env = await dockerEnvironment(join(context, '../docker'), programs, builder.address);
  const target = Object.fromEntries(
    Object.entries(images).map(([name, stage]) => [
      stage,
      {
        context,
        target: stage,
        tags: [`${registry}/${name}`],
        output: ['type=registry'],
        ...(stage === 'debian' ? {} : { contexts: { root: 'target:debian' } }),
      },
    ]),
  );
  const definition = join(context, '../bake.json');
  const metadata = join(context, '../metadata.json');
  await writeFile(definition, JSON.stringify({ target }));
  const args = ['buildx', 'bake', '--file', definition, '--metadata-file', metadata, '--progress', 'plain'];
  args.push('--provenance=false', `--allow=fs.read=${context}`, ...Object.values(images));
  let last = 'starting';
  await withProgress(
    say,
    () => last.slice(0, 100),
    () => output(programs.docker, args, { env: { ...process.env, ...env }, onLine: (line) => (last = line) }),
  );
  const told = JSON.parse(await readFile(metadata, 'utf8')) as Record<string, Record<string, string>>;
  await rm(join(made, 'registry.yml'), { force: true });
  return Object.fromEntries(
    Object.entries(images).map(([name, stage]) => [
      shortName(name),
      told[stage]?.['containerimage.digest'] ?? '',
    ]),
  );
}
