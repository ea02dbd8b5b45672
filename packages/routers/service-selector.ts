import { cancelled, type Deadline, DeployError, type Log, sleep } from '@deploy-actions/core';
import {
  type Colours,
  fenceAnnotation,
  findColours,
  hasLabels,
  type KubernetesClient,
  otherServicesOn,
  type Pod,
  resources,
  type Right,
  selectorQuery,
  type Service,
} from '@deploy-actions/kubernetes';
import type { Fence, Observed, Router, Target, Traffic } from '@deploy-actions/release-engine';
import { deposed, fenceOf } from './object-fence.ts';
import { urlProblem } from './url-probe.ts';

export interface ServiceSelectorOptions {
  client: KubernetesClient;
  service: string;
  /** The label that is switched, where the selector has several that could be. */
  slotLabel?: string | undefined;
  /** Asked from here to see that the data plane serves at all; which version answers is seen in the EndpointSlices. */
  url?: string | undefined;
  /** Milliseconds that nodes may take to follow an EndpointSlice; default 2 s, for kube-proxy writes its rules once a second. */
  margin?: number;
  log: Log;
}

/** What the router takes. */
export const serviceSelectorRights: readonly Right[] = [
  ...(['get', 'list', 'patch'] as const).map((verb) => ({ verb, group: '', resource: 'services' })),
  { verb: 'list', group: 'apps', resource: 'deployments' },
  { verb: 'list', group: '', resource: 'pods' },
  { verb: 'list', group: 'discovery.k8s.io', resource: 'endpointslices' },
];

const verifyPause = 50;

/** The Service as it was read or written last, and what was found by it. */
interface Known {
  service: Service;
  label: string;
  slots: string[];
}

/**
 * Traffic by the selector of a Service: all of it to one colour, in one write that rests on the resourceVersion that
 * was read. The token of the newest lease holder is kept on the Service itself, so the API server refuses whoever was
 * deposed. kube-proxy sends new connections to the new pods; connections that are open stay where they are.
 */
