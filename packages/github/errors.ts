import { DeployError, type ReasonCode } from '@deploy-actions/core';

/** A permission of the token, in the words of a workflow's `permissions`. */
export type Permission =
  | 'actions: read'
  | 'checks: read'
  | 'checks: write'
  | 'contents: write'
  | 'deployments: write'
  | 'pull-requests: write'
  | 'security-events: write'
  | 'statuses: read';

/** What became of one call that did not succeed. */
export interface Failure {
  /** Route or GraphQL operation, for the message. */
  route: string;
  /** Undefined when no answer arrived. */
  status: number | undefined;
  /** Lower-case names. */
  headers: Readonly<Record<string, string>>;
  /** GitHub's words, or the network's. */
  said: string;
  /** The type of a GraphQL error, such as `FORBIDDEN`. */
  type: string | undefined;
  /** Whether the call may have taken effect all the same. */
  unclear: boolean;
}

/** A call to GitHub that failed for good. */
export class GitHubError extends DeployError {
  readonly failure: Failure;

  constructor(reasonCode: ReasonCode, message: string, remedy: string, failure: Failure, cause: unknown) {
    super(reasonCode, message, { remedy, cause });
    this.name = 'GitHubError';
    this.failure = failure;
  }
}

export function isUnclear(thrown: unknown): thrown is GitHubError {
  return thrown instanceof GitHubError && thrown.failure.unclear;
}

export function hasStatus(thrown: unknown, status: number): boolean {
  return thrown instanceof GitHubError && thrown.failure.status === status;
}

/** In these words GitHub says, in REST and GraphQL, that a valid token may not do something. */
const notAccessible = /not accessible by|must have (?:push|write|admin) access/i;

const lacksPermission = ({ status, type, said }: Failure): boolean =>
  (type === 'FORBIDDEN' || status === 403) && notAccessible.test(said);

/** The token is valid and may not do this. */
export function isMissingPermission(thrown: unknown): boolean {
  return thrown instanceof GitHubError && lacksPermission(thrown.failure);
}

/** The failure as an error for people. `gaveUp` says for how long it was tried, where it was tried again. */
export function explain(
  failure: Failure,
  permission: Permission | undefined,
  gaveUp: string,
  cause?: unknown,
): GitHubError {
  const { route, status, said, type } = failure;
  const needs = permission === undefined ? '' : ` It needs \`${permission}\`.`;
  const make = (reasonCode: ReasonCode, what: string, remedy: string) =>
    new GitHubError(reasonCode, `${route}: ${what}${gaveUp}`, remedy, failure, cause);
  if (isRateLimit(failure)) {
    return make(
      'unreachable',
      `GitHub limits the rate of calls (${said}).`,
      'Run it again later. Fewer runs at the same time, or the token of a GitHub App, have more room.',
    );
  }
  if (status === 401) {
    return make(
      'permission_denied',
      `GitHub does not accept the token (${said}).`,
      'Give a token that is valid for the whole run; that of a job ends with the job.',
    );
  }
  if (status === 403 || type === 'FORBIDDEN') {
    const missing = lacksPermission(failure);
    return make(
      'permission_denied',
      missing ? `the token may not do this (${said}).${needs}` : `GitHub refuses (${said}).`,
      missing && permission !== undefined
        ? `Add \`${permission}\` to the \`permissions\` of the job.`
        : 'See what GitHub says in brackets: the repository or its organisation does not allow this.',
    );
  }
  if (status === 404 || type === 'NOT_FOUND') {
    return make(
      'not_found',
      `GitHub does not find it, or the token may not see it (${said}).${needs}`,
      'Look at the name of the repository and at the permissions of the token.',
    );
  }
  if (status === 409) {
    return make(
      'state_conflict',
      `GitHub says that it conflicts (${said}).`,
      'Read it again and decide anew.',
    );
  }
  if (status === undefined || status >= 500) {
    return make(
      'unreachable',
      status === undefined ? `no answer (${said}).` : `GitHub answers ${status} (${said}).`,
      'Look at githubstatus.com, and at the network between the runner and GitHub; then run it again.',
    );
  }
  if (/doesn't exist on type/.test(said)) {
    return make(
      'unsupported',
      `this GitHub server is too old (${said}).`,
      'Update the GitHub Enterprise Server.',
    );
  }
  return make(
    'internal',
    `GitHub refuses what was sent with ${type ?? status} (${said}).`,
    'Please report it, with this message.',
  );
}

/** Primary and secondary limits; both come with 403 or 429, in GraphQL with 200 too. */
export function isRateLimit({ status, headers, said, type }: Failure): boolean {
  if (type === 'RATE_LIMITED' || status === 429) return true;
  if (/rate limit|abuse detection/i.test(said)) return status === 403 || status === 200;
  if (status !== 403 || notAccessible.test(said)) return false;
  return headers['retry-after'] !== undefined || headers['x-ratelimit-remaining'] === '0';
}
