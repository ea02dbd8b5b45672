// Images without a builder: a layer of random bytes and a configuration for each platform, and an index.

import { randomBytes } from 'node:crypto';
import { mediaTypes, type Registries, type Repository, sha256Of } from '../../../packages/images/index.ts';

/** Pushes an image for these platforms under a tag. The digest of its index. */
export async function pushImage(
  registries: Registries,
  image: Repository,
  tag: string,
  platforms: readonly string[],
): Promise<string> {
  const manifests = [];
  for (const name of platforms) {
    const [os, architecture] = name.split('/');
    const config = await registries.putBlob(
      image,
      Buffer.from(JSON.stringify({ os, architecture, config: {}, rootfs: { type: 'layers', diff_ids: [] } })),
    );
    const layer = await registries.putBlob(image, randomBytes(1_000));
    const body = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.image,
        config: { ...config, mediaType: 'application/vnd.oci.image.config.v1+json' },
        layers: [{ ...layer, mediaType: 'application/vnd.oci.image.layer.v1.tar' }],
      }),
    );
    const digest = sha256Of(body);
    manifests.push({
      ...(await registries.putManifest(image, digest, { mediaType: mediaTypes.image, body })),
      platform: { os, architecture },
    });
  }
  const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }));
  return (await registries.putManifest(image, tag, { mediaType: mediaTypes.index, body })).digest;
}
