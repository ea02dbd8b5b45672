import { isRecord } from '@deploy-actions/core';
import { createOnce, type GitHub, type Id } from './client.ts';

export interface DeploymentReport {
  environment: string;
  /** The commit that is deployed. */
  sha: string;
  description: string;
  /** True for environments that end with their pull request. */
  transient: boolean;
  production: boolean;
  /** Tells one run's deployment from another's: the id and attempt of the workflow run, and the environment. */
  key: string;
  /** Kept with the deployment for whoever reads it: version, digests, strategy. Never secrets. */
  facts: Record<string, unknown>;
}

export type DeploymentState = 'queued' | 'in_progress' | 'success' | 'failure' | 'error' | 'inactive';

export interface StatusReport {
  state: DeploymentState;
  /** The phase, in words. */
  description: string;
  /** Where the environment is served; linked in the pull request. */
  environmentUrl?: string;
  /** The log of this phase. */
  logUrl?: string;
}

const permission = 'deployments: write';
const route = '/repos/{owner}/{repo}/deployments';

/**
 * Creates a deployment and answers its id. It deploys what it says: nothing is merged into it, and the checks of the
 * commit are for whoever decided to deploy. Throws GitHubError.
 */
export async function createDeployment(github: GitHub, report: DeploymentReport): Promise<number> {
  const { environment, sha, description, transient, production, key, facts } = report;
  const deployment = await createOnce<{ id: Id }>(
    github,
    async () => {
      const { data } = await github.call(
        `POST ${route}`,
        {
          ref: sha,
          environment,
          description: description.slice(0, 140),
          auto_merge: false,
          required_contexts: [],
          transient_environment: transient,
          production_environment: production,
          payload: { ...facts, key },
        },
        { permission },
      );
      if ('id' in data) return data;
      throw new Error(`GitHub made no deployment: ${data.message ?? ''}`);
    },
    async () => {
      const { data } = await github.call(`GET ${route}`, { environment, sha, per_page: 100 }, { permission });
      return data.find(({ payload }) => typeof payload === 'object' && payload['key'] === key);
    },
  );
  return Number(deployment.id);
}

/**
 * Says how far a deployment is. `success` makes the earlier deployments of the environment inactive, where GitHub does
 * so: not those of production. Throws GitHubError.
 */
export async function writeDeploymentStatus(
  github: GitHub,
  deployment_id: number,
  report: StatusReport,
): Promise<void> {
  const { state, environmentUrl = '', logUrl = '' } = report;
  const description = report.description.slice(0, 140);
  const status = {
    state,
    description,
    ...(environmentUrl === '' ? {} : { environment_url: environmentUrl }),
    ...(logUrl === '' ? {} : { log_url: logUrl }),
  };
  await createOnce<{ id: Id }>(
    github,
    async () =>
      (
        await github.call(
          `POST ${route}/{deployment_id}/statuses`,
          { deployment_id, ...status, auto_inactive: true },
          { permission },
        )
      ).data,
    async () => {
      const { data } = await github.call(
        `GET ${route}/{deployment_id}/statuses`,
        { deployment_id, per_page: 1 },
        { permission },
      );
      return data.find((one) => one.state === state && one.description === description);
    },
  );
}

/** How many of the latest deployments of an environment are looked at. */
const recent = 100;

async function recentOf(github: GitHub, environment: string) {
  const { data } = await github.call(`GET ${route}`, { environment, per_page: recent }, { permission });
  return data.map(({ id, sha, payload: given }) => {
    const payload: unknown = typeof given === 'string' ? parsed(given) : given;
    return { id: Number(id), sha, payload: isRecord(payload) ? payload : {} };
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The commit that a version was deployed to the environment from, as the latest deployment of it says; undefined when
 * none of the recent ones does. Throws GitHubError.
 */
export async function findDeployedCommit(
  github: GitHub,
  environment: string,
  version: string,
): Promise<string | undefined> {
  const deployments = await recentOf(github, environment);
  return deployments.find(({ payload }) => payload['version'] === version)?.sha;
}

/** Of earlier deployments, at most so many are asked whether they still count as serving. */
const asked = 10;

/**
 * Makes the earlier deployments of an environment inactive that still count as serving, where `success` of a later one
 * does not: in production, and when none is left. `except` is the deployment that serves. Only those that this module
 * made. Throws GitHubError.
 */
export async function retireDeployments(
  github: GitHub,
  {
    environment,
    except,
    description,
  }: { environment: string; except: number | undefined; description: string },
): Promise<void> {
  const own = (await recentOf(github, environment)).filter(
    ({ id, payload }) => id !== except && (except === undefined || id < except) && 'key' in payload,
  );
  for (const { id } of own.slice(0, asked)) {
    const { data } = await github.call(
      `GET ${route}/{deployment_id}/statuses`,
      { deployment_id: id, per_page: 1 },
      { permission },
    );
    const state = data[0]?.state;
    // Those before it were made inactive together with it or earlier.
    if (state === 'inactive') return;
    if (state === 'success') await writeDeploymentStatus(github, id, { state: 'inactive', description });
  }
}
