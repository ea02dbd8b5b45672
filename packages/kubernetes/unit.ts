import { DeployError } from '@deploy-actions/core';
import type { KubernetesClient } from './client.ts';
import { type Colours, findColours } from './colours.ts';
import { type Deployment, resources, type Service } from './objects.ts';

/** Services that are released as one: all of them are to send to the same colour. */
export interface Unit {
  /** A Service each, in the order in which they are named. */
  parts: readonly [Colours, ...Colours[]];
  /** The colours, which all parts have. */
  slots: string[];
}

export type FindColours = (service: Service, deployments: Deployment[], slotLabel?: string) => Colours;

const listed = ({ deployments }: Colours): string => [...deployments.keys()].join(', ');

/** Finds the colours of every Service. Throws what `findColours` does, and `invalid_input` where they have not the same. */
export function findUnit(
  services: readonly Service[],
  deployments: Deployment[],
  slotLabel?: string,
  find: FindColours = findColours,
): Unit {
  const [first, ...others] = services.map((service) => find(service, deployments, slotLabel));
  if (first === undefined) throw new DeployError('invalid_input', 'No Service is named.');
  const odd = others.find((part) => listed(part) !== listed(first));
  if (odd !== undefined) {
    throw new DeployError(
      'invalid_input',
      `Services ${first.service.metadata.name} and ${odd.service.metadata.name} have not the same colours: ${listed(first)}; ${listed(odd)}.`,
      { remedy: 'Give the Deployments of both the same colours: they are switched together.' },
    );
  }
  return { parts: [first, ...others], slots: [...first.deployments.keys()] };
}

/** Asks the cluster for the Services and for all Deployments of the namespace. */
export async function readUnit(
  client: KubernetesClient,
  names: readonly string[],
  slotLabel?: string,
  find?: FindColours,
): Promise<Unit & { all: Deployment[] }> {
  const [services, { items }] = await Promise.all([
    Promise.all(names.map((name) => client.get(resources.services, name))),
    client.list(resources.deployments),
  ]);
  return { ...findUnit(services, items, slotLabel, find), all: items };
}

/** The colour that every Service sends to; undefined while they are on different ones. */
export function servingOfUnit({ parts }: Unit): string | undefined {
  const [first, ...others] = parts;
  return others.every(({ serving }) => serving === first.serving) ? first.serving : undefined;
}
