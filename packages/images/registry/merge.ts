import { DeployError } from '@deploy-actions/core';
import { missing, type Registries, type Repository } from './client.ts';
import {
  type Descriptor,
  isAttestation,
  mediaTypes,
  type Manifest,
  platformName,
  sha256Of,
} from './manifest.ts';

/**
 * Puts one index over images that native runners built and pushed to one repository by digest, each for its platforms; provenance
 * that is in their indexes comes along. The same digests give the same index, in whatever order they come. Nothing is pulled.
 *
 * `reference` is a tag; undefined leaves the index without one. Throws `invalid_input` when two of them are for the same platform,
 * `image_unverified` when one is not there.
 */
export async function mergeImages(
  registries: Registries,
  image: Repository,
  digests: readonly string[],
  reference?: string,
): Promise<Descriptor> {
  const parts = new Map<string, Descriptor>();
  for (const digest of digests) {
    const manifest = await registries.manifest(image, digest);
    if (manifest === undefined) throw missing(`${image.registry}/${image.path}@${digest}`);
    for (const part of await partsOf(registries, image, manifest)) parts.set(part.digest, part);
  }
  const byPlatform = new Map<string, string>();
  for (const part of parts.values()) {
    if (isAttestation(part) || part.platform === undefined) continue;
    const platform = platformName(part.platform);
    const other = byPlatform.get(platform);
    if (other !== undefined) {
      throw new DeployError(
        'invalid_input',
        `${image.registry}/${image.path}: ${other} and ${part.digest} are both for ${platform}.`,
        { remedy: 'Let each runner of the matrix build platforms of its own.' },
      );
    }
    byPlatform.set(platform, part.digest);
  }
  const manifests = [...parts.values()].toSorted((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  const body = Buffer.from(
    JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests: manifests.map(written) }),
  );
  const index = { mediaType: mediaTypes.index, body };
  return registries.putManifest(image, reference ?? sha256Of(body), index);
}

/** Platforms in the order of their names, each attestation after what it speaks of. */
function sortKey(part: Descriptor): string {
  return `${isAttestation(part) ? '1' : '0'} ${part.platform === undefined ? '' : platformName(part.platform)} ${part.digest}`;
}

function written({ mediaType, digest, size, platform, annotations }: Descriptor) {
  return {
    mediaType,
    digest,
    size,
    ...(platform !== undefined && { platform }),
    ...(annotations !== undefined && { annotations }),
  };
}

async function partsOf(registries: Registries, image: Repository, manifest: Manifest): Promise<Descriptor[]> {
  if (manifest.content.kind === 'index') return manifest.content.manifests;
  const { platform } = await registries.configuration(image, manifest.content.config);
  return [{ ...manifest.descriptor, platform }];
}
