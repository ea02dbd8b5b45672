/** What a registry wants to be shown: https://distribution.github.io/distribution/spec/auth/token/ and RFC 7617. */
export type Challenge =
  { scheme: 'basic' } | { scheme: 'bearer'; realm: string; service: string; scope: string };

/** Reads a WWW-Authenticate header; Bearer is taken where both are offered. Undefined for what is neither. */
export function parseChallenge(header: string | null): Challenge | undefined {
  if (header === null) return undefined;
  const bearer = /(?:^|,)\s*Bearer\s+(.*)$/i.exec(header)?.[1];
  if (bearer !== undefined) {
    const parameters = new Map<string, string>();
    for (const [, name = '', quoted, plain] of bearer.matchAll(
      /([a-z_]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi,
    )) {
      parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain ?? '');
    }
    const realm = parameters.get('realm');
    if (realm !== undefined && URL.canParse(realm)) {
      return {
        scheme: 'bearer',
        realm,
        service: parameters.get('service') ?? '',
        scope: parameters.get('scope') ?? '',
      };
    }
  }
  return /(?:^|,)\s*Basic\b/i.test(header) ? { scheme: 'basic' } : undefined;
}
