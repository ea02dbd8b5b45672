import { createHash } from 'node:crypto';
import { DeployError, isRecord, textAt } from '@deploy-actions/core';

/**
 * What a registry keeps about an image: https://github.com/opencontainers/image-spec (manifest.md, image-index.md), and
 * Docker's older forms of the same.
 */
export const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  image: 'application/vnd.oci.image.manifest.v1+json',
  dockerIndex: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerImage: 'application/vnd.docker.distribution.manifest.v2+json',
} as const;

const indexTypes: readonly string[] = [mediaTypes.index, mediaTypes.dockerIndex];
const imageTypes: readonly string[] = [mediaTypes.image, mediaTypes.dockerImage];
export const manifestTypes: readonly string[] = [...indexTypes, ...imageTypes];

export interface ImagePlatform {
  os: string;
  architecture: string;
  variant?: string;
  'os.version'?: string;
}

/** Points at content by its digest. */
export interface Descriptor {
  mediaType: string;
  /** `sha256:…`. */
  digest: string;
  /** Bytes. */
  size: number;
  platform?: ImagePlatform;
  annotations?: Record<string, string>;
}

/** A manifest whose bytes have the digest of its descriptor. */
export interface Manifest {
  descriptor: Descriptor;
  body: Buffer;
  content:
    { kind: 'index'; manifests: Descriptor[] } | { kind: 'image'; config: Descriptor; layers: Descriptor[] };
}

export function sha256Of(body: Buffer | string): string {
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}

const digestForm = /^sha256:[0-9a-f]{64}$/;

/** Whether it is a digest that can be verified here. */
export function isDigest(text: string): boolean {
  return digestForm.test(text);
}

function unverified(what: string): DeployError {
  return new DeployError('image_unverified', what, {
    remedy:
      'Push the image again; if that gives the same, look at the registry and at what stands before it.',
  });
}

/**
 * Reads the bytes of a manifest. `what` names it in errors. Throws `image_unverified` for what is none, and when the digest of the
 * bytes is not `expected`.
 */
export function parseManifest(
  body: Buffer,
  contentType: string,
  what: string,
  expected: string | undefined,
): Manifest {
  const digest = sha256Of(body);
  if (expected !== undefined && digest !== expected) {
    throw unverified(`${what}: the registry sent a manifest with the digest ${digest}, and not ${expected}.`);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch {
    throw unverified(`${what}: the registry sent a manifest that is not JSON.`);
  }
  if (!isRecord(parsed)) throw unverified(`${what}: the registry sent a manifest that is not an object.`);
  const said = contentType.split(';')[0]?.trim() ?? '';
  // A digest does not cover the header. Where both say a type, they have to agree, or one content could be read in two ways
  // (GHSA-77vh-xpmg-72qh).
  const inside = textAt(parsed, 'mediaType');
  if (inside !== '' && manifestTypes.includes(said) && inside !== said) {
    throw unverified(`${what}: the manifest is ${inside}, and the registry says ${said}.`);
  }
  const mediaType = inside === '' ? said : inside;
  const descriptor: Descriptor = { mediaType, digest, size: body.length };
  const list = (value: unknown, name: string): Descriptor[] => {
    if (!Array.isArray(value)) throw unverified(`${what}: its manifest has no list of ${name}.`);
    return value.map((each, index) => descriptorOf(each, `${what}: ${name}[${index}]`));
  };
  if (indexTypes.includes(mediaType)) {
    if ('layers' in parsed || 'config' in parsed)
      throw unverified(`${what}: it is index and image at the same time.`);
    return {
      descriptor,
      body,
      content: { kind: 'index', manifests: list(parsed['manifests'], 'manifests') },
    };
  }
  if (imageTypes.includes(mediaType)) {
    if ('manifests' in parsed) throw unverified(`${what}: it is index and image at the same time.`);
    return {
      descriptor,
      body,
      content: {
        kind: 'image',
        config: descriptorOf(parsed['config'], `${what}: config`),
        layers: list(parsed['layers'], 'layers'),
      },
    };
  }
  throw new DeployError(
    'unsupported',
    `${what}: the registry has a manifest of the type ${JSON.stringify(mediaType)}.`,
    {
      remedy: `Known are ${manifestTypes.join(', ')}. Build the image with a newer builder.`,
    },
  );
}

function descriptorOf(value: unknown, what: string): Descriptor {
  if (!isRecord(value) || !isDigest(textAt(value, 'digest')) || typeof value['size'] !== 'number') {
    throw unverified(`${what} is no descriptor with a sha256 digest and a size.`);
  }
  const { platform, annotations, size } = value;
  return {
    mediaType: textAt(value, 'mediaType'),
    digest: textAt(value, 'digest'),
    size,
    ...(isRecord(platform) && { platform: platformOf(platform) }),
    ...(isRecord(annotations) && { annotations: textsOf(annotations) }),
  };
}

export function platformOf(record: Readonly<Record<string, unknown>>): ImagePlatform {
  const variant = textAt(record, 'variant');
  const version = textAt(record, 'os.version');
  return {
    os: textAt(record, 'os'),
    architecture: textAt(record, 'architecture'),
    ...(variant !== '' && { variant }),
    ...(version !== '' && { 'os.version': version }),
  };
}

export function textsOf(record: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(record).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

/** `linux/amd64`, `linux/arm/v7`. v8 is what every arm64 is, so it is not said. */
export function platformName({ os, architecture, variant }: ImagePlatform): string {
  const isPlain = variant === undefined || (architecture === 'arm64' && variant === 'v8');
  return `${os}/${architecture}${isPlain ? '' : `/${variant}`}`;
}

/** What a builder adds to an index beside the platforms: provenance and bills of materials. */
export function isAttestation({ platform, annotations }: Descriptor): boolean {
  return (
    annotations?.['vnd.docker.reference.type'] === 'attestation-manifest' ||
    (platform?.os === 'unknown' && platform.architecture === 'unknown')
  );
}
