// Deployments, their statuses, and the environments that come to be with them.

import type { Deployment } from '../repository.ts';
import {
  type Answer,
  api,
  base,
  bytes,
  invalid,
  need,
  notFound,
  paged,
  Refused,
  type Request,
  type Routes,
  text,
} from './shared.ts';

const deploymentOf = (request: Request): Deployment => {
  const id = Number(request.parameters['deployment_id']);
  const found = request.repository.deployments.find((deployment) => deployment.id === id);
  if (found === undefined) throw notFound();
  return found;
};

function deploymentBody(request: Request, { statuses: _statuses, ...deployment }: Deployment): object {
  const url = `${api(request)}/deployments/${deployment.id}`;
  return {
    ...deployment,
    url,
    statuses_url: `${url}/statuses`,
    updated_at: deployment.created_at,
    original_environment: deployment.environment,
  };
}

const statusBody = (request: Request, deployment: Deployment, status: Deployment['statuses'][number]) => ({
  ...status,
  url: `${api(request)}/deployments/${deployment.id}/statuses/${status.id}`,
  deployment_url: `${api(request)}/deployments/${deployment.id}`,
  target_url: status.log_url,
  updated_at: status.created_at,
});

function createDeployment(request: Request): Answer {
  const { repository, body, token, now } = request;
  const ref = text(body['ref']);
  const sha = repository.resolve(ref);
  if (sha === undefined) throw new Refused(422, `No ref found for: ${ref}`);
  if (bytes(text(body['description'])) > 1_024) throw invalid(request, 'description is too long');
  // Unless the caller names the contexts, every check of the commit has to have passed.
  const contexts = body['required_contexts'] as string[] | undefined;
  const unfinished = repository.checkRuns.filter(
    ({ head_sha, name, conclusion }) =>
      head_sha === sha &&
      (contexts === undefined || contexts.includes(name)) &&
      !['success', 'neutral', 'skipped'].includes(conclusion ?? ''),
  );
  if (unfinished.length > 0) throw new Refused(409, `Conflict: Commit status checks failed for ${ref}.`);
  const environment = text(body['environment']) || 'production';
  const deployment: Deployment = {
    id: repository.nextId(),
    sha,
    ref,
    task: text(body['task']) || 'deploy',
    environment,
    description: typeof body['description'] === 'string' ? body['description'] : null,
    payload: body['payload'] ?? {},
    transient_environment: body['transient_environment'] === true,
    production_environment:
      typeof body['production_environment'] === 'boolean'
        ? body['production_environment']
        : environment === 'production',
    creator: token.identity,
    created_at: now,
    statuses: [],
  };
  repository.deployments.push(deployment);
  return { status: 201, body: deploymentBody(request, deployment) };
}

function listDeployments(request: Request): Answer {
  const { repository, query } = request;
  const wanted = (['sha', 'ref', 'task', 'environment'] as const).filter(
    (name) => query[name] !== undefined && query[name] !== 'none',
  );
  const found = repository.deployments.filter((deployment) =>
    wanted.every((name) => deployment[name] === query[name]),
  );
  return paged(
    request,
    found.toReversed().map((deployment) => deploymentBody(request, deployment)),
  );
}

function createDeploymentStatus(request: Request): Answer {
  const { repository, body, token, now } = request;
  const deployment = deploymentOf(request);
  const description = text(body['description']);
  if (description.length > 140) throw invalid(request, 'description is too long (maximum is 140 characters)');
  for (const name of ['environment_url', 'log_url', 'target_url']) {
    const url = text(body[name]);
    if (url !== '' && !/^https?:\/\//.test(url)) throw invalid(request, `${name} must use http(s) scheme`);
  }
  const make = (state: string, of: Deployment, more: Record<string, unknown> = {}) => ({
    id: repository.nextId(),
    state,
    description: text(more['description']),
    environment: text(more['environment']) || of.environment,
    environment_url: text(more['environment_url']),
    log_url: text(more['log_url']) || text(more['target_url']),
    creator: token.identity,
    created_at: now,
  });
  const state = text(body['state']);
  const status = make(state, deployment, body);
  deployment.statuses.push(status);
  if (state === 'success' && body['auto_inactive'] !== false) {
    for (const other of repository.deployments) {
      const superseded =
        other.id < deployment.id &&
        other.environment === deployment.environment &&
        !other.transient_environment &&
        !other.production_environment &&
        other.statuses.at(-1)?.state === 'success';
      if (superseded) other.statuses.push(make('inactive', other));
    }
  }
  return { status: 201, body: statusBody(request, deployment, status) };
}

export const deploymentRoutes: Routes = {
  [`GET ${base}/deployments`]: { need: need('read', 'deployments'), handle: listDeployments },
  [`POST ${base}/deployments`]: { need: need('write', 'deployments'), handle: createDeployment },
  [`GET ${base}/deployments/{deployment_id}`]: {
    need: need('read', 'deployments'),
    handle: (request) => ({ status: 200, body: deploymentBody(request, deploymentOf(request)) }),
  },
  [`GET ${base}/deployments/{deployment_id}/statuses`]: {
    need: need('read', 'deployments'),
    handle(request) {
      const deployment = deploymentOf(request);
      return paged(
        request,
        deployment.statuses.toReversed().map((status) => statusBody(request, deployment, status)),
      );
    },
  },
  [`POST ${base}/deployments/{deployment_id}/statuses`]: {
    need: need('write', 'deployments'),
    handle: createDeploymentStatus,
  },
  [`GET ${base}/environments/{environment_name}`]: {
    need: need('read', 'actions'),
    handle(request) {
      const name = request.parameters['environment_name'] ?? '';
      // An environment comes to be with its first deployment.
      if (!request.repository.deployments.some(({ environment }) => environment === name)) throw notFound();
      return { status: 200, body: { id: 1, name, protection_rules: [] } };
    },
  },
};
