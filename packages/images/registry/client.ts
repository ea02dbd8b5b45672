import {
  canonicalJson,
  DeployError,
  type ImageReference,
  isRecord,
  sleep,
  textAt,
} from '@deploy-actions/core';
import {
  type Descriptor,
  type ImagePlatform,
  isDigest,
  type Manifest,
  manifestTypes,
  mediaTypes,
  parseManifest,
  platformOf,
  sha256Of,
  textsOf,
} from './manifest.ts';
import { registryPatience } from './retry.ts';
import { type Answer, createTransport, type RegistryOptions, saidBy } from './transport.ts';

/** The repository of an image: `ghcr.io` and `acme/backend`. Every parsed reference is one. */
export type Repository = Pick<ImageReference, 'registry' | 'path'>;

/** What the configuration of an image says. */
export interface ImageConfiguration {
  platform: ImagePlatform;
  labels: Record<string, string>;
  /** ISO 8601; empty where the builder says none. */
  created: string;
}

/** Registries of the OCI distribution specification: https://github.com/opencontainers/distribution-spec/blob/main/spec.md */
export interface Registries {
  /** What a tag or digest points at; undefined where there is none. Its bytes were not looked at. */
  resolve(image: Repository, reference: string): Promise<Descriptor | undefined>;
  /** A manifest whose bytes have the digest that was asked for or that the registry says; undefined where there is none. */
  manifest(image: Repository, reference: string): Promise<Manifest | undefined>;
  /** The configuration of an image, whose bytes have the digest of the descriptor. */
  configuration(image: Repository, config: Descriptor): Promise<ImageConfiguration>;
  /** Whether a blob is there. */
  hasBlob(image: Repository, digest: string): Promise<boolean>;
  /** Puts bytes under a tag or their own digest, and reads back where it points. What is there already is not written again. */
  putManifest(
    image: Repository,
    reference: string,
    manifest: { mediaType: string; body: Buffer },
  ): Promise<Descriptor>;
  /** Uploads a small blob, unless it is there. */
  putBlob(image: Repository, body: Buffer): Promise<Descriptor>;
  /** All tags of a repository; none where there is no such repository. */
  tags(image: Repository): Promise<string[]>;
  /** Takes a tag away, and leaves what it points at. Many registries do not let it be done: `unsupported`. */
  removeTag(image: Repository, tag: string): Promise<'removed' | 'absent' | 'unsupported'>;
}

/** The specification has registries take manifests of 4 MiB at least, and clients read no more. */
const largestManifest = 4 * 1024 * 1024;

const accept = { accept: manifestTypes.join(', ') };

