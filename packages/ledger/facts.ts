import { isRecord } from '@deploy-actions/core';
import type { Facts } from '@deploy-actions/release-engine';

/** What a release is, beyond what it takes to run it: kept with it, from its first write to its entry in the ledger. */
export interface ReleaseFacts {
  app: string;
  environment: string;
  platform: string;
  router: string;
  /** The commit; empty when it is not known. */
  sha: string;
  /** Name of each image to its reference, best with its digest. */
  images: Record<string, string>;
  /** What else there is to know, such as `migration`. */
  notes: Record<string, string>;
  /** Why it was released although the environment was frozen. */
  brokeFreeze: string | null;
}

/** As the engine keeps them. */
export function asFacts(facts: ReleaseFacts): Facts {
  return { ...facts };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

function textsOf(value: unknown): Record<string, string> {
  return isRecord(value)
    ? Object.fromEntries(Object.entries(value).map(([name, text]) => [name, textOf(text)]))
    : {};
}

/** Out of what the engine kept. What an older suite did not write is empty. */
export function releaseFactsOf(facts: Facts): ReleaseFacts {
  const brokeFreeze = facts['brokeFreeze'];
  return {
    app: textOf(facts['app']),
    environment: textOf(facts['environment']),
    platform: textOf(facts['platform']),
    router: textOf(facts['router']),
    sha: textOf(facts['sha']),
    images: textsOf(facts['images']),
    notes: textsOf(facts['notes']),
    brokeFreeze: typeof brokeFreeze === 'string' ? brokeFreeze : null,
  };
}
