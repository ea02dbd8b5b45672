import { isDeepStrictEqual } from 'node:util';
import {
  canonicalJson,
  type Deadline,
  DeployError,
  digestOf,
  formatDuration,
  type Log,
} from '@deploy-actions/core';
import {
  type Autoscaler,
  type Deployment,
  findColours,
  findSharers,
  type KubernetesClient,
  type Pod,
  readUnit,
  releaseAnnotation,
  type ReplicaSet,
  resources,
  type Right,
  servingOfUnit,
  substituteImagesAcross,
  type Substitution,
  type Unit,
} from '@deploy-actions/kubernetes';
import type { Fence, Platform, Readiness, Slot } from '@deploy-actions/release-engine';
import { byTarget, enoughFor, floorOf, lowerFloor, raiseFloor, type Autoscalers } from './autoscaling.ts';
import { createFollowers, graceOf } from './followers.ts';
import { deploymentIn, type FollowerNames, type Member, membersOf, replicasOf } from './members.ts';
import { type Judged, judge } from './readiness.ts';
import {
  checkRelease,
  type KubernetesRelease,
  releaseAcross,
  revisionGivenTo,
  revisionOf,
  type Scope,
} from './release.ts';
import { allReady, createSlotWatch } from './slot-watch.ts';

export interface KubernetesOptions {
  client: KubernetesClient;
  /** The Service whose selector says which colour gets the traffic; several are released as one. */
  service: string | readonly string[];
  /** The label that tells the colours apart, where the selector has several that could. */
  slotLabel?: string | undefined;
  /**
   * The slots share the Service's traffic by their numbers of pods: all of them match its selector. A version then starts
   * with one pod, and how many it has after that is the router's to say.
   */
  shared?: boolean;
  /** What is released with the Services and has no traffic of its own. */
  followers?: FollowerNames;
  /** Milliseconds that workers of the old version may take to finish their jobs; default 5 min. */
  workerDrain?: number;
  /** What the lease is called whose tokens are compared; default: there is one alone. */
  lease?: string | undefined;
  /** Which images count on a Deployment that this suite never deployed to; default: all of them. */
  scope?: Scope | undefined;
  /** Path that every pod has to answer with 2xx or 3xx; default: that of its readiness probe, else any answer to `/`. */
  checkPath?: string | undefined;
  /** Rights that the router and the store take, which are looked for together with the platform's own before anything is written. */
  rights?: readonly Right[];
  /** Milliseconds that a pod may be unschedulable before it is given up; default 20 s. */
  unschedulableFor?: number;
  log: Log;
}

/** How often a write is tried again when the object's status moved under it. */
const conflictsAllowed = 12;

/** What it takes; events and logs, which only help to see why a version does not start, may be kept from it. */
const ownRights: readonly Right[] = [
  ...(['get', 'list', 'watch', 'patch'] as const).map((verb) => ({
    verb,
    group: 'apps',
    resource: 'deployments',
  })),
  ...(['list', 'watch'] as const).map((verb) => ({ verb, group: 'apps', resource: 'replicasets' })),
  ...(['list', 'watch'] as const).map((verb) => ({ verb, group: '', resource: 'pods' })),
  { verb: 'get', group: '', resource: 'pods/proxy' },
  { verb: 'get', group: '', resource: 'services' },
];
const autoscalerRight = (verb: 'get' | 'list' | 'patch'): Right => ({
  verb,
  group: 'autoscaling',
  resource: 'horizontalpodautoscalers',
});

const defaultWorkerDrain = 300_000;

/** Everything that is released together, as it is now. */
interface Sight {
  unit: Unit;
  members: Member[];
  autoscalers: Autoscalers;
}

type Belongings = { replicaSets: ReplicaSet[]; pods: Pod[] };

/**
 * Slots as Deployments behind one Service, or behind several that are released as one: blue and green, or whatever
 * values the label has that tells them apart. A slot that is scaled to 0 is empty. A deploy changes the images, in one
 * write a Deployment that rests on the resourceVersion, and nothing else of the pod; replicas are raised to those of the
 * slot that serves, never lowered, so that what an autoscaler decided stays.
 */
