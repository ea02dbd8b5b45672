import type { Context } from '@deploy-actions/action-kit';
import { DeployError } from '@deploy-actions/core';
import {
  createClient,
  createKubernetesStore,
  type KubernetesClient,
  loadKubeconfig,
  stateName,
} from '@deploy-actions/kubernetes';
import { createKubernetes, type KubernetesRelease } from '@deploy-actions/platforms';
import { isHolderAlive, type Platform } from '@deploy-actions/release-engine';
import { createReplicaWeight, createServiceSelector } from '@deploy-actions/routers';
import { type KubernetesTargetInputs, textOfImage } from './kubernetes-inputs.ts';
import { type OpenInputs, runIdentity, type Target } from './open.ts';
import type { PodMetrics } from './pod-endpoint.ts';
import { podMetricsOf } from './pod-metrics.ts';
import { openState } from './state.ts';

/** A kubeconfig is given as a path or as its text, which has more than one word. */
function kubeconfigOf(text: string | undefined): { content?: string; file?: string } {
  if (text === undefined) return {};
  return /[\n{]/.test(text) ? { content: text } : { file: text };
}

async function connect(
  inputs: Pick<Partial<KubernetesTargetInputs>, 'kubeconfig' | 'context' | 'namespace'>,
  context: Context,
): Promise<KubernetesClient> {
  const { log } = context;
  const connection = await loadKubeconfig({
    ...kubeconfigOf(inputs.kubeconfig),
    context: inputs.context,
    environment: context.environment,
  });
  for (const secret of connection.secrets) context.mask(secret);
  const namespace = inputs.namespace ?? connection.namespace ?? 'default';
  log.debug(`Cluster ${connection.server}, context ${connection.context}, namespace ${namespace}.`);
  return createClient({ connection, namespace, log });
}

/** How the pods behind a Service are asked for their metrics. */
export async function openPodMetrics(
  inputs: Partial<KubernetesTargetInputs> & { service: string },
  context: Context,
): Promise<PodMetrics> {
  const client = await connect(inputs, context);
  return podMetricsOf(client, { service: inputs.service, slotLabel: inputs['slot-label'] });
}

/**
 * Opens a Service and its Deployments. State is kept in the namespace, by application and environment, or by the Service
 * where no environment is named. Asks the cluster nothing yet.
 */
export async function openKubernetes(inputs: OpenInputs, context: Context): Promise<Target> {
  const { service, app, environment } = inputs;
  const { log } = context;
  if (service === undefined) {
    throw new DeployError('invalid_input', '`service` is missing: platform kubernetes needs it.', {
      remedy: 'Name the Service that has the traffic.',
    });
  }
  const client = await connect(inputs, context);
  const { namespace } = client;
  const slotLabel = inputs['slot-label'];
  const scope =
    inputs.image === undefined
      ? undefined
      : { images: [textOfImage(inputs.image)], container: inputs.container ?? null };
  const platform: Platform<KubernetesRelease> = createKubernetes({
    client,
    service,
    slotLabel,
    scope,
    shared: inputs.router === 'replica-weight',
    checkPath: inputs['readiness-path'],
    log,
  });
  const url = inputs['verify-url']?.href;
  const router =
    inputs.router === 'replica-weight'
      ? createReplicaWeight({ client, service, slotLabel, url, log })
      : createServiceSelector({ client, service, slotLabel, url, log });
  const state =
    inputs.state === 'platform'
      ? {
          keptIn: 'platform' as const,
          store: createKubernetesStore(
            client,
            environment === '' ? stateName('service', service) : stateName(app, environment),
          ),
          isAlive: isHolderAlive,
        }
      : openState(inputs, context);
  return {
    label: environment === '' ? `Service ${service} in namespace ${namespace}` : `${app} in ${environment}`,
    platform,
    router,
    ...state,
    run: runIdentity(context),
    stateDirectory: undefined,
    ownMetrics: podMetricsOf(client, { service, slotLabel }),
  };
}
