/** What logs in at one registry. */
export type RegistryCredential =
  | { kind: 'password'; username: string; password: string }
  /** A refresh token of the registry's token server, as `docker login` keeps it. */
  | { kind: 'identity-token'; token: string }
  /** Shown to the registry as it is. */
  | { kind: 'bearer'; token: string };

/** The credential for a registry (`docker.io`, `ghcr.io`, `localhost:5000`); undefined where there is none: anonymous. */
export type RegistryCredentials = (registry: string) => Promise<RegistryCredential | undefined>;

export const anonymous: RegistryCredentials = () => Promise.resolve(undefined);

/** The first of the sources that knows the registry; each registry is asked for once. */
export function firstOf(sources: readonly RegistryCredentials[]): RegistryCredentials {
  const known = new Map<string, Promise<RegistryCredential | undefined>>();
  const find = async (registry: string) => {
    for (const source of sources) {
      const found = await source(registry);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return (asked) => {
    const registry = registryName(asked);
    const found = known.get(registry) ?? find(registry);
    known.set(registry, found);
    return found;
  };
}

/** The name of a registry, as references have it: without scheme, path and Docker Hub's other names. */
export function registryName(text: string): string {
  const host = text
    .replace(/^https?:\/\//, '')
    .replace(/\/.*$/, '')
    .toLowerCase();
  return /^(?:index|registry-1|registry)\.docker\.io$/.test(host) ? 'docker.io' : host;
}