export function createKubernetes(options: KubernetesOptions): Platform<KubernetesRelease> {
  const { client, log } = options;
  const services = [options.service].flat();
  const isShared = options.shared === true;
  const followers = options.followers ?? { workers: [], schedulers: [] };
  /** What the pods of all slots were found by at the last look. */
  let lastQueries: string[] | undefined;
  const workerDrain = options.workerDrain ?? defaultWorkerDrain;
  const slotWatch = createSlotWatch({ client, log, checkPath: options.checkPath, judged });

  async function look(): Promise<Sight> {
    const find = isShared ? findSharers : findColours;
    const [{ all, ...unit }, autoscalers] = await Promise.all([
      readUnit(client, services, options.slotLabel, find),
      isShared ? [] : listAutoscalers(),
    ]);
    return { unit, members: membersOf(unit, all, followers), autoscalers: byTarget(autoscalers) };
  }

  /** That they may not be seen is said by `check`, with all that is missing. */
  async function listAutoscalers(): Promise<Autoscaler[]> {
    try {
      return (await client.list(resources.autoscalers)).items;
    } catch (thrown) {
      if (thrown instanceof DeployError && thrown.reasonCode === 'permission_denied') return [];
      throw thrown;
    }
  }

  function requireSlot({ unit }: Sight, slot: string): void {
    if (unit.slots.includes(slot)) return;
    const { label, service } = unit.parts[0];
    throw new DeployError(
      'invalid_input',
      `There is no slot "${slot}" behind Service ${service.metadata.name}.`,
      { remedy: `Slots are the values of label ${label}: ${unit.slots.join(', ')}.` },
    );
  }

  function judged(
    { checks }: Member,
    objects: { deployment: Deployment; replicaSets: ReplicaSet[]; pods: Pod[] },
  ): Judged {
    return judge(objects, {
      port: checks[0]?.port,
      now: client.now() ?? Date.now(),
      unschedulableFor: options.unschedulableFor ?? 20_000,
    });
  }

  /** What the Deployments of these members could have, by one question for each query. */
  function belongings(members: readonly Member[]): Promise<Belongings> {
    return belongingsOf(queriesOf(members));
  }

  async function belongingsOf(queries: readonly string[]): Promise<Belongings> {
    const lists = await Promise.all(
      queries.map((labelSelector) =>
        Promise.all([
          client.list(resources.replicaSets, { labelSelector }),
          client.list(resources.pods, { labelSelector }),
        ]),
      ),
    );
    return {
      replicaSets: lists.flatMap(([{ items }]) => items),
      pods: lists.flatMap(([, { items }]) => items),
    };
  }

  /**
   * One write to a Deployment of the slot. Its status, and an autoscaler, may move it at any time: then it is read and
   * looked at anew, and written while its pod template is still what it was.
   */
  async function writeTo(
    name: string,
    slot: string,
    fence: Fence,
    decide: (
      deployment: Deployment,
      member: Member,
      sight: Sight,
    ) => Promise<Record<string, unknown> | undefined>,
    isMade: (deployment: Deployment) => boolean,
  ): Promise<void> {
    let template: string | undefined;
    for (let conflicts = 0; ; conflicts += 1) {
      const sight = await look();
      requireSlot(sight, slot);
      const member = sight.members.find((one) => one.deployments.get(slot)?.metadata.name === name);
      if (member === undefined) throw new DeployError('not_found', `Deployment ${name} is gone.`);
      const deployment = deploymentIn(member, slot);
      const now = digestOf(deployment.spec.template);
      if (template !== undefined && template !== now) {
        throw new DeployError(
          'state_conflict',
          `Deployment ${deployment.metadata.name} is being changed by somebody else.`,
          {
            remedy: 'See who (`kubectl get deployment -o yaml --show-managed-fields`), then run this again.',
          },
        );
      }
      template = now;
      const patch = await decide(deployment, member, sight);
      if (patch === undefined) return;
      await fence.check();
      try {
        await client.change(resources.deployments, { patch, from: deployment, type: 'strategic', isMade });
        return;
      } catch (thrown) {
        const isConflict = thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
        if (!isConflict || conflicts >= conflictsAllowed) throw thrown;
        log.debug(`${deployment.metadata.name} moved under the write; reading it anew.`);
      }
    }
  }

  /** By the names of the Deployments of the slot. */
  function substitutionsIn(
    sight: Sight,
    slot: string,
    { images, container }: KubernetesRelease,
  ): Map<string, Substitution[]> {
    requireSlot(sight, slot);
    const deployments = sight.members.map((member) => deploymentIn(member, slot));
    const pods = deployments.map(({ metadata, spec }) => ({
      where: `Deployment ${metadata.name}`,
      pod: spec.template.spec,
    }));
    const all = substituteImagesAcross(pods, images, container ?? undefined);
    return new Map(deployments.map(({ metadata }, index) => [metadata.name, all[index] ?? []]));
  }

  function hasImages({ spec }: Deployment, substitutions: Substitution[]): boolean {
    return substitutions.every(({ list, container, to }) =>
      (spec.template.spec[list] ?? []).some(({ name, image }) => name === container && image === to),
    );
  }

  /** What has traffic says how many pods there have to be; what follows it counts while it is wanted at all. */
  function slotOf(slot: string, sight: Sight, there: Belongings): Slot<KubernetesRelease> {
    const { members } = sight;
    const deployments = members.map((member) => deploymentIn(member, slot));
    const isEmpty = members.every(
      (member) => member.role !== 'serving' || replicasOf(deploymentIn(member, slot)) === 0,
    );
    if (isEmpty) return { name: slot, release: null, revision: null, wanted: 0, ready: 0, instances: [] };
    const release = releaseAcross(deployments, options.scope);
    const revision = revisionOf(release);
    const sum = { wanted: 0, ready: 0 };
    const instances: Slot['instances'] = [];
    for (const member of members) {
      const deployment = deploymentIn(member, slot);
      if (member.role === 'scheduler') continue;
      const seen = judged(member, { deployment, ...there });
      const wanted =
        member.role === 'serving' ? Math.max(1, seen.wanted, enough(member, slot, sight)) : seen.wanted;
      sum.wanted += wanted;
      sum.ready += members.length === 1 ? seen.ready : Math.min(seen.ready, wanted);
      if (member.role === 'serving') instances.push(...seen.instances);
    }
    const begun = deployments
      .filter((deployment) => replicasOf(deployment) > 0)
      .flatMap((deployment) => revisionGivenTo(deployment) ?? [])
      .filter((given) => given !== revision);
    return {
      ...{ name: slot, release, revision, ...sum, instances },
      ...(begun.length === 0 ? {} : { begun }),
    };
  }

  return {
    name: 'kubernetes',
    revisionOf,

    async observe() {
      // The labels that all slots share stay what they are, but for a hand that changes them.
      const guess = lastQueries;
      const guessed = guess === undefined ? undefined : belongingsOf(guess);
      guessed?.catch(() => {}); // told below, where it is waited for
      const sight = await look();
      lastQueries = queriesOf(sight.members);
      const there = await (isDeepStrictEqual(lastQueries, guess) && guessed !== undefined
        ? guessed
        : belongings(sight.members));
      return sight.unit.slots.map((slot) => slotOf(slot, sight, there));
    },

    async check(slot, release) {
      checkRelease(release);
      const needed = [
        ...ownRights,
        ...(isShared ? [] : [autoscalerRight('list')]),
        ...(options.rights ?? []),
      ];
      const rights = client.requireRights(needed);
      rights.catch(() => {}); // told below, after what is wrong with the release itself
      const sight = await look();
      substitutionsIn(sight, slot, release);
      await rights;
      if (scaledMembers(sight).length > 0) {
        await client.requireRights([autoscalerRight('get'), autoscalerRight('patch')]);
      }
      warn(slot, sight);
    },

    async deploy(slot, release, fence) {
      checkRelease(release);
      const annotation = canonicalJson(release);
      const first = await look();
      const names = substitutionsIn(first, slot, release).keys();
      await raiseFloors(slot, first, release, fence);
      for (const name of names) {
        let substitutions: Substitution[] = [];
        const decide = async (deployment: Deployment, member: Member, sight: Sight) => {
          substitutions = substitutionsIn(sight, slot, release).get(name) ?? [];
          const there = replicasOf(deployment);
          const changed = substitutions.filter(({ from, to }) => from !== to);
          // New pods of it would come before the old one has gone.
          const isPaused = member.role === 'scheduler' && changed.length > 0;
          const replicas = isPaused ? 0 : replicasFor(deployment, member, slot, sight, release);
          const isAnnotated = deployment.metadata.annotations?.[releaseAnnotation] === annotation;
          if (changed.length === 0 && isAnnotated && replicas === there) {
            return member.role !== 'scheduler' && (await isAiling(member, deployment))
              ? restarted(client.now())
              : undefined;
          }
          for (const { container, from, to } of changed) {
            log.info(`${deployment.metadata.name}: ${container} ${from} → ${to}`);
          }
          return {
            metadata: { annotations: { [releaseAnnotation]: annotation } },
            spec: {
              ...(replicas === there ? {} : { replicas }),
              ...(changed.length === 0 ? {} : { template: { spec: imagesPatch(changed) } }),
            },
          };
        };
        await writeTo(
          name,
          slot,
          fence,
          decide,
          (current) =>
            current.metadata.annotations?.[releaseAnnotation] === annotation &&
            hasImages(current, substitutions),
        );
      }
    },

    async *ready(slot, deadline, signal) {
      const sight = await look();
      requireSlot(sight, slot);
      const watched = sight.members.filter(
        (member) =>
          member.role === 'serving' ||
          (member.role === 'worker' && replicasOf(deploymentIn(member, slot)) > 0),
      );
      yield* readyMembers(watched, slot, deadline, signal);
    },

    async scale(slot, replicas, fence) {
      if (!Number.isInteger(replicas) || replicas < 0) {
        throw new DeployError('invalid_input', `${replicas} is no number of replicas.`);
      }
      await scaleTo(slot, replicas, fence);
    },

    retire: (slot, fence) => scaleTo(slot, 0, fence),

    ...(isShared
      ? {}
      : {
          followers: createFollowers({
            client,
            log,
            workerDrain,
            lease: options.lease,
            hasWorkers: followers.workers.length > 0,
            members: async () => (await look()).members,
            write: writeTo,
            ready: readyMembers,
            settled: lowerFloors,
          }),
        }),
  };

  function readyMembers(
    members: readonly Member[],
    slot: string,
    deadline: Deadline,
    signal: AbortSignal,
  ): AsyncGenerator<Readiness> {
    const watches = members.map((member) => ({
      name: deploymentIn(member, slot).metadata.name,
      watch: (within: AbortSignal) => slotWatch(member, slot, deadline, within),
    }));
    return allReady(watches, signal);
  }

  /** Those of which a Deployment is scaled by an autoscaler. */
  function scaledMembers({ members, autoscalers }: Sight): Member[] {
    return members.filter(
      ({ role, deployments }) =>
        role === 'serving' &&
        [...deployments.values()].some(({ metadata }) => autoscalers.has(metadata.name)),
    );
  }

  /** No colour gets smaller while it waits for the traffic, nor while it may have to be gone back to. */
  async function raiseFloors(
    slot: string,
    sight: Sight,
    release: KubernetesRelease,
    fence: Fence,
  ): Promise<void> {
    if (slot === servingOfUnit(sight.unit)) return;
    for (const member of scaledMembers(sight)) {
      for (const [other, deployment] of member.deployments) {
        const autoscaler = sight.autoscalers.get(deployment.metadata.name);
        const there = replicasOf(deployment);
        const pods = other === slot ? replicasFor(deployment, member, slot, sight, release) : there;
        // At 0 replicas an autoscaler does nothing, and another slot than these two stays as it is.
        if (autoscaler === undefined || pods === 0) continue;
        await raiseFloor(client, autoscaler, pods, fence, log);
      }
    }
  }

  async function lowerFloors(fence: Fence): Promise<void> {
    const sight = await look();
    for (const { deployments } of scaledMembers(sight)) {
      for (const { metadata } of deployments.values()) {
        const autoscaler = sight.autoscalers.get(metadata.name);
        if (autoscaler !== undefined && floorOf(autoscaler) !== undefined) {
          await lowerFloor(client, autoscaler, fence, log);
        }
      }
    }
  }

  /** What is allowed and may still not be meant. */
  function warn(slot: string, sight: Sight): void {
    for (const member of scaledMembers(sight)) {
      const { name } = deploymentIn(member, slot).metadata;
      if (sight.autoscalers.has(name)) continue;
      log.warning(
        `No HorizontalPodAutoscaler scales ${name}, but one scales the colour that serves: once ${slot} has the traffic, its number of pods stays as it is. Give each colour one.`,
      );
    }
    for (const { role, deployments } of sight.members) {
      for (const deployment of deployments.values()) {
        const { name } = deployment.metadata;
        if (role === 'worker' && graceOf(deployment) < workerDrain) {
          log.warning(
            `The pods of ${name} are killed ${formatDuration(graceOf(deployment))} after SIGTERM, and \`worker-drain\` gives their jobs ${formatDuration(workerDrain)}: a job that takes longer is lost. Set terminationGracePeriodSeconds to ${Math.ceil(workerDrain / 1_000)} in the manifest; it holds for pods that are started after that.`,
          );
        }
        if (role === 'scheduler' && deployment.spec.strategy?.type !== 'Recreate') {
          log.warning(
            `Scheduler ${name} has not \`strategy: {type: Recreate}\`: whoever restarts or changes it by other means runs two of it for a while.`,
          );
        }
      }
    }
  }

  /** The pods that the slot needs before it may get the traffic of its Service. */
  function enough(member: Member, slot: string, { unit, autoscalers }: Sight): number {
    const serving = servingOfUnit(unit);
    if (serving === undefined || serving === slot) return 0;
    const there = deploymentIn(member, serving);
    const pair = {
      own: autoscalers.get(deploymentIn(member, slot).metadata.name),
      serving: autoscalers.get(there.metadata.name),
    };
    return enoughFor(pair, replicasOf(there));
  }

  /** How many pods the Deployment is to have when its slot is deployed to. */
  function replicasFor(
    deployment: Deployment,
    member: Member,
    slot: string,
    { unit, autoscalers }: Sight,
    release: KubernetesRelease,
  ): number {
    const there = replicasOf(deployment);
    if (member.role !== 'serving') return there;
    const max = autoscalers.get(deployment.metadata.name)?.spec.maxReplicas ?? Infinity;
    const serving = servingOfUnit(unit);
    const others = [...member.deployments].filter(([other]) => other !== slot);
    const isShare = isShared && others.some(([, other]) => replicasOf(other) > 0);
    if (isShare) return Math.max(1, there);
    const most = others
      .filter(([other]) => serving === undefined || other === serving)
      .map(([, other]) => replicasOf(other));
    const wanted = slot === serving ? 0 : Math.max(0, ...most);
    return release.replicas ?? Math.max(1, there, Math.min(max, wanted));
  }

  async function scaleTo(slot: string, replicas: number, fence: Fence): Promise<void> {
    const sight = await look();
    requireSlot(sight, slot);
    for (const member of sight.members) {
      // What follows the traffic is started and stopped where that goes.
      if (replicas > 0 && member.role !== 'serving') continue;
      await writeTo(
        deploymentIn(member, slot).metadata.name,
        slot,
        fence,
        (deployment) =>
          Promise.resolve(replicasOf(deployment) === replicas ? undefined : { spec: { replicas } }),
        (current) => replicasOf(current) === replicas,
      );
    }
  }

  /** Whether what runs there is known not to come up: asked for again, it is started anew. */
  async function isAiling(member: Member, deployment: Deployment): Promise<boolean> {
    return judged(member, { deployment, ...(await belongings([member])) }).failure !== null;
  }
}

/** What ReplicaSets and pods of the members are listed by, each once. */
function queriesOf(members: readonly Member[]): string[] {
  return [...new Set(members.flatMap(({ queries }) => queries))];
}

/** A part of a pod template with other images; containers are merged by name. */
function imagesPatch(changed: Substitution[]): Record<string, { name: string; image: string }[]> {
  const patch: Record<string, { name: string; image: string }[]> = {};
  for (const { list, container, to } of changed) (patch[list] ??= []).push({ name: container, image: to });
  return patch;
}

/** A change of the template that does nothing but make new pods. */
function restarted(now: number | undefined): Record<string, unknown> {
  const at = new Date(now ?? Date.now()).toISOString();
  return { spec: { template: { metadata: { annotations: { 'deploy-actions.dev/restarted-at': at } } } } };
}
