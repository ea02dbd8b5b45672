import { DeployError } from './errors.ts';

/** An image reference in its parts, as container engines read it (grammar: distribution/reference). */
export interface ImageReference {
  /** Registry and path as written, without tag and digest. */
  name: string;
  /** `docker.io`, `ghcr.io`, `localhost:5000`. */
  registry: string;
  /** Path in the registry: `library/nginx`, `acme/helpdesk-backend`. */
  path: string;
  /** Null where none is given: that means `latest` unless there is a digest. */
  tag: string | null;
  /** `sha256:…`, or null. */
  digest: string | null;
}

const domain =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::\d{1,5})?$/;
const component = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const tagPattern = /^\w[\w.-]{0,127}$/;
const digestPattern = /^(?:sha256:[0-9a-f]{64}|(?!sha256)[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,})$/;

/** What is allowed, for error messages. */
export const imageReferenceForm =
  '[registry[:port]/]path[:tag][@digest], such as ghcr.io/acme/helpdesk-backend:1.4.2 or registry:5000/app@sha256:…';

/**
 * Reads a reference. The first part is a registry only when it has a dot or a port or is `localhost`; without one the
 * registry is docker.io, where a path of one part is under `library`. Undefined when it is no reference.
 */
export function parseImageReference(text: string): ImageReference | undefined {
  const [named = '', digest, ...more] = text.split('@');
  if (more.length > 0 || (digest !== undefined && !digestPattern.test(digest))) return undefined;
  // A colon after the last slash begins the tag; one before it belongs to a port.
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1);
  const name = colon < 0 ? named : named.slice(0, colon);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !tagPattern.test(tag)) return undefined;
  const [first = '', ...rest] = name.split('/');
  const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  const registry = hasRegistry ? first : 'docker.io';
  const parts = hasRegistry ? rest : [first, ...rest];
  if (!domain.test(registry) || parts.some((part) => !component.test(part))) return undefined;
  const isOfficial = /^(?:index\.)?docker\.io$/.test(registry) && parts.length === 1;
  return {
    name,
    registry: registry === 'index.docker.io' ? 'docker.io' : registry,
    path: isOfficial ? `library/${parts.join('/')}` : parts.join('/'),
    tag: tag ?? null,
    digest: digest ?? null,
  };
}

/** Throws `invalid_input` for what is no reference. `what` names it: the input, or the container. */
export function imageReference(text: string, what = 'image'): ImageReference {
  const parsed = parseImageReference(text);
  if (parsed !== undefined) return parsed;
  throw new DeployError('invalid_input', `${what}: "${text}" is not an image reference.`, {
    remedy: `Allowed is ${imageReferenceForm}; the path is in lower case.`,
  });
}

/** Registry and path: what has to be equal for one image to take another's place. */
export function repositoryOf({ registry, path }: ImageReference): string {
  return `${registry}/${path}`;
}

/**
 * The one spelling of a reference, by which images are compared: `nginx` and `docker.io/library/nginx:latest` are the
 * same. With a digest the tag says nothing and is left out.
 */
export function canonicalImage(text: string): string {
  const parsed = parseImageReference(text);
  if (parsed === undefined) return text;
  const repository = repositoryOf(parsed);
  return parsed.digest === null
    ? `${repository}:${parsed.tag ?? 'latest'}`
    : `${repository}@${parsed.digest}`;
}

/** A short name of what the reference points at: the tag, or the beginning of the digest. */
export function versionOfImage(text: string): string {
  const parsed = parseImageReference(text);
  if (parsed === undefined) return text;
  return parsed.tag ?? (parsed.digest?.replace(/^[^:]*:/, '').slice(0, 12) || 'latest');
}