export function openRegistries(options: RegistryOptions): Registries {
  const ask = createTransport(options);
  const shown = (image: Repository, reference: string) =>
    `${image.registry}/${image.path}${isDigest(reference) ? '@' : ':'}${reference}`;
  const scopeOf = (image: Repository, rights: string) => `repository:${image.path}:${rights}`;
  const manifestPath = ({ path }: Repository, reference: string) => `/v2/${path}/manifests/${reference}`;

  async function resolve(image: Repository, reference: string): Promise<Descriptor | undefined> {
    const answer = await ask({
      method: 'HEAD',
      registry: image.registry,
      target: manifestPath(image, reference),
      scope: scopeOf(image, 'pull'),
      headers: accept,
      what: `looking for ${shown(image, reference)}`,
    });
    if (answer.status === 404) return undefined;
    const digest = answer.headers.get('docker-content-digest');
    // The specification lets a registry leave the header out.
    if (answer.status !== 200 || digest === null || !isDigest(digest)) {
      return (await manifest(image, reference))?.descriptor;
    }
    if (isDigest(reference) && digest !== reference) throw strayed(shown(image, reference), digest);
    return {
      mediaType: answer.headers.get('content-type')?.split(';')[0]?.trim() ?? '',
      digest,
      size: Number(answer.headers.get('content-length') ?? 0),
    };
  }

  async function manifest(image: Repository, reference: string): Promise<Manifest | undefined> {
    const what = shown(image, reference);
    const answer = await ask({
      method: 'GET',
      registry: image.registry,
      target: manifestPath(image, reference),
      scope: scopeOf(image, 'pull'),
      headers: accept,
      maxBytes: largestManifest,
      what: `reading ${what}`,
    });
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw unexpected(answer, image.registry, `reading ${what}`);
    const said = answer.headers.get('docker-content-digest');
    const expected = isDigest(reference) ? reference : said !== null && isDigest(said) ? said : undefined;
    return parseManifest(answer.body, answer.headers.get('content-type') ?? '', what, expected);
  }

  async function configuration(image: Repository, config: Descriptor): Promise<ImageConfiguration> {
    const what = `the configuration ${config.digest} of ${image.registry}/${image.path}`;
    const answer = await ask({
      method: 'GET',
      registry: image.registry,
      target: `/v2/${image.path}/blobs/${config.digest}`,
      scope: scopeOf(image, 'pull'),
      maxBytes: largestManifest,
      what: `reading ${what}`,
    });
    if (answer.status === 404) throw missing(what);
    if (answer.status !== 200) throw unexpected(answer, image.registry, `reading ${what}`);
    const found = sha256Of(answer.body);
    if (found !== config.digest) throw strayed(what, found);
    return configurationOf(answer.body);
  }

  async function hasBlob(image: Repository, digest: string): Promise<boolean> {
    const answer = await ask({
      method: 'HEAD',
      registry: image.registry,
      target: `/v2/${image.path}/blobs/${digest}`,
      scope: scopeOf(image, 'pull'),
      what: `looking for the blob ${digest} of ${image.registry}/${image.path}`,
    });
    return answer.status === 200;
  }

  async function putManifest(
    image: Repository,
    reference: string,
    { mediaType, body }: { mediaType: string; body: Buffer },
  ): Promise<Descriptor> {
    const what = shown(image, reference);
    const digest = sha256Of(body);
    if ((await resolve(image, reference))?.digest !== digest) {
      // Written a second time after a lost answer it is the same: a PUT of the same bytes under the same name.
      const answer = await ask({
        method: 'PUT',
        registry: image.registry,
        target: manifestPath(image, reference),
        scope: scopeOf(image, 'pull,push'),
        headers: { 'content-type': mediaType },
        body,
        what: `writing ${what}`,
      });
      if (answer.status !== 201 && answer.status !== 200 && answer.status !== 202)
        throw rejected(answer, image.registry, `writing ${what}`);
    }
    const { pause } = options.patience ?? registryPatience;
    let there = await manifest(image, reference);
    // Some answer from a copy that is a moment behind.
    for (let attempt = 0; attempt < 3 && there?.descriptor.digest !== digest; attempt += 1) {
      await sleep(pause * 2 ** attempt, options.signal, `reading ${what} back`);
      there = await manifest(image, reference);
    }
    if (there === undefined) {
      throw new DeployError('image_unverified', `${what} was written, and is not there.`, {
        remedy: 'Look at the registry: it took the tag and does not have it.',
      });
    }
    if (there.descriptor.digest !== digest) {
      throw new DeployError(
        'state_conflict',
        `${what} was set to ${digest}, and points at ${there.descriptor.digest}: somebody else moves the same tag.`,
        {
          remedy:
            'Let only one job at a time write these tags (`concurrency:` of the workflow), then run it again.',
        },
      );
    }
    return there.descriptor;
  }

  async function putBlob(image: Repository, body: Buffer): Promise<Descriptor> {
    const digest = sha256Of(body);
    const descriptor = { mediaType: 'application/octet-stream', digest, size: body.length };
    if (await hasBlob(image, digest)) return descriptor;
    const what = `uploading a blob to ${image.registry}/${image.path}`;
    const scope = scopeOf(image, 'pull,push');
    const begun = await ask({
      method: 'POST',
      registry: image.registry,
      target: `/v2/${image.path}/blobs/uploads/`,
      scope,
      what,
    });
    const location = begun.headers.get('location');
    if (begun.status !== 202 || location === null) throw rejected(begun, image.registry, what);
    const target = new URL(location, begun.url);
    target.searchParams.set('digest', digest);
    const answer = await ask({
      method: 'PUT',
      registry: image.registry,
      target,
      scope,
      headers: { 'content-type': 'application/octet-stream' },
      body,
      what,
    });
    // After an answer that was lost the upload is unknown to the registry, and the blob is there.
    if (answer.status !== 201 && !(await hasBlob(image, digest)))
      throw rejected(answer, image.registry, what);
    return descriptor;
  }

  /** The status of a DELETE; 403 where the login has no right to it. */
  async function remove(image: Repository, reference: string): Promise<number> {
    try {
      const answer = await ask({
        method: 'DELETE',
        registry: image.registry,
        target: manifestPath(image, reference),
        // Token servers know the right as `delete`, and some as a part of `push`.
        scope: `${scopeOf(image, 'pull,push')} ${scopeOf(image, 'delete')}`,
        what: `removing ${shown(image, reference)}`,
      });
      return answer.status;
    } catch (thrown) {
      if (thrown instanceof DeployError && thrown.reasonCode === 'permission_denied') return 403;
      throw thrown;
    }
  }

  async function removeTag(image: Repository, tag: string): Promise<'removed' | 'absent' | 'unsupported'> {
    const isGone = async () => (await resolve(image, tag)) === undefined;
    if (await isGone()) return 'absent';
    const status = await remove(image, tag);
    if (status < 400 || status === 404) return (await isGone()) ? 'removed' : 'unsupported';
    // Many delete manifests alone, and with one all tags that point at it. So the tag is moved to a manifest of its own first;
    // but not before that one is known to go, or the tag would stay at it.
    const body = tombstoneOf(tag);
    const tombstone = sha256Of(body);
    await putBlob(image, emptyBlob);
    await putManifest(image, tombstone, { mediaType: mediaTypes.image, body });
    if ((await remove(image, tombstone)) >= 400) return 'unsupported';
    if (await isGone()) return 'removed';
    await putManifest(image, tag, { mediaType: mediaTypes.image, body });
    await remove(image, tombstone);
    return (await isGone()) ? 'removed' : 'unsupported';
  }

  async function tags(image: Repository): Promise<string[]> {
    const found: string[] = [];
    let target: string | URL = `/v2/${image.path}/tags/list?n=1000`;
    // A registry that always names a next page is not followed for ever.
    for (let page = 0; page < 100; page += 1) {
      const what = `listing the tags of ${image.registry}/${image.path}`;
      const answer: Answer = await ask({
        method: 'GET',
        registry: image.registry,
        target,
        scope: scopeOf(image, 'pull'),
        what,
      });
      if (answer.status === 404) return found;
      if (answer.status !== 200) throw unexpected(answer, image.registry, what);
      found.push(...tagsOf(answer.body));
      const next = /<([^>]+)>\s*;\s*rel="?next"?/.exec(answer.headers.get('link') ?? '')?.[1];
      if (next === undefined) return found;
      target = new URL(next, answer.url);
    }
    return found;
  }

  return { resolve, manifest, configuration, hasBlob, putManifest, putBlob, tags, removeTag };
}

