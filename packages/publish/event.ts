import { readFileSync } from 'node:fs';
import type { RunFacts } from '@deploy-actions/action-kit';
import { isRecord } from '@deploy-actions/core';
import { readOnlyReason } from '@deploy-actions/github';

/** What a run is about, for GitHub. */
export interface Occasion {
  /** Number of the pull request that started the run. */
  pullRequest: number | undefined;
  /** The commit that reports belong to: the head of the pull request, not the merge commit that is checked out. */
  headSha: string;
  /** Why the token is expected to be read-only. */
  readOnly: string | undefined;
}

/** Reads the payload of the event, once. Without one, or with one that cannot be read, there is no pull request. */
export function readOccasion(facts: RunFacts): Occasion {
  const payload = readPayload(facts.eventPath);
  const pull = isRecord(payload) ? payload['pull_request'] : undefined;
  const number = isRecord(pull) ? pull['number'] : undefined;
  const head = isRecord(pull) && isRecord(pull['head']) ? pull['head']['sha'] : undefined;
  return {
    pullRequest: typeof number === 'number' ? number : undefined,
    headSha: typeof head === 'string' && head !== '' ? head : facts.sha,
    readOnly: readOnlyReason({
      name: facts.eventName,
      payload,
      actor: facts.actor,
      repository: facts.repository,
    }),
  };
}

function readPayload(file: string): unknown {
  if (file === '') return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as unknown;
  } catch {
    return undefined;
  }
}
