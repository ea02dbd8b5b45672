import { canonicalJson, type Deadline, DeployError, type Log } from '@deploy-actions/core';
import {
  type Colours,
  type Deployment,
  fenceAnnotation,
  findColours,
  hasLabels,
  type KubernetesClient,
  labelsOf,
  resources,
  selectorOf,
  type Service,
} from '@deploy-actions/kubernetes';
import type { Fence } from '@deploy-actions/release-engine';
import { createRollout } from './rollout.ts';

/** The label that the colours are given, where no other is asked for. */
export const adoptedLabel = 'deploy-actions.dev/slot';

/** On a colour that was made from another Deployment: its name. */
const originAnnotation = 'deploy-actions.dev/adopted-from';

const [first, second] = ['blue', 'green'] as const;
const attempts = 8;

export interface AdoptionOptions {
  client: KubernetesClient;
  service: string;
  slotLabel?: string | undefined;
  log: Log;
}

/** The way of a Service with one Deployment to two colours. Every part can be repeated after a kill. */
export interface Adoption {
  /** What is still to be done, a step a line; empty when the Service has its colours. Throws where it cannot be done. */
  plan(): Promise<string[]>;
  /**
   * Makes the colours beside the Deployment, waits until the first has as many ready pods, and moves the Service to it in
   * one write. Throws `start_failed` and `not_ready` as a release does; the Deployment goes on serving then.
   */
  move(fence: Fence, deadline: Deadline, signal: AbortSignal): Promise<void>;
  /** Scales the Deployment to 0, once the Service sends nothing to it any more. */
  stop(fence: Fence): Promise<void>;
}

interface Found {
  service: Service;
  deployments: Deployment[];
  colours: Colours | undefined;
}

/** A Deployment that a Service sends to, alone. */
function plainOf({ service, deployments }: Found, label: string): Deployment {
  const selector = selectorOf(service);
  const { name } = service.metadata;
  const sending = deployments.filter(
    (deployment) => hasLabels(labelsOf(deployment), selector) && labelsOf(deployment)[label] === undefined,
  );
  const [plain, ...others] = sending;
  if (plain === undefined || others.length > 0) {
    const names = sending.map(({ metadata }) => metadata.name).join(', ');
    throw new DeployError(
      plain === undefined ? 'not_found' : 'invalid_input',
      `Service ${name} sends to ${names === '' ? 'no Deployment' : names}; one alone can be made to colours.`,
      { remedy: 'Give the Service a selector that only one Deployment has.' },
    );
  }
  return plain;
}

function refuse(plain: Deployment, why: string, remedy: string): DeployError {
  return new DeployError(
    'unsupported',
    `Deployment ${plain.metadata.name} cannot be made to colours: ${why}.`,
    {
      remedy,
    },
  );
}

/** What would go wrong on the way. */
function requireFit(plain: Deployment, { service }: Found, services: Service[]): void {
  const unprobed = plain.spec.template.spec.containers.find(
    ({ ports = [], readinessProbe }) => ports.length > 0 && readinessProbe === undefined,
  );
  if (unprobed !== undefined) {
    throw refuse(
      plain,
      `container ${unprobed.name} has no readiness probe, so its new pods would get requests before they can answer`,
      'Add a readiness probe, and release that first.',
    );
  }
  if (plain.spec.paused === true) throw refuse(plain, 'it is paused', 'Resume it first.');
  const others = services.filter(
    ({ metadata, spec }) =>
      metadata.name !== service.metadata.name &&
      Object.keys(spec.selector ?? {}).length > 0 &&
      hasLabels(labelsOf(plain), spec.selector ?? {}),
  );
  if (others.length > 0) {
    const names = others.map(({ metadata }) => metadata.name).join(', ');
    throw refuse(
      plain,
      `Service ${names} sends to its pods, too, and would send to both colours`,
      'Remove that Service, or give it a selector of its own.',
    );
  }
}

/** One colour of a Deployment: the same pods with one label more. */
function colourOf(plain: Deployment, label: string, colour: string, replicas: number): Deployment {
  const { metadata, spec } = structuredClone(plain);
  const labels = { ...labelsOf(plain), [label]: colour };
  return {
    // Labels of the object itself say who keeps it (a chart, a repository): that would remove what it does not know.
    metadata: { name: `${metadata.name}-${colour}`, annotations: { [originAnnotation]: metadata.name } },
    spec: {
      ...spec,
      replicas,
      selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [label]: colour } },
      template: { ...spec.template, metadata: { ...spec.template.metadata, labels } },
    },
  };
}

/** What has to be equal for a colour to stand for the Deployment. */
function templateOf({ spec }: Deployment, label: string): string {
  const { [label]: _, ...labels } = spec.template.metadata?.labels ?? {};
  return canonicalJson({ labels, spec: spec.template.spec });
}

