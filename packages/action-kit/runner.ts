import { join } from 'node:path';

/** What the runner says about the run, from its environment. */
export interface RunFacts {
  repository: string;
  sha: string;
  ref: string;
  actor: string;
  workflow: string;
  job: string;
  runId: string;
  runAttempt: string;
  /** The page where people look at this run; empty outside of a workflow. */
  runUrl: string;
  eventName: string;
  /** The file with the payload of the event; empty outside of a workflow. */
  eventPath: string;
  /** Bases of GitHub's REST and GraphQL API, of github.com or of an Enterprise Server. */
  apiUrl: string;
  graphqlUrl: string;
  workspace: string;
  /** A folder that is emptied between jobs. */
  temp: string;
}

export function readRunFacts(environment: NodeJS.ProcessEnv, cwd: string): RunFacts {
  const value = (name: string) => environment[name] ?? '';
  const server = value('GITHUB_SERVER_URL') || 'https://github.com';
  const repository = value('GITHUB_REPOSITORY');
  const runId = value('GITHUB_RUN_ID');
  const workspace = value('GITHUB_WORKSPACE') || cwd;
  return {
    repository,
    sha: value('GITHUB_SHA'),
    ref: value('GITHUB_REF'),
    actor: value('GITHUB_ACTOR'),
    workflow: value('GITHUB_WORKFLOW'),
    job: value('GITHUB_JOB'),
    runId,
    runAttempt: value('GITHUB_RUN_ATTEMPT') || '1',
    runUrl: repository === '' || runId === '' ? '' : `${server}/${repository}/actions/runs/${runId}`,
    eventName: value('GITHUB_EVENT_NAME'),
    eventPath: value('GITHUB_EVENT_PATH'),
    apiUrl: value('GITHUB_API_URL') || 'https://api.github.com',
    graphqlUrl: value('GITHUB_GRAPHQL_URL') || 'https://api.github.com/graphql',
    workspace,
    temp: value('RUNNER_TEMP') || join(workspace, '.deploy-actions'),
  };
}

/** Where the job asks for an OIDC token, and with what; undefined where it may not (`permissions: id-token: write`). */
export function oidcRequest(environment: NodeJS.ProcessEnv): { url: URL; token: string } | undefined {
  const address = environment['ACTIONS_ID_TOKEN_REQUEST_URL'] ?? '';
  const token = environment['ACTIONS_ID_TOKEN_REQUEST_TOKEN'] ?? '';
  return token === '' || !URL.canParse(address) ? undefined : { url: new URL(address), token };
}
