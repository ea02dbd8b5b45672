import type { Context } from '@deploy-actions/action-kit';
import { deadlineIn, DeployError } from '@deploy-actions/core';
import {
  createKubernetesStore,
  type KubernetesClient,
  stateName,
  storeRights,
} from '@deploy-actions/kubernetes';
import { createAdoption, createKubernetes, type KubernetesRelease } from '@deploy-actions/platforms';
import { describeTraffic, isHolderAlive, type Platform, type Router } from '@deploy-actions/release-engine';
import { createReplicaWeight, createServiceSelector, serviceSelectorRights } from '@deploy-actions/routers';
import { connectKubernetes } from './connect-kubernetes.ts';
import { type KubernetesTargetInputs, textOfImage } from './kubernetes-inputs.ts';
import { type OpenInputs, runIdentity, type Target } from './open.ts';
import type { PodMetrics } from './pod-endpoint.ts';
import { podMetricsOf } from './pod-metrics.ts';
import { openState, type State, type StateInputs } from './state.ts';

/**
 * In the namespace, by application and environment, or by what is released to where no environment is named: `service`
 * and the name of the Service, `deployment` and that of the Deployment.
 */
export function stateIn(
  client: KubernetesClient,
  { app, environment }: Pick<StateInputs, 'app' | 'environment'>,
  what: { kind: string; name: string },
): State {
  const name = environment === '' ? stateName(what.kind, what.name) : stateName(app, environment);
  return { keptIn: 'platform', store: createKubernetesStore(client, name), isAlive: isHolderAlive };
}

const serviceOf = ({ service, app }: StateInputs) => ({ kind: 'service', name: service?.[0] ?? app });

/** The state alone, for those who look at releases. */
export async function openClusterState(inputs: StateInputs, context: Context): Promise<State> {
  return stateIn(await connectKubernetes(inputs, context), inputs, serviceOf(inputs));
}

/** How the pods behind a Service are asked for their metrics. */
export async function openPodMetrics(
  inputs: Omit<Partial<KubernetesTargetInputs>, 'service'> & { service: string },
  context: Context,
): Promise<PodMetrics> {
  const client = await connectKubernetes(inputs, context);
  return podMetricsOf(client, { service: inputs.service, slotLabel: inputs['slot-label'] });
}

/** Two colours out of one Deployment: made, verified at the data plane, and only then is the old one stopped. */
function adoptionBy(
  client: KubernetesClient,
  router: Router,
  inputs: OpenInputs,
  { log }: Context,
): NonNullable<Target['adoption']> {
  const [service = ''] = inputs.service ?? [];
  const adoption = createAdoption({ client, service, slotLabel: inputs['slot-label'], log });
  return {
    plan: () => adoption.plan(),
    async run(fence, timeouts, signal) {
      if ((await adoption.plan()).length === 0) return;
      await adoption.move(fence, deadlineIn(timeouts.ready), signal);
      const traffic = await router.read();
      const observed = await router.verify(traffic, deadlineIn(timeouts.verify), signal);
      if (!observed.matches) {
        throw new DeployError(
          'router_unverified',
          `Service ${service} was told ${describeTraffic(traffic.targets)}, but the data plane did not follow: ${observed.detail}`,
          { remedy: 'The old Deployment still runs. Run this again: it goes on from here.' },
        );
      }
      await router.drain('', deadlineIn(timeouts.drain), signal);
      await adoption.stop(fence);
    },
  };
}

/** Opens a Service and its Deployments. Asks the cluster nothing yet. */
export async function openKubernetes(inputs: OpenInputs, context: Context): Promise<Target> {
  const { service: services, app, environment } = inputs;
  const { log } = context;
  const [service] = services ?? [];
  if (services === undefined || service === undefined) {
    throw new DeployError('invalid_input', '`service` is missing: platform kubernetes needs it.', {
      remedy: 'Name the Service that has the traffic (`service`, or `kubernetes.service` in deploy.yml).',
    });
  }
  const client = await connectKubernetes(inputs, context);
  const slotLabel = inputs['slot-label'];
  const scope =
    inputs.image === undefined
      ? undefined
      : { images: inputs.image.map(textOfImage), container: inputs.container ?? null };
  const state =
    inputs.state === 'platform'
      ? stateIn(client, inputs, serviceOf(inputs))
      : await openState(inputs, context);
  const lease = state.store.location;
  const platform: Platform<KubernetesRelease> = createKubernetes({
    client,
    service: services,
    lease,
    slotLabel,
    scope,
    shared: inputs.router === 'replica-weight',
    followers: { workers: inputs.workers ?? [], schedulers: inputs.scheduler ?? [] },
    ...(inputs['worker-drain'] === undefined ? {} : { workerDrain: inputs['worker-drain'] }),
    checkPath: inputs['readiness-path'],
    rights: [...serviceSelectorRights, ...(inputs.state === 'platform' ? storeRights : [])],
    log,
  });
  const url = inputs['verify-url']?.href;
  const router =
    inputs.router === 'replica-weight'
      ? createReplicaWeight({ client, service, slotLabel, url, log })
      : createServiceSelector({ client, service: services, lease, slotLabel, url, log });
  const named = `${services.length === 1 ? 'Service' : 'Services'} ${services.join(', ')}`;
  return {
    label: environment === '' ? `${named} in namespace ${client.namespace}` : `${app} in ${environment}`,
    platform,
    router,
    ...(inputs.adopt === true ? { adoption: adoptionBy(client, router, inputs, context) } : {}),
    ...state,
    run: runIdentity(context),
    stateDirectory: undefined,
    ownMetrics: podMetricsOf(client, { service, slotLabel }),
  };
}
