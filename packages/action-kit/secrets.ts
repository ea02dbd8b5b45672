/** What must not be seen, and texts without it. */
export interface Secrets {
  mask(secret: string): void;
  redact(text: string): string;
}

/**
 * `tell` hands a secret to the runner, which masks line by line: each line of a secret is one on its own too, and is taken out of texts
 * with its spaces at the ends or without them.
 */
export function createSecrets(tell: (secret: string) => void): Secrets {
  const known = new Set<string>();
  return {
    mask(secret) {
      for (const part of [secret, ...secret.split('\n'), ...secret.split('\n').map((line) => line.trim())]) {
        if (part.trim() === '' || known.has(part)) continue;
        known.add(part);
        tell(part);
      }
    },
    redact(text) {
      // The longest first: a shorter one may be a part of it.
      return [...known]
        .toSorted((a, b) => b.length - a.length)
        .reduce((clean, secret) => clean.replaceAll(secret, '***'), text);
    },
  };
}
