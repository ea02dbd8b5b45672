/* What rules about Compose files, manifests and Dockerfiles have in common. */

const sockets =
  /\/(?:docker|containerd\/containerd|podman\/podman|crio\/crio)\.sock$|^\/(?:var\/)?run\/(?:containerd|docker|podman|crio)\/?$/;

/** The directories that the Docker benchmark names (5.6), and the root. */
const sensitive =
  /^\/(?:$|(?:boot|dev|etc|lib|proc|root|sys|usr|var\/run|run)(?:\/|$)|var\/lib\/(?:docker|kubelet|containerd)(?:\/|$))/;

export type MountKind = 'socket' | 'sensitive' | 'other';

/** What mounting a path of the host gives away. */
export function mountKind(path: string): MountKind {
  if (sockets.test(path)) return 'socket';
  return sensitive.test(path) ? 'sensitive' : 'other';
}

/** With these a container is as good as the host. */
const dangerous = new Set([
  'ALL',
  'SYS_ADMIN',
  'SYS_MODULE',
  'SYS_PTRACE',
  'SYS_RAWIO',
  'DAC_READ_SEARCH',
  'NET_ADMIN',
  'BPF',
  'MAC_ADMIN',
]);

/** Without `CAP_`, in capitals. */
export const capability = (name: string) => name.toUpperCase().replace(/^CAP_/, '');

/** How severe an added capability is; undefined for the one that is harmless. */
export function severityOfCapability(name: string): 'high' | 'medium' | undefined {
  const plain = capability(name);
  if (plain === 'NET_BIND_SERVICE') return undefined;
  return dangerous.has(plain) ? 'high' : 'medium';
}

export const isRoot = (user: string) => /^(?:root|0+)(?::.*)?$/.test(user.trim());

/** A text of a Compose file with the defaults of its variables: `${TAG:-latest}` is `latest`. Variables without one stay. */
export const withDefaults = (text: string) => text.replace(/\$\{[^}:-]+:?-([^}]*)\}/g, '$1');

/**
 * Why an image is not of a certain version, in words; undefined when it is, and when a variable says its version. `${TAG:-latest}` is as
 * good as latest.
 */
export function untagged(image: string): string | undefined {
  if (image.includes('@')) return undefined;
  const filled = withDefaults(image);
  const name = filled.slice(filled.lastIndexOf('/') + 1);
  const tag = /:(.*)$/.exec(name)?.[1];
  if (tag === 'latest') return `the image ${image} is whatever is the latest`;
  return tag === undefined && !filled.includes('$')
    ? `the image ${image} has no tag, so it is the latest`
    : undefined;
}