export function createAdoption(options: AdoptionOptions): Adoption {
  const { client, service: name, log } = options;
  const label = options.slotLabel ?? adoptedLabel;

  async function find(): Promise<Found> {
    const [service, { items: deployments }] = await Promise.all([
      client.get(resources.services, name),
      client.list(resources.deployments),
    ]);
    return { service, deployments, colours: coloursOf(service, deployments) };
  }

  function coloursOf(service: Service, deployments: Deployment[]): Colours | undefined {
    if (service.spec.selector?.[label] !== undefined) return findColours(service, deployments, label);
    try {
      return findColours(service, deployments, options.slotLabel);
    } catch (thrown) {
      const isPlain =
        thrown instanceof DeployError &&
        (thrown.reasonCode === 'unsupported' || options.slotLabel !== undefined);
      if (isPlain) return undefined;
      throw thrown;
    }
  }

  /** The Deployment that the colours were made from, while it still has pods. */
  function leftOf({ colours, deployments }: Found): Deployment | undefined {
    const origin = [...(colours?.deployments.values() ?? [])]
      .map(({ metadata }) => metadata.annotations?.[originAnnotation])
      .find((known) => known !== undefined);
    return deployments.find(({ metadata, spec }) => metadata.name === origin && (spec.replicas ?? 1) > 0);
  }

  async function fitting(found: Found): Promise<Deployment> {
    const plain = plainOf(found, label);
    requireFit(plain, found, (await client.list(resources.services)).items);
    return plain;
  }

  async function make(
    plain: Deployment,
    colour: string,
    replicas: number,
    fence: Fence,
  ): Promise<Deployment> {
    const wanted = colourOf(plain, label, colour, replicas);
    const isOurs = (there: Deployment) =>
      there.metadata.annotations?.[originAnnotation] === plain.metadata.name;
    const there = await client.find(resources.deployments, wanted.metadata.name);
    if (there !== undefined) {
      if (isOurs(there) && templateOf(there, label) === templateOf(plain, label)) return there;
      throw new DeployError(
        'state_conflict',
        `There is a Deployment ${wanted.metadata.name} already, and it is not what ${plain.metadata.name} is now.`,
        {
          remedy: `See what it is; \`kubectl delete deployment ${wanted.metadata.name}\` lets it be made anew.`,
        },
      );
    }
    await fence.check();
    log.info(`Making Deployment ${wanted.metadata.name} with ${replicas} replica(s).`);
    return client.create(resources.deployments, wanted, isOurs);
  }

  /** Moves the Service from all pods of the application to those of the first colour. */
  async function narrow(fence: Fence): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const { service, colours } = await find();
      if (colours !== undefined) return;
      await fence.check();
      const token = String(fence.token);
      try {
        await client.change(resources.services, {
          patch: {
            metadata: { annotations: { [fenceAnnotation]: token } },
            spec: { selector: { [label]: first } },
          },
          from: service,
          isMade: (current) => current.spec.selector?.[label] === first,
        });
        return;
      } catch (thrown) {
        const isConflict = thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
        if (!isConflict || attempt >= attempts) throw thrown;
      }
    }
  }

  return {
    async plan() {
      const found = await find();
      const left = leftOf(found);
      if (found.colours !== undefined) return left === undefined ? [] : [`scale ${left.metadata.name} to 0`];
      const plain = await fitting(found);
      const { name: origin } = plain.metadata;
      return [
        `make Deployment ${origin}-${first} like ${origin}, with ${plain.spec.replicas ?? 1} replica(s) and the label ${label}=${first}, and wait until it is ready`,
        `make Deployment ${origin}-${second} with 0 replicas and the label ${label}=${second}`,
        `add ${label}=${first} to the selector of Service ${name}, and verify its EndpointSlices`,
        `scale ${origin} to 0`,
      ];
    },

    async move(fence, deadline, signal) {
      const found = await find();
      if (found.colours !== undefined) return;
      const plain = await fitting(found);
      const colour = await make(plain, first, plain.spec.replicas ?? 1, fence);
      await make(plain, second, 0, fence);
      const workload = { kind: 'deployment' as const, name: colour.metadata.name };
      for await (const { message } of createRollout({ client, workload, log }).wait(deadline, signal)) {
        log.progress({
          what: `waiting until ${workload.name} is ready`,
          elapsed: deadline.elapsed(),
          remaining: deadline.remaining(),
          detail: message,
        });
      }
      await narrow(fence);
      log.info(`Service ${name} sends to ${workload.name} alone.`);
    },

    async stop(fence) {
      for (let attempt = 1; ; attempt += 1) {
        const left = leftOf(await find());
        if (left === undefined) return;
        await fence.check();
        log.info(`Scaling ${left.metadata.name} to 0: its colours serve in its place.`);
        try {
          await client.change(resources.deployments, {
            patch: { spec: { replicas: 0 } },
            from: left,
            isMade: ({ spec }) => spec.replicas === 0,
          });
          return;
        } catch (thrown) {
          const isConflict = thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
          if (!isConflict || attempt >= attempts) throw thrown;
        }
      }
    },
  };
}
