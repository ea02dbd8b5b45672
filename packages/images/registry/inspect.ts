import { DeployError } from '@deploy-actions/core';
import { missing, type Registries, type Repository } from './client.ts';
import { type Descriptor, isAttestation, isDigest, type Manifest, platformName } from './manifest.ts';

export interface PlatformFacts {
  /** `linux/amd64`. */
  platform: string;
  /** Of the platform's own manifest. */
  digest: string;
  /** Bytes that a machine without any layer of it pulls. */
  size: number;
  labels: Record<string, string>;
}

/** An image all of whose manifests were read and have their digests. */
export interface ImageFacts {
  registry: string;
  path: string;
  digest: string;
  mediaType: string;
  platforms: PlatformFacts[];
  /** Digests of provenance and bills of materials that are in the index. */
  attestations: string[];
  /** Bytes of all platforms; a layer that several have counts once. */
  size: number;
}

/**
 * Reads an image to its last manifest. Throws `not_found` where the reference is not, `image_unverified` when a manifest or
 * configuration that belongs to it is not there or is not what its digest says, or when one of `platforms` is not in it.
 */
export async function inspectImage(
  registries: Registries,
  image: Repository,
  reference: string,
  platforms: readonly string[] = [],
): Promise<{ facts: ImageFacts; manifest: Manifest }> {
  const { registry, path } = image;
  const name = `${registry}/${path}`;
  const top = await registries.manifest(image, reference);
  if (top === undefined) {
    throw new DeployError(
      'not_found',
      `${name}${isDigest(reference) ? '@' : ':'}${reference} is not there.`,
      {
        remedy: 'Look whether it was pushed, and whether name and registry are right.',
      },
    );
  }
  const found: PlatformFacts[] = [];
  const attestations: string[] = [];
  const content = new Map<string, number>([[top.descriptor.digest, top.descriptor.size]]);
  const add = async (manifest: Manifest, said: Descriptor): Promise<void> => {
    if (manifest.content.kind === 'index') {
      throw new DeployError('unsupported', `${name}@${said.digest} is an index within an index.`, {
        remedy: 'Build the image with one index that lists all platforms.',
      });
    }
    const { config, layers } = manifest.content;
    for (const { digest, size } of [manifest.descriptor, config, ...layers]) content.set(digest, size);
    if (isAttestation(said)) {
      attestations.push(said.digest);
      return;
    }
    const { platform, labels } = await registries.configuration(image, config);
    const unique = new Map([config, ...layers].map(({ digest, size }) => [digest, size]));
    found.push({
      platform: platformName(said.platform ?? platform),
      digest: manifest.descriptor.digest,
      size: sum(unique.values()),
      labels,
    });
  };
  if (top.content.kind === 'image') {
    await add(top, top.descriptor);
  } else {
    for (const child of top.content.manifests) {
      const manifest = await registries.manifest(image, child.digest);
      if (manifest === undefined) {
        const whose =
          child.platform === undefined ? 'a manifest' : `the manifest of ${platformName(child.platform)}`;
        throw missing(`${name}@${top.descriptor.digest}: ${whose} (${child.digest})`);
      }
      await add(manifest, child);
    }
  }
  const absent = platforms.filter((wanted) => !found.some(({ platform }) => platform === plain(wanted)));
  if (absent.length > 0 || found.length === 0) {
    const has = found.map(({ platform }) => platform).join(', ') || 'none';
    throw new DeployError(
      'image_unverified',
      `${name}@${top.descriptor.digest} does not have ${absent.join(', ') || 'any platform'}; it has ${has}.`,
      { remedy: 'Build and push the image for every platform, then run this again.' },
    );
  }
  return {
    manifest: top,
    facts: {
      registry,
      path,
      digest: top.descriptor.digest,
      mediaType: top.descriptor.mediaType,
      platforms: found.toSorted((a, b) => (a.platform < b.platform ? -1 : 1)),
      attestations,
      size: sum(content.values()),
    },
  };
}

/** As platformName writes it. */
function plain(platform: string): string {
  return platform.replace(/^(.*\/arm64)\/v8$/, '$1');
}

function sum(sizes: Iterable<number>): number {
  let total = 0;
  for (const size of sizes) total += size;
  return total;
}
