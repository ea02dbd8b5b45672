import type { Context, DeploymentProgress, OutputSpecs, Outcome } from '@deploy-actions/action-kit';
import { DeployError, messageOf } from '@deploy-actions/core';
import {
  type DeploymentPlan,
  openReporting,
  resumeDeployment,
  trackDeployment,
} from '@deploy-actions/publish';
import type { DeliveryEvent } from '@deploy-actions/release-engine';
import type { DeliveryInputs, GitHubInputs, LedgerInputs, TargetInputs } from './inputs.ts';

/** What a deployment on GitHub says of the inputs of an action. */
export type TrackedInputs = Pick<TargetInputs, 'app' | 'environment' | 'platform'> & {
  /** Empty where nothing but the readiness of pods decides who gets the traffic. */
  router: string;
} & Pick<LedgerInputs, 'images' | 'notes'> &
  Pick<DeliveryInputs, 'environment-url' | 'probe-url'> &
  GitHubInputs;

/**
 * A release as GitHub is told of it: what the ledger keeps of it. `known`: what the ledger has of a version that is gone
 * back to, its commit above all.
 */
export function deploymentPlan(
  inputs: TrackedInputs,
  release: {
    version: string;
    strategy: string;
    known?: { sha: string; images: Record<string, string> } | undefined;
  },
): DeploymentPlan {
  const { app, environment, platform, router, images, notes } = inputs;
  const { version, strategy, known } = release;
  return {
    environment,
    version,
    strategy,
    commit: known === undefined ? 'run' : known.sha === '' ? 'earlier' : { sha: known.sha },
    environmentUrl: environmentUrlOf(inputs),
    facts: { app, platform, router, images: images ?? known?.images ?? {}, notes: notes ?? {} },
  };
}

/** Where people see the environment: as the inputs say, else the site that is probed, when others than this host see it. */
export function environmentUrlOf(
  inputs: Pick<DeliveryInputs, 'environment-url' | 'probe-url'>,
): URL | undefined {
  if (inputs['environment-url'] !== undefined) return inputs['environment-url'];
  const probed = inputs['probe-url'];
  return probed === undefined || isLoopback(probed.hostname) ? undefined : new URL(probed.origin);
}

function isLoopback(host: string): boolean {
  return /^(?:localhost|.*\.localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1?\])$/.test(host);
}

/** What happens in a release, in the words of a status. Undefined for what is no news. */
export function describeEvent({ what, message }: DeliveryEvent, version: string): string | undefined {
  if (what === 'traffic') return `Traffic: ${message}`;
  if (what !== 'phase') return undefined;
  switch (message) {
    case 'starting':
      return `Starting ${version} and waiting until it is ready`;
    case 'holding':
      return `Watching ${version}`;
    case 'draining':
      return 'Letting requests to the old version finish';
    case 'retiring':
      return 'Stopping the old version';
    case 'reverting':
      return 'Giving the traffic back to the old version';
    case 'cleaning':
      return `Stopping ${version}`;
    default:
      return undefined;
  }
}

/**
 * Does `work` and has a deployment on GitHub follow it, one that outlives no error of `work`. As a phase of a pipeline it
 * only says how far it is: the pipeline has made the deployment, and ends it.
 */
export async function tracked<O extends OutputSpecs & { version: unknown }>(
  context: Context,
  inputs: TrackedInputs,
  plan: DeploymentPlan,
  work: (progress: DeploymentProgress) => Promise<Outcome<O>>,
): Promise<Outcome<O>> {
  if (context.deployment !== undefined) return work(context.deployment);
  // GitHub tracks environments; without a name there is none.
  if (inputs.environment === '') return work({ phase: () => {} });
  const reporting = openReporting(context, inputs['github-token']);
  const tracker = trackDeployment(reporting, context, plan);
  try {
    const outcome = await work(tracker);
    const { version } = outcome.outputs;
    await tracker.end({ ...outcome, serving: typeof version === 'string' ? version : undefined });
    return outcome;
  } catch (thrown) {
    const code = thrown instanceof DeployError ? thrown.reasonCode : undefined;
    const result = code === undefined ? 'error' : code === 'cancelled' ? 'cancelled' : 'failed';
    await tracker.end({ result, message: messageOf(thrown), serving: undefined });
    throw thrown;
  }
}

/** What the post step found. */
export interface Settled {
  result: 'succeeded' | 'cancelled';
  message: string;
  serving: string | undefined;
}

/** Ends the deployment of `version` that the main step left open, when there is one, by what `settle` found. */
export async function trackedAfter(
  context: Context,
  inputs: TrackedInputs,
  version: string,
  settle: () => Promise<Settled>,
): Promise<void> {
  const tracker =
    context.deployment === undefined && inputs.environment !== ''
      ? resumeDeployment(
          openReporting(context, inputs['github-token']),
          context,
          deploymentPlan(inputs, { version, strategy: '' }),
        )
      : undefined;
  try {
    const settled = await settle();
    await tracker?.end(settled);
  } catch (thrown) {
    await tracker?.end({ result: 'error', message: messageOf(thrown), serving: undefined });
    throw thrown;
  }
}
