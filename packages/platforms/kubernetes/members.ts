import { DeployError } from '@deploy-actions/core';
import {
  type Deployment,
  labelsOf,
  selectorQuery,
  type ServicePort,
  type Unit,
} from '@deploy-actions/kubernetes';

/**
 * What is released together, a Deployment for each colour. `serving` has traffic by a Service; a `worker` and a `scheduler`
 * have none and work where the traffic is.
 */
export type Role = 'serving' | 'worker' | 'scheduler';

export interface Member {
  role: Role;
  /** For people: the name of the Service, or that which the Deployments have in common. */
  name: string;
  /** By slot. */
  deployments: ReadonlyMap<string, Deployment>;
  /**
   * What is asked before it gets traffic: the first port of each Service that sends to it. `isFirst`: of the Service that is
   * named first, whose is the path that was asked for.
   */
  checks: { port: ServicePort; isFirst: boolean }[];
  /** What ReplicaSets and pods are listed by: those of all colours together, and those of one. */
  queries: string[];
  queryOf(slot: string): string;
}

/** Services that lead to the same Deployments are one member with several ports. */
function servingMembers({ parts }: Unit): Member[] {
  const members = new Map<string, Member>();
  for (const [index, { service, label, base, deployments }] of parts.entries()) {
    const [port] = service.spec.ports ?? [];
    const checks = port === undefined ? [] : [{ port, isFirst: index === 0 }];
    const key = [...deployments.values()].map(({ metadata }) => metadata.name).join(' ');
    const known = members.get(key);
    members.set(
      key,
      known === undefined
        ? {
            role: 'serving',
            name: service.metadata.name,
            deployments,
            checks,
            queries: [selectorQuery(base)],
            queryOf: (slot) => selectorQuery({ ...base, [label]: slot }),
          }
        : { ...known, checks: [...known.checks, ...checks] },
    );
  }
  return [...members.values()];
}

/** The Deployments `<name>-<slot>`, one a colour, whose pods have the colour in the label of the first Service. */
function followingMember(unit: Unit, all: readonly Deployment[], role: Role, name: string): Member {
  const { label } = unit.parts[0];
  const deployments = new Map(
    unit.slots.map((slot): [string, Deployment] => {
      const wanted = `${name}-${slot}`;
      const found = all.find(({ metadata }) => metadata.name === wanted);
      if (found !== undefined && labelsOf(found)[label] === slot) return [slot, found];
      const coloured = all
        .filter((one) => unit.slots.includes(labelsOf(one)[label] ?? ''))
        .map(({ metadata }) => metadata.name);
      throw new DeployError(
        found === undefined ? 'not_found' : 'invalid_input',
        found === undefined
          ? `There is no Deployment ${wanted} for the ${role} ${name}: it has one for each colour.`
          : `The pods of Deployment ${wanted} have not the label ${label}=${slot}.`,
        { remedy: `Deployments with a colour in ${label} are ${coloured.join(', ') || 'none'}.` },
      );
    }),
  );
  const queryOf = (slot: string) => {
    const deployment = deployments.get(slot);
    return deployment === undefined ? '' : selectorQuery(deployment.spec.selector);
  };
  return { role, name, deployments, checks: [], queries: unit.slots.map(queryOf), queryOf };
}

/** What has no traffic of its own, each the name of its Deployments without the colour. */
export interface FollowerNames {
  workers: readonly string[];
  schedulers: readonly string[];
}

/** Throws `not_found` or `invalid_input` where a worker or scheduler has no Deployment of its own for each colour. */
export function membersOf(
  unit: Unit,
  all: readonly Deployment[],
  { workers, schedulers }: FollowerNames,
): Member[] {
  return [
    ...schedulers.map((name) => followingMember(unit, all, 'scheduler', name)),
    ...workers.map((name) => followingMember(unit, all, 'worker', name)),
    ...servingMembers(unit),
  ];
}

export function deploymentIn({ deployments, name }: Member, slot: string): Deployment {
  const deployment = deployments.get(slot);
  if (deployment !== undefined) return deployment;
  throw new DeployError('invalid_input', `There is no slot "${slot}" of ${name}.`, {
    remedy: `Slots are ${[...deployments.keys()].join(', ')}.`,
  });
}

export function replicasOf({ spec }: Deployment): number {
  return spec.replicas ?? 1;
}
