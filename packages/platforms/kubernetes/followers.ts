import {
  cancelled,
  type Deadline,
  deadlineIn,
  DeployError,
  formatDuration,
  type Log,
  messageOf,
  sleep,
} from '@deploy-actions/core';
import {
  deposed,
  type Deployment,
  fenceMarks,
  fenceOf,
  isMarked,
  type KubernetesClient,
  resources,
} from '@deploy-actions/kubernetes';
import type { Fence, Followers, Readiness } from '@deploy-actions/release-engine';
import { deploymentIn, type Member, replicasOf } from './members.ts';
import { hasEnded, isOwnedBy } from './readiness.ts';

export interface FollowersOptions {
  client: KubernetesClient;
  log: Log;
  /** Milliseconds that workers of another slot may take to finish the jobs that they have; a scheduler, to end. */
  workerDrain: number;
  /** What the lease is called whose tokens are compared; undefined: there is one alone. */
  lease: string | undefined;
  /** Whether there are workers among them: without, nothing has to be started before the traffic moves. */
  hasWorkers: boolean;
  /** Everything that is released together, as it is now. */
  members(): Promise<Member[]>;
  /** One write to the Deployment of a slot, as often as its status moves under it. */
  write(
    name: string,
    slot: string,
    fence: Fence,
    decide: (deployment: Deployment, member: Member) => Promise<Record<string, unknown> | undefined>,
    isMade: (deployment: Deployment) => boolean,
  ): Promise<void>;
  ready(
    members: readonly Member[],
    slot: string,
    deadline: Deadline,
    signal: AbortSignal,
  ): AsyncIterable<Readiness>;
  /** Called when the slot has what follows it: what was held for the time of the release is let go. */
  settled(fence: Fence): Promise<void>;
}

const pause = 250;

const ofRole = (members: readonly Member[], role: Member['role']): Member[] =>
  members.filter((member) => member.role === role);
const otherSlots = ({ deployments }: Member, slot: string): string[] =>
  [...deployments.keys()].filter((other) => other !== slot);

/** Milliseconds from SIGTERM to SIGKILL. */
export function graceOf({ spec }: Deployment): number {
  return (spec.template.spec.terminationGracePeriodSeconds ?? 30) * 1_000;
}

/**
 * Workers and schedulers as Deployments, one a colour. A warm shutdown is what a Deployment's pods get when it is scaled to
 * 0: SIGTERM, at which Celery takes no more jobs and finishes those that it has
 * (https://docs.celeryq.dev/en/stable/userguide/workers.html#stopping-the-worker), and SIGKILL after
 * terminationGracePeriodSeconds.
 *
 * A scheduler is started only when the cluster shows that no other is there: the Deployments of all other slots are seen
 * scaled to 0 by their controllers, and then no pod of theirs is left. Each of its writes carries the fencing token, and
 * rests on the resourceVersion at which no newer token was seen, so a deposed run cannot start a second one.
 */
