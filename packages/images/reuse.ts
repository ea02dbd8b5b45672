import { DeployError, type Log } from '@deploy-actions/core';
import { inputsLabel } from './bake-definition.ts';
import type { BuildSpec } from './build-spec.ts';
import {
  type ImageFacts,
  inspectImage,
  type Manifest,
  type Registries,
  type Repository,
} from './registry/index.ts';
import { inputsTag } from './tags.ts';

/** An image at its registry, read to its last manifest. */
export interface PushedImage {
  facts: ImageFacts;
  manifest: Manifest;
}

/**
 * The image that was made of the same inputs before; undefined where there is none, and for one that is not whole: then it is built
 * anew. The tag alone is not believed: the hash is in the image, too. Throws what says nothing about the image: a login that is
 * refused, a registry that does not answer.
 */
export async function findUnchanged(
  registries: Registries,
  image: Repository,
  spec: Pick<BuildSpec, 'name' | 'platforms'>,
  hash: string,
  log: Log,
): Promise<PushedImage | undefined> {
  try {
    const found = await inspectImage(registries, image, inputsTag(hash), spec.platforms);
    const other = found.facts.platforms.find(({ labels }) => labels[inputsLabel] !== hash);
    if (other === undefined) return found;
    log.warning(
      `${spec.name}: ${inputsTag(hash)} points at ${found.facts.digest}, which was made of other inputs (${other.platform}); it is built.`,
    );
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof DeployError)) throw thrown;
    if (thrown.reasonCode === 'not_found') return undefined;
    if (thrown.reasonCode === 'image_unverified' || thrown.reasonCode === 'unsupported') {
      log.warning(
        `${spec.name}: the image of the same inputs cannot be used: ${thrown.message} It is built.`,
      );
      return undefined;
    }
    throw thrown;
  }
}

/**
 * Reads back what was pushed: the tag points at the digest that the builder said, and every manifest and configuration of every platform
 * is there. Throws `image_unverified`.
 */
export async function verifyPushed(
  registries: Registries,
  image: Repository,
  pushed: { tag: string; digest: string },
  platforms: readonly string[],
): Promise<PushedImage> {
  const { tag, digest } = pushed;
  const name = `${image.registry}/${image.path}`;
  const refuse = (why: string) =>
    new DeployError('image_unverified', `${name}:${tag}: ${why}.`, {
      remedy: 'Run the build again; nothing else was tagged.',
    });
  const there = await registries.resolve(image, tag);
  if (there === undefined) throw refuse('it was pushed, and is not there');
  if (there.digest !== digest)
    throw refuse(
      `it points at ${there.digest}, and ${digest} was pushed; somebody else may have written the tag`,
    );
  const found = await inspectImage(registries, image, digest, platforms);
  for (const { digest: layer } of await layersOf(registries, image, found.manifest)) {
    if (!(await registries.hasBlob(image, layer))) throw refuse(`the layer ${layer} is not there`);
  }
  return found;
}

async function layersOf(registries: Registries, image: Repository, top: Manifest) {
  const manifests =
    top.content.kind === 'image'
      ? [top]
      : await Promise.all(top.content.manifests.map(({ digest }) => registries.manifest(image, digest)));
  const layers = new Map(
    manifests
      .flatMap((manifest) => (manifest?.content.kind === 'image' ? manifest.content.layers : []))
      .map((layer) => [layer.digest, layer]),
  );
  return [...layers.values()];
}

/** Has tags point at an image that is there, by its digest. */
export async function tagImage(
  registries: Registries,
  image: Repository,
  { manifest }: PushedImage,
  tags: readonly string[],
): Promise<void> {
  const { descriptor, body } = manifest;
  for (const tag of tags) {
    const { digest } = await registries.putManifest(image, tag, { mediaType: descriptor.mediaType, body });
    if (digest !== descriptor.digest) {
      throw new DeployError(
        'image_unverified',
        `${image.registry}/${image.path}:${tag} points at ${digest} after it was written, and not at ${descriptor.digest}.`,
        { remedy: 'Look who else writes this tag, then run this again.' },
      );
    }
  }
}

/** Bytes of the image that one of the tags points at, the first that there is; undefined where there is none, or it cannot be read. */
export async function sizeBefore(
  registries: Registries,
  image: Repository,
  tags: readonly string[],
): Promise<{ tag: string; digest: string; size: number } | undefined> {
  for (const tag of tags) {
    try {
      const { facts } = await inspectImage(registries, image, tag);
      return { tag, digest: facts.digest, size: facts.size };
    } catch (thrown) {
      if (!(thrown instanceof DeployError) || thrown.reasonCode === 'cancelled') throw thrown;
    }
  }
  return undefined;
}
