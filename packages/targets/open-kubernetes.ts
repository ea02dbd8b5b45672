import type { Context } from '@deploy-actions/action-kit';
import { DeployError } from '@deploy-actions/core';
import { createKubernetesStore, type KubernetesClient, stateName } from '@deploy-actions/kubernetes';
import { createKubernetes, type KubernetesRelease } from '@deploy-actions/platforms';
import { isHolderAlive, type Platform } from '@deploy-actions/release-engine';
import { createServiceSelector } from '@deploy-actions/routers';
import { connectKubernetes } from './connect-kubernetes.ts';
import { textOfImage } from './kubernetes-inputs.ts';
import { type OpenInputs, runIdentity, type Target } from './open.ts';
import { openState, type State, type StateInputs } from './state.ts';

/** In the namespace, by application and environment, or by the Service where no environment is named. */
function stateIn(client: KubernetesClient, { app, environment, service }: StateInputs): State {
  const name = environment === '' ? stateName('service', service ?? app) : stateName(app, environment);
  return { keptIn: 'platform', store: createKubernetesStore(client, name), isAlive: isHolderAlive };
}

/** The state alone, for those who look at releases. */
export async function openClusterState(inputs: StateInputs, context: Context): Promise<State> {
  return stateIn(await connectKubernetes(inputs, context), inputs);
}

/** Opens a Service and its Deployments. Asks the cluster nothing yet. */
export async function openKubernetes(inputs: OpenInputs, context: Context): Promise<Target> {
  const { service, app, environment } = inputs;
  const { log } = context;
  if (service === undefined) {
    throw new DeployError('invalid_input', '`service` is missing: platform kubernetes needs it.', {
      remedy: 'Name the Service that has the traffic (`service`, or `kubernetes.service` in deploy.yml).',
    });
  }
  const client = await connectKubernetes(inputs, context);
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
  const state = inputs.state === 'platform' ? stateIn(client, inputs) : await openState(inputs, context);
  return {
    label:
      environment === '' ? `Service ${service} in namespace ${client.namespace}` : `${app} in ${environment}`,
    platform,
    router: createServiceSelector({ client, service, slotLabel, url: inputs['verify-url']?.href, log }),
    ...state,
    run: runIdentity(context),
    stateDirectory: undefined,
    ownMetrics: undefined,
  };
}