export function createFollowers(options: FollowersOptions): Followers {
  const { client, lease, log, workerDrain } = options;

  /** Raised to as many as the other slots have, where none run. */
  async function startWorkers(members: readonly Member[], slot: string, fence: Fence): Promise<void> {
    for (const member of members) {
      await options.write(
        deploymentIn(member, slot).metadata.name,
        slot,
        fence,
        (deployment, current) => {
          if (replicasOf(deployment) > 0) return Promise.resolve(undefined);
          const others = otherSlots(current, slot).map((other) => replicasOf(deploymentIn(current, other)));
          const replicas = Math.max(1, ...others);
          log.info(`Starting ${replicas} worker(s) of ${deployment.metadata.name}.`);
          return Promise.resolve({ spec: { replicas } });
        },
        (deployment) => replicasOf(deployment) > 0,
      );
    }
  }

  async function join(slot: string, deadline: Deadline, fence: Fence, signal: AbortSignal): Promise<void> {
    const workers = ofRole(await options.members(), 'worker');
    await startWorkers(workers, slot, fence);
    await becomeReady(workers, slot, deadline, signal);
  }

  async function becomeReady(
    members: readonly Member[],
    slot: string,
    deadline: Deadline,
    signal: AbortSignal,
  ): Promise<void> {
    if (members.length === 0) return;
    for await (const { message } of options.ready(members, slot, deadline, signal)) {
      log.progress({
        what: `waiting until ${members.map(({ name }) => name).join(', ')} of ${slot} is ready`,
        elapsed: deadline.elapsed(),
        remaining: deadline.remaining(),
        detail: message,
      });
    }
  }

  /** The pods of the slots that have not ended; undefined while controllers have not seen that there are to be none. */
  async function left(member: Member, slots: readonly string[]): Promise<string[] | undefined> {
    const found = await Promise.all(
      slots.map(async (slot) => {
        const { metadata } = deploymentIn(member, slot);
        const labelSelector = member.queryOf(slot);
        const [deployment, sets] = await Promise.all([
          client.get(resources.deployments, metadata.name),
          client.list(resources.replicaSets, { labelSelector }),
        ]);
        const isSeen =
          (deployment.status?.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0) &&
          sets.items
            .filter((set) => isOwnedBy(set, deployment.metadata.uid))
            .every(
              (set) =>
                set.spec.replicas === 0 &&
                (set.status?.observedGeneration ?? 0) >= (set.metadata.generation ?? 0),
            );
        // After the controllers have: what they made before is in the list.
        const pods = await client.list(resources.pods, { labelSelector });
        const names = pods.items.filter((pod) => !hasEnded(pod)).map((pod) => pod.metadata.name);
        return { isSeen, names };
      }),
    );
    const names = found.flatMap((one) => one.names);
    return names.length === 0 && !found.every(({ isSeen }) => isSeen) ? undefined : names;
  }

  /** Waits until no pod of the slots is left. Resolves to those that still are at the deadline. */
  async function untilGone(
    what: string,
    pairs: readonly { member: Member; slots: readonly string[] }[],
    deadline: Deadline,
    signal: AbortSignal,
  ): Promise<string[]> {
    for (;;) {
      if (signal.aborted) throw cancelled(`waiting until ${what}`);
      const seen = await Promise.all(pairs.map(({ member, slots }) => left(member, slots)));
      const names = seen.flatMap((one) => one ?? ['a pod that may be started yet']);
      if (names.length === 0 || deadline.passed()) return names;
      log.progress({
        what: `waiting until ${what}`,
        elapsed: deadline.elapsed(),
        remaining: deadline.remaining(),
        detail: `still there: ${names.join(', ')}`,
      });
      await sleep(Math.min(pause, deadline.remaining()), signal, `waiting until ${what}`);
    }
  }

  /** Writes a scheduler's replicas with the token of this holder, which no older one gets past. */
  async function schedule(member: Member, slot: string, replicas: number, fence: Fence): Promise<void> {
    const { name } = deploymentIn(member, slot).metadata;
    const isMade = (deployment: Deployment) =>
      isMarked(deployment, fence, lease) && replicasOf(deployment) === replicas;
    await options.write(
      name,
      slot,
      fence,
      (deployment) => {
        if (fenceOf(deployment, lease) > fence.token) throw deposed(deployment, `Deployment ${name}`, fence);
        if (isMade(deployment)) return Promise.resolve(undefined);
        if (replicasOf(deployment) !== replicas) {
          log.info(replicas === 0 ? `Stopping scheduler ${name}.` : `Starting scheduler ${name}.`);
        }
        return Promise.resolve({
          metadata: { annotations: fenceMarks(fence, lease) },
          spec: { replicas },
        });
      },
      isMade,
    );
  }

  async function moveSchedulers(
    schedulers: readonly Member[],
    slot: string,
    fence: Fence,
    signal: AbortSignal,
  ): Promise<void> {
    const others = schedulers.map((member) => ({ member, slots: otherSlots(member, slot) }));
    for (const { member, slots } of others) {
      for (const other of slots) await schedule(member, other, 0, fence);
    }
    const names = await untilGone(
      'the scheduler of the other slot has ended',
      others,
      deadlineIn(workerDrain),
      signal,
    );
    if (names.length > 0) {
      throw new DeployError(
        'drain_timeout',
        `A scheduler has not ended within ${formatDuration(workerDrain)}: ${names.join(', ')}. The one of ${slot} was not started: there is never a second.`,
        {
          remedy:
            'See why it does not end (a node that is lost keeps its pods until it is removed), or give it more time (`worker-drain`); then run this again: it goes on from here.',
        },
      );
    }
    for (const member of schedulers) await schedule(member, slot, 1, fence);
  }

  /** Scales the workers of other slots to 0, and waits until they have done what they were doing. */
  async function stopWorkers(
    workers: readonly Member[],
    slot: string,
    fence: Fence,
    signal: AbortSignal,
  ): Promise<void> {
    const others = workers.map((member) => ({ member, slots: otherSlots(member, slot) }));
    for (const { member, slots } of others) {
      for (const other of slots) {
        const { name } = deploymentIn(member, other).metadata;
        await options.write(
          name,
          other,
          fence,
          (deployment) => {
            if (replicasOf(deployment) === 0) return Promise.resolve(undefined);
            log.info(
              `Stopping ${replicasOf(deployment)} worker(s) of ${name}: they finish the jobs that they have.`,
            );
            return Promise.resolve({ spec: { replicas: 0 } });
          },
          (deployment) => replicasOf(deployment) === 0,
        );
      }
    }
    const names = await untilGone(
      'the workers of the other slot have finished their jobs',
      others,
      deadlineIn(workerDrain),
      signal,
    );
    if (names.length === 0) return;
    log.warning(
      `Workers still have jobs after ${formatDuration(workerDrain)}: ${names.join(', ')}. They go on until they are done, and are killed when their terminationGracePeriodSeconds is over.`,
    );
  }

  return {
    async plan(slot) {
      const members = await options.members();
      const [workers, schedulers] = [ofRole(members, 'worker'), ofRole(members, 'scheduler')];
      const namesOf = (list: readonly Member[], of: (member: Member) => string[]) =>
        list.flatMap((member) => of(member).map((one) => deploymentIn(member, one).metadata.name)).join(', ');
      return [
        ...(schedulers.length === 0
          ? []
          : [
              `scale ${namesOf(schedulers, (member) => otherSlots(member, slot))} to 0, wait until no pod of it is left, and only then start ${namesOf(schedulers, () => [slot])}`,
            ]),
        ...(workers.length === 0
          ? []
          : [
              `scale ${namesOf(workers, (member) => otherSlots(member, slot))} to 0 and wait up to ${formatDuration(workerDrain)} until the workers have finished their jobs; those of ${namesOf(workers, () => [slot])} work since before the traffic moved`,
            ]),
      ];
    },

    ...(options.hasWorkers ? { join } : {}),

    async handOver(slot, isWayBack, deadline, fence, signal) {
      const members = await options.members();
      const [workers, schedulers] = [ofRole(members, 'worker'), ofRole(members, 'scheduler')];
      const ready = async (list: readonly Member[]) => {
        try {
          await becomeReady(list, slot, deadline, signal);
        } catch (thrown) {
          const isLate =
            thrown instanceof DeployError && ['not_ready', 'start_failed'].includes(thrown.reasonCode);
          if (!isWayBack || !isLate) throw thrown;
          log.warning(`Going on without all that follows ${slot}: ${messageOf(thrown)}`);
        }
      };
      if (workers.length > 0) {
        await startWorkers(workers, slot, fence);
        await ready(workers);
      }
      if (schedulers.length > 0) {
        await moveSchedulers(schedulers, slot, fence, signal);
        await ready(schedulers);
      }
      if (workers.length > 0) await stopWorkers(workers, slot, fence, signal);
      await options.settled(fence);
    },
  };
}
