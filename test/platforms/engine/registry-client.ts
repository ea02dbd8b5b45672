// What a registry has, asked of itself: for tests that compare it with what a build said.

const manifestTypes = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

export interface RegistryManifest {
  digest: string;
  mediaType: string;
  /** Of an index: a manifest for each platform, and attestations, whose platform is `unknown`. */
  manifests?: { digest: string; platform?: { os: string; architecture: string } }[];
  config?: { digest: string };
  layers?: { digest: string; size: number }[];
}

/** The manifest that a tag or digest stands for; undefined when there is none. */
export async function manifestAt(
  registry: string,
  repository: string,
  reference: string,
): Promise<RegistryManifest | undefined> {
  const answer = await fetch(`http://${registry}/v2/${repository}/manifests/${reference}`, {
    headers: { accept: manifestTypes },
  });
  if (answer.status === 404) return undefined;
  if (!answer.ok) throw new Error(`${registry} answered ${answer.status} for ${repository}:${reference}`);
  const manifest = (await answer.json()) as RegistryManifest;
  return { ...manifest, digest: answer.headers.get('docker-content-digest') ?? '' };
}
