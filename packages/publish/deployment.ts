import { randomUUID } from 'node:crypto';
import type { Context, DeploymentProgress, Result } from '@deploy-actions/action-kit';
import type { DeploymentHandle, DeploymentState, StatusReport } from '@deploy-actions/github';
import type { Reporting } from './reporting.ts';

export interface DeploymentPlan {
  environment: string;
  version: string;
  strategy: string;
  /**
   * The commit of the version. `run`: the one that the run is for, which is the head of a pull request. `earlier`: that of its earlier deployment to the
   * environment, for a version that is gone back to. Without one there is no deployment: GitHub would show another
   * commit than the one that serves.
   */
  commit: 'run' | 'earlier' | { sha: string };
  /** Where the environment is served. */
  environmentUrl?: URL | undefined;
  /** Kept with the deployment, beside version, strategy and run: digests, platform, application. Never secrets. */
  facts?: Record<string, unknown>;
  /** True for environments that end with their pull request; default false. */
  transient?: boolean;
  /** Default: whether the environment is called `production`, as GitHub decides it. */
  production?: boolean;
}

export interface DeploymentEnding {
  result: Result;
  /** One or two sentences. */
  message: string;
  /** The version that has all or most of the traffic now, where that is known. */
  serving: string | undefined;
}

export interface DeploymentTracker extends DeploymentProgress {
  /** Says how it ended, and waits a few seconds at most until GitHub knows. Once; later calls do nothing. */
  end(ending: DeploymentEnding): Promise<void>;
}

/** Milliseconds after the end in which phases that GitHub was not told of yet are still told. */
const backlog = 1_000;

/** What the main step hands to the post step. */
const memory = { id: 'deployment-id', ending: 'deployment-ending', ended: 'deployment-ended' };

/**
 * Makes a deployment on GitHub and says each phase of it, beside the work: nothing here throws or is waited for before
 * `end`. What the environment's page says is what serves:
 *
 * - A version that serves ends with `success`, and what served before becomes inactive.
 * - A version that does not ends with `failure` or, when the run was cancelled or failed itself, with `error`.
 * - When it had traffic and the earlier version has it again, that one gets a deployment of its own, at its own commit:
 *   the latest deployment of an environment is what people and programs take for what serves.
 */
export function trackDeployment(
  reporting: Reporting,
  context: Context,
  plan: DeploymentPlan,
): DeploymentTracker {
  const handle = begin(reporting, context, plan);
  const tracker = follow(reporting, context, plan, handle, 'Waiting for the environment');
  void handle.then(async (made) => {
    const id = await made?.created;
    if (id !== undefined) context.remember(memory.id, String(id));
  });
  return tracker;
}

/**
 * The deployment of this step's main part, for its post part to end when the main part could not: as the main part knew
 * that it ended, where GitHub did not hear of it, else as it is told then. Undefined when there is none, or when it has
 * ended.
 */
export function resumeDeployment(
  reporting: Reporting,
  context: Context,
  plan: DeploymentPlan,
): DeploymentTracker | undefined {
  const id = Number(context.recall(memory.id));
  if (!(id > 0) || context.recall(memory.ended) !== '') return undefined;
  const known = context.recall(memory.ending);
  // The main part wrote it.
  const ending = known === '' ? undefined : (JSON.parse(known) as DeploymentEnding);
  const tracker = follow(reporting, context, plan, Promise.resolve(reporting.reports.deployment({ id })));
  return { ...tracker, end: (found) => tracker.end(ending ?? found) };
}

const isProduction = ({ environment, production }: DeploymentPlan) =>
  production ?? environment === 'production';

