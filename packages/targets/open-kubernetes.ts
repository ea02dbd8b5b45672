import type { Context } from '@deploy-actions/action-kit';
import { DeployError } from '@deploy-actions/core';
import { createKubernetesStore, stateName } from '@deploy-actions/kubernetes';
import { createKubernetes, type KubernetesRelease } from '@deploy-actions/platforms';
import { isHolderAlive, type Platform } from '@deploy-actions/release-engine';
import { createServiceSelector } from '@deploy-actions/routers';
import { connectKubernetes } from './connect-kubernetes.ts';
import { textOfImage } from './kubernetes-inputs.ts';
import { type OpenInputs, runIdentity, type Target } from './open.ts';
import { openState } from './state.ts';

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
  const client = await connectKubernetes(inputs, context);
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
    checkPath: inputs['readiness-path'],
    log,
  });
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
    router: createServiceSelector({ client, service, slotLabel, url: inputs['verify-url']?.href, log }),
    ...state,
    run: runIdentity(context),
    stateDirectory: undefined,
    ownMetrics: undefined,
  };
}