export function createServiceSelector(options: ServiceSelectorOptions): Router {
  const { client, service: name, log } = options;
  /** The Service as it was read or written last: a write that expects its version needs no other look. */
  let last: Known | undefined;

  async function colours(): Promise<Colours> {
    const [service, { items }] = await Promise.all([
      client.get(resources.services, name),
      client.list(resources.deployments),
    ]);
    const found = findColours(service, items, options.slotLabel);
    last = { service, label: found.label, slots: [...found.deployments.keys()] };
    return found;
  }

  function trafficOf(service: Service, label: string): Traffic {
    const slot = service.spec.selector?.[label] ?? '';
    return {
      targets: [{ slot, weight: 100, addresses: [] }],
      version: service.metadata.resourceVersion ?? '',
      bySlot: true,
    };
  }

  /** The one slot that gets everything. */
  function onlySlot(targets: Target[], known: string[]): string {
    const shares = targets.filter(({ weight }) => weight > 0);
    const [only] = shares;
    if (targets.reduce((sum, { weight }) => sum + weight, 0) !== 100 || only === undefined) {
      throw new DeployError('router_rejected', 'The weights do not sum to 100.', {
        remedy: 'Give one slot all of the traffic.',
      });
    }
    if (shares.length > 1) {
      throw new DeployError(
        'unsupported',
        'Router service-selector gives all traffic to one slot; it cannot split it.',
        { remedy: 'Use a router that has weights for a canary.' },
      );
    }
    if (!known.includes(only.slot)) {
      throw new DeployError('router_rejected', `No Deployment behind Service ${name} is "${only.slot}".`, {
        remedy: `Slots are ${known.join(', ')}.`,
      });
    }
    return only.slot;
  }

  async function write(service: Service, label: string, slot: string, fence: Fence): Promise<Service> {
    const token = String(fence.token);
    return client.change(resources.services, {
      patch: {
        metadata: { annotations: { [fenceAnnotation]: token } },
        spec: { selector: { [label]: slot } },
      },
      from: service,
      isMade: (current) =>
        current.metadata.annotations?.[fenceAnnotation] === token && current.spec.selector?.[label] === slot,
    });
  }

  return {
    name: 'service-selector',
    capabilities: { weights: false, keepAlive: 'closes-idle', fencing: 'atomic', drain: false },

    async read() {
      const { service, label } = await colours();
      return trafficOf(service, label);
    },

    async claim(fence) {
      for (;;) {
        const [found, services] = await Promise.all([colours(), client.list(resources.services)]);
        refuseOtherServices(found, services.items);
        const { service, label, serving } = found;
        if (fenceOf(service) > fence.token) throw deposed(service, `Service ${name}`, fence);
        if (fenceOf(service) === fence.token) return;
        await fence.check();
        try {
          last = {
            service: await write(service, label, serving, fence),
            label,
            slots: [...found.deployments.keys()],
          };
          return;
        } catch (thrown) {
          if (!(thrown instanceof DeployError) || thrown.reasonCode !== 'state_conflict') throw thrown;
          log.debug(`Service ${name} moved while it was claimed; reading it anew.`);
        }
      }
    },

    async apply(targets, expected, fence) {
      if (last?.service.metadata.resourceVersion !== expected) await colours();
      if (last === undefined) throw new DeployError('internal', `Service ${name} was not read.`);
      const { service, label, slots } = last;
      if (service.metadata.resourceVersion !== expected) {
        throw new DeployError('state_conflict', `Service ${name} was changed since it was read.`, {
          remedy: 'Run this again: it will read it anew.',
        });
      }
      const slot = onlySlot(targets, slots);
      if (fenceOf(service) > fence.token) throw deposed(service, `Service ${name}`, fence);
      await fence.check();
      if (service.spec.selector?.[label] === slot && fenceOf(service) === fence.token) {
        return trafficOf(service, label);
      }
      const written = await write(service, label, slot, fence).catch(async (thrown: unknown) => {
        throw await explained(thrown, fence);
      });
      last = { service: written, label, slots };
      return trafficOf(written, label);
    },

    verify,

    async drain(_slot, deadline, signal, stays = false) {
      if (stays) return { complete: true, inFlight: null, elapsed: 0 };
      // Nodes follow within milliseconds; how many connections stay where they were, nobody knows.
      const margin = Math.min(options.margin ?? 2_000, deadline.remaining());
      await sleep(margin, signal, `giving the nodes time to follow Service ${name}`);
      return { complete: true, inFlight: null, elapsed: deadline.elapsed() };
    },
  };

  /** A conflict is a takeover when a newer holder has left its token. */
  async function explained(thrown: unknown, fence: Fence): Promise<unknown> {
    if (!(thrown instanceof DeployError)) return thrown;
    if (thrown.reasonCode === 'invalid_input') {
      return new DeployError('router_rejected', thrown.message, {
        remedy: thrown.remedy,
        details: thrown.details,
        cause: thrown,
      });
    }
    if (thrown.reasonCode !== 'state_conflict') return thrown;
    const now = await client.find(resources.services, name);
    return now !== undefined && fenceOf(now) > fence.token ? deposed(now, `Service ${name}`, fence) : thrown;
  }

  /** Another Service on the same pods would stay behind, and half of the clients with it. */
  function refuseOtherServices(found: Colours, services: Service[]): void {
    const behind = otherServicesOn(found, services).filter(({ spec }) => {
      // One that each colour has its own of is meant to stay.
      const others = [...found.deployments.keys()].filter((slot) => slot !== found.serving);
      return !others.some((slot) =>
        services.some((service) =>
          hasLabels(service.spec.selector, { ...spec.selector, [found.label]: slot }),
        ),
      );
    });
    if (behind.length === 0) return;
    const names = behind.map(({ metadata }) => metadata.name).join(', ');
    throw new DeployError(
      'invalid_input',
      `Service ${names} sends to ${found.label}=${found.serving}, too, and would stay there when Service ${name} is switched.`,
      {
        remedy: `Take ${found.label} out of its selector, or give each colour a Service of its own beside it.`,
      },
    );
  }

  /** Whether the EndpointSlices name exactly the ready pods of the slot; what is wrong otherwise. */
  async function endpointsProblem(slot: string): Promise<{ problem?: string; pods: number }> {
    const { service, label, base } = await colours();
    if (service.spec.selector?.[label] !== slot) {
      return { problem: `Service ${name} sends to ${service.spec.selector?.[label]}`, pods: 0 };
    }
    const [slices, listed] = await Promise.all([
      client.list(resources.endpointSlices, { labelSelector: `kubernetes.io/service-name=${name}` }),
      client.list(resources.pods, { labelSelector: selectorQuery({ ...base, [label]: slot }) }),
    ]);
    const pods = new Map(listed.items.map((pod): [string, Pod] => [pod.metadata.name, pod]));
    const serving = new Set<string>();
    const strangers = new Set<string>();
    for (const { endpoints } of slices.items) {
      for (const { conditions, targetRef } of endpoints ?? []) {
        // Unknown counts as ready (discovery/v1).
        if (conditions?.ready === false) continue;
        const pod = targetRef?.name ?? '';
        (pods.has(pod) ? serving : strangers).add(pod);
      }
    }
    const missing = listed.items.filter(
      (pod) =>
        pod.metadata.deletionTimestamp === undefined &&
        (pod.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True') &&
        !serving.has(pod.metadata.name),
    );
    if (strangers.size > 0) {
      return { problem: `the EndpointSlices still name ${[...strangers].join(', ')}`, pods: serving.size };
    }
    if (missing.length > 0) {
      const names = missing.map(({ metadata }) => metadata.name).join(', ');
      return { problem: `the EndpointSlices do not name ${names} yet`, pods: serving.size };
    }
    if (serving.size === 0) return { problem: `no pod of ${slot} is ready`, pods: 0 };
    return { pods: serving.size };
  }

  async function verify(traffic: Traffic, deadline: Deadline, signal: AbortSignal): Promise<Observed> {
    const [target] = traffic.targets.filter(({ weight }) => weight > 0);
    if (target === undefined) return { matches: false, answers: {}, detail: 'no traffic is configured' };
    let detail: string | undefined;
    while (!deadline.passed()) {
      if (signal.aborted) throw cancelled('verifying the traffic');
      const { problem, pods } = await endpointsProblem(target.slot);
      const unanswered = problem === undefined ? await urlProblem(options.url, deadline, signal) : undefined;
      if (problem === undefined && unanswered === undefined) {
        const asked = options.url === undefined ? '' : `; ${options.url} answers`;
        return {
          matches: true,
          answers: { [target.slot]: pods },
          detail: `the EndpointSlices of Service ${name} name the ${pods} ready pods of ${target.slot} and no others${asked}`,
        };
      }
      // A look that the deadline cut says less than the one before it, if there was one.
      if (detail === undefined || !deadline.passed()) detail = problem ?? unanswered ?? '';
      log.progress({
        what: 'the traffic to follow',
        elapsed: deadline.elapsed(),
        remaining: deadline.remaining(),
        detail,
      });
      await sleep(Math.min(verifyPause, deadline.remaining()), signal, 'verifying the traffic');
    }
    return { matches: false, answers: {}, detail: detail ?? 'there was no time to look' };
  }
}