export const emptyBlob = Buffer.from('{}');

/** The manifest that a tag is moved to for its removal; the same each time, so that it is known again. */
export function tombstoneOf(tag: string): Buffer {
  const empty = { digest: sha256Of(emptyBlob), size: emptyBlob.length };
  return Buffer.from(
    canonicalJson({
      schemaVersion: 2,
      mediaType: mediaTypes.image,
      config: { mediaType: 'application/vnd.deploy-actions.removed.v1+json', ...empty },
      layers: [{ mediaType: 'application/vnd.oci.empty.v1+json', ...empty }],
      annotations: { 'dev.deploy-actions.removes': tag },
    }),
  );
}

export function missing(what: string): DeployError {
  return new DeployError('image_unverified', `${what} is not at the registry.`, {
    remedy: 'Push the image again: not all of it arrived, or a part was deleted.',
  });
}

function strayed(what: string, found: string): DeployError {
  return new DeployError('image_unverified', `${what}: the registry has ${found} in its place.`, {
    remedy: 'Do not deploy it. Look at the registry and at what stands before it, then push the image again.',
  });
}

function unexpected(answer: Answer, registry: string, what: string): DeployError {
  return new DeployError(
    'unreachable',
    `${registry} answers ${answer.status} while ${what}${saidBy(answer)}.`,
    {
      remedy: 'Look at the name of the registry: what answers there may be none.',
    },
  );
}

function rejected(answer: Answer, registry: string, what: string): DeployError {
  return new DeployError(
    'registry_rejected',
    `${registry} answers ${answer.status} while ${what}${saidBy(answer)}.`,
    {
      remedy:
        'Look at what the registry says: a tag may be protected, a quota used up, or a part of the image not there.',
    },
  );
}

/** `tags` is null in a repository that has none left. */
function tagsOf(body: Buffer): string[] {
  try {
    const { tags } = JSON.parse(body.toString('utf8')) as { tags?: unknown };
    return Array.isArray(tags) ? tags.filter((tag) => typeof tag === 'string') : [];
  } catch {
    return [];
  }
}

function configurationOf(body: Buffer): ImageConfiguration {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString('utf8'));
  } catch {
    parsed = undefined;
  }
  // What is no configuration of a container, such as a chart's or an attestation's, has no labels.
  const record = isRecord(parsed) ? parsed : {};
  const config = isRecord(record['config']) ? record['config'] : {};
  return {
    platform: platformOf(record),
    labels: isRecord(config['Labels']) ? textsOf(config['Labels']) : {},
    created: textAt(record, 'created'),
  };
}
