// Images without docker, after the OCI image specification: a folder of blobs, each under the digest of its content, and names
// for the manifests among them. registry.ts serves such a folder; `importImage` gives one of its images to containerd.

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, link, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { output } from '../support/command.ts';

/** `sha256:…` */
export type Digest = `sha256:${string}`;

export interface ImageConfig {
  Entrypoint?: string[];
  Cmd?: string[];
  /** `NAME=value`. */
  Env?: string[];
  WorkingDir?: string;
  User?: string;
  Labels?: Record<string, string>;
  ExposedPorts?: Record<string, object>;
}

export interface Descriptor {
  mediaType: string;
  digest: Digest;
  size: number;
}

export interface Manifest {
  schemaVersion: 2;
  mediaType: string;
  config: Descriptor;
  layers: Descriptor[];
}

const types = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  index: 'application/vnd.oci.image.index.v1+json',
};

export const blobFile = (store: string, digest: string): string =>
  join(store, 'blobs', 'sha256', digest.replace('sha256:', ''));

/** The file that holds the digest which a tag stands for. */
export const tagFile = (store: string, repository: string, tag: string): string =>
  join(store, 'tags', encodeURIComponent(repository), encodeURIComponent(tag));

/**
 * The repository with its registry, and the tag, as containerd completes them: `helpdesk` is `docker.io/library/helpdesk` and
 * `latest`.
 */
export function completeName(name: string): { repository: string; tag: string } {
  const [, path = name, tag = 'latest'] = /^(.*?)(?::([\w.-]+))?$/.exec(name) ?? [];
  const [first = '', ...rest] = path.split('/');
  const named = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  if (named) return { repository: path, tag };
  return { repository: `docker.io/${rest.length > 0 ? path : `library/${path}`}`, tag };
}

/** Under a name of its own until it is whole, so that nobody reads half of it. */
async function put(file: string, write: (temporary: string) => Promise<void>): Promise<void> {
  await mkdir(join(file, '..'), { recursive: true });
  const temporary = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  await write(temporary);
  await rename(temporary, file);
}

async function addJson(store: string, mediaType: string, value: unknown): Promise<Descriptor> {
  const text = JSON.stringify(value);
  const digest: Digest = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  await put(blobFile(store, digest), (file) => writeFile(file, text));
  return { mediaType, digest, size: Buffer.byteLength(text) };
}

async function addLayer(store: string, tar: string): Promise<Descriptor> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(tar), hash);
  const digest: Digest = `sha256:${hash.digest('hex')}`;
  // A link where that is possible: a layer may have hundreds of megabytes.
  await put(blobFile(store, digest), (file) => link(tar, file).catch(() => copyFile(tar, file)));
  return { mediaType: types.layer, digest, size: (await stat(tar)).size };
}

/** Adds an image of these layers (uncompressed tar files, which must not change any more), the lowest first. */
export async function addImage(store: string, tars: readonly string[], config: ImageConfig): Promise<Digest> {
  const layers: Descriptor[] = [];
  for (const tar of tars) layers.push(await addLayer(store, tar));
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const configuration = await addJson(store, types.config, {
    architecture,
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  });
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: configuration,
    layers,
  };
  return (await addJson(store, types.manifest, manifest)).digest;
}

/** From now on the name stands for the image. */
export async function tagImage(store: string, name: string, digest: Digest): Promise<void> {
  const { repository, tag } = completeName(name);
  await put(tagFile(store, repository, tag), (file) => writeFile(file, digest));
}

/** Writes the folder's files as a layer; the same files give the same layer, whoever made them and when. */
export async function layerOf(folder: string, tar: string, owner = 0): Promise<void> {
  const same = ['--sort=name', '--mtime=@0', '--numeric-owner', `--owner=${owner}`, `--group=${owner}`];
  await output('tar', [...same, '-C', folder, '-cf', tar, '.']);
}

/** Gives containerd the image under the name, so that it need not be pulled. */
export async function importImage(
  store: string,
  name: string,
  digest: Digest,
  containerdSocket: string,
  signal?: AbortSignal,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'image-'));
  try {
    const { repository, tag } = completeName(name);
    const text = await readFile(blobFile(store, digest), 'utf8');
    const manifest = JSON.parse(text) as Manifest;
    await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true });
    for (const one of [digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)]) {
      const [from, to] = [blobFile(store, one), blobFile(folder, one)];
      await link(from, to).catch(() => copyFile(from, to));
    }
    const descriptor = { mediaType: types.manifest, digest, size: Buffer.byteLength(text) };
    const annotations = { 'io.containerd.image.name': `${repository}:${tag}` };
    await writeFile(join(folder, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
    await writeFile(
      join(folder, 'index.json'),
      JSON.stringify({
        schemaVersion: 2,
        mediaType: types.index,
        manifests: [{ ...descriptor, annotations }],
      }),
    );
    const archive = join(folder, 'image.tar');
    await output('tar', ['-C', folder, '-cf', archive, 'oci-layout', 'index.json', 'blobs']);
    const args = ['-a', containerdSocket, '-n', 'k8s.io', 'images', 'import', archive];
    await output('ctr', args, signal === undefined ? {} : { signal });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
