import { isRecord, type Json } from '@deploy-actions/core';
import { isDigest } from './registry/index.ts';

/** By image, the digests that native runners pushed. */
export type Parts = Map<string, string[]>;

/**
 * Reads what native runners built: a list of their outputs `details`, or a mapping of images to lists of digests. The text says what is
 * wrong and what is allowed.
 */
export function readParts(value: Json): Parts | string {
  const allowed =
    'allowed is a list of outputs `details` of build-images, or a mapping such as { "backend": ["sha256:…"] }';
  const parts: Parts = new Map();
  for (const part of Array.isArray(value) ? value : [value]) {
    if (!isRecord(part)) return `is not allowed; ${allowed}`;
    for (const [name, said] of Object.entries(part)) {
      const digests = Array.isArray(said) ? said : isRecord(said) ? [said['digest']] : [said];
      const known = parts.get(name) ?? [];
      for (const digest of digests) {
        if (typeof digest !== 'string' || !isDigest(digest))
          return `has no digest for ${name}: ${JSON.stringify(digest)?.slice(0, 80)}; ${allowed}`;
        if (!known.includes(digest)) known.push(digest);
      }
      parts.set(name, known);
    }
  }
  return parts.size === 0 ? `is empty; ${allowed}` : parts;
}
