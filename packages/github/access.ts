import { isRecord } from '@deploy-actions/core';

/** What a run is told of itself. */
export interface RunEvent {
  /** `pull_request`, `push`, … */
  name: string;
  /** The event's payload. */
  payload: unknown;
  actor: string;
  /** `owner/name`. */
  repository: string;
}

/**
 * Why the token of this run is expected to be read-only; undefined when it is not. It is then no fault that nothing can be
 * written: a pull request from a fork gets a read-only token whatever the workflow asks for, a run that Dependabot
 * starts unless it asks for more. (`pull_request_target` would have a writing token next to code of strangers; it is
 * never needed here.)
 */
export function readOnlyReason({ name, payload, actor, repository }: RunEvent): string | undefined {
  if (/^pull_request(?:_review|_review_comment)?$/.test(name) && isRecord(payload)) {
    const pull = payload['pull_request'];
    const head = isRecord(pull) && isRecord(pull['head']) ? pull['head'] : undefined;
    if (head !== undefined) {
      // A fork that was deleted has no repository any more.
      const full = isRecord(head['repo']) ? head['repo']['full_name'] : undefined;
      if (full !== repository) return 'the pull request comes from a fork';
    }
  }
  if (actor === 'dependabot[bot]' && name !== 'schedule' && name !== 'workflow_dispatch') {
    return 'Dependabot started the run';
  }
  return undefined;
}