/** Undefined when the commit of the version is not known. */
async function begin(
  reporting: Reporting,
  context: Context,
  plan: DeploymentPlan,
): Promise<DeploymentHandle | undefined> {
  const { reports, runKey, github } = reporting;
  if (github === undefined) return undefined;
  const { environment, version, strategy, commit, transient = false, facts = {} } = plan;
  const sha =
    commit === 'run'
      ? reporting.headSha
      : commit === 'earlier'
        ? await reports.deployedCommit(environment, version)
        : commit.sha;
  if (sha === undefined || sha === '') {
    context.log.info(
      `GitHub gets no deployment of ${version}: the commit that it was released from is not known there.`,
    );
    return undefined;
  }
  const handle = reports.deployment({
    environment,
    sha,
    description: `${version} by ${strategy}`,
    transient,
    production: isProduction(plan),
    // Two steps of one job may deploy to the same environment.
    key: `${runKey}/${environment}/${randomUUID()}`,
    facts: { ...facts, version, strategy, run: context.facts.runUrl, actor: context.facts.actor },
  });
  return handle;
}

function follow(
  reporting: Reporting,
  context: Context,
  plan: DeploymentPlan,
  handle: Promise<DeploymentHandle | undefined>,
  queued?: string,
): DeploymentTracker {
  const { version } = plan;
  const statusOf = (state: DeploymentState, description: string): StatusReport => ({
    state,
    description,
    ...(plan.environmentUrl === undefined ? {} : { environmentUrl: plan.environmentUrl.href }),
    ...(reporting.logUrl === '' ? {} : { logUrl: reporting.logUrl }),
  });
  let last = '';
  let endedAt: number | undefined;
  /** Answers whether GitHub has the status before. */
  let queue: Promise<boolean> = handle.then(() => false);
  const say = (state: DeploymentState, description: string) => {
    queue = queue.then(async () => {
      // How it ended is worth more than how it went.
      const late = endedAt !== undefined && performance.now() - endedAt > backlog;
      if (late && (state === 'queued' || state === 'in_progress')) return false;
      const made = await handle;
      return made !== undefined && (await made.status(statusOf(state, description)));
    });
  };
  if (queued !== undefined) say('queued', queued);
  return {
    phase(description) {
      if (endedAt !== undefined || description === last) return;
      say('in_progress', description);
      last = description;
    },
    async end({ result, message: words, serving }) {
      if (endedAt !== undefined || reporting.github === undefined) return;
      endedAt = performance.now();
      const state = stateOf(result);
      const message = context.redact(words);
      context.remember(memory.ending, JSON.stringify({ result, message, serving }));
      say(state, message);
      const all = queue.then(async (written) => {
        const made = await handle;
        if (written) context.remember(memory.ended, state);
        else if (made !== undefined) return;
        const id = await made?.created;
        if (state === 'success' && serving === version) await retire(reporting, plan, version, id);
        else if (result === 'rolled-back' && serving !== undefined && serving !== version) {
          await goneBack(reporting, context, plan, serving, message);
        }
      });
      await reporting.settle('The deployment', all);
    },
  };
}

function stateOf(result: Result): DeploymentState {
  switch (result) {
    case 'succeeded':
    case 'unchanged':
    case 'planned':
      return 'success';
    case 'refused':
    case 'failed':
    case 'rolled-back':
    case 'inconclusive':
      return 'failure';
    case 'superseded':
      return 'inactive';
    case 'cancelled':
    case 'error':
      return 'error';
  }
}

/** What served before does not any more. Elsewhere than in production GitHub says so itself, with `success`. */
async function retire(
  { reports }: Reporting,
  plan: DeploymentPlan,
  serving: string,
  id: number | undefined,
): Promise<void> {
  if (id !== undefined && !isProduction(plan)) return;
  const { environment } = plan;
  await reports.retireDeployments({ environment, except: id, description: `${serving} serves now` });
}

/** Records that an earlier version serves again. */
async function goneBack(
  reporting: Reporting,
  context: Context,
  plan: DeploymentPlan,
  serving: string,
  message: string,
): Promise<void> {
  const { logUrl } = reporting;
  const again = {
    ...plan,
    version: serving,
    strategy: 'rollback',
    commit: 'earlier' as const,
    facts: { 'back-from': plan.version },
  };
  const made = await begin(reporting, context, again);
  if (made === undefined) return;
  await made.status({
    state: 'success',
    description: `${serving} serves again. ${message}`,
    ...(plan.environmentUrl === undefined ? {} : { environmentUrl: plan.environmentUrl.href }),
    ...(logUrl === '' ? {} : { logUrl }),
  });
  await retire(reporting, plan, serving, await made.created);
}
