import { cancelled, type Deadline, DeployError, type Log, messageOf } from '@deploy-actions/core';
import {
  type Deployment,
  type KubernetesClient,
  type KubernetesObject,
  type LabelSelector,
  type Pod,
  type ReplicaSet,
  type Resource,
  resources,
  selectorQuery,
} from '@deploy-actions/kubernetes';
import {
  createBell,
  evidenceOf,
  type Failure,
  isOwnedBy,
  isPodReady,
  judge,
  podFailure,
  remedyFor,
} from '@deploy-actions/platforms';
import { describePlanned, type PlannedObject } from './plan.ts';

interface Workload extends KubernetesObject {
  spec: { replicas?: number; selector: LabelSelector };
  status?: {
    observedGeneration?: number;
    readyReplicas?: number;
    updatedReplicas?: number;
    updateRevision?: string;
    currentRevision?: string;
    desiredNumberScheduled?: number;
    updatedNumberScheduled?: number;
    numberReady?: number;
  };
}

const kindsWithPods = ['Deployment', 'StatefulSet', 'DaemonSet'];

/** Milliseconds that a pod may be unschedulable: a cluster that grows by itself needs time to. */
const unschedulableFor = 20_000;
/** Milliseconds between two looks where no watch says anything: a pod becomes unschedulable for too long without any news. */
const longestLook = 1_000;

/** What is waited for: every workload of the plan that has pods. */
export function workloadsOf(plan: readonly PlannedObject[]): PlannedObject[] {
  return plan.filter(({ kind, action }) => action !== 'prune' && kindsWithPods.includes(kind.kind));
}

interface Standing {
  isReady: boolean;
  message: string;
  failure: Failure | null;
  pods: Pod[];
}

export interface WaitOptions {
  client: KubernetesClient;
  deadline: Deadline;
  signal: AbortSignal;
  log: Log;
}

/**
 * Waits until all pods of every workload are of its newest template and ready. Fails with the first that will not become
 * ready by itself, with its last log lines and events: `start_failed`; `not_ready` at the deadline.
 */
export async function untilReady(workloads: readonly PlannedObject[], options: WaitOptions): Promise<void> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  try {
    // One that fails ends the wait for the others.
    await Promise.all(workloads.map((workload) => waitFor(workload, { ...options, signal })));
  } catch (thrown) {
    if (options.signal.aborted) throw cancelled('waiting until the workloads are ready');
    throw thrown;
  } finally {
    stop.abort();
  }
}

async function waitFor(planned: PlannedObject, options: WaitOptions): Promise<void> {
  const { deadline, signal, log } = options;
  const client = options.client.within(planned.namespace);
  const { kind, name } = planned;
  const title = describePlanned(planned);
  const resource: Resource<Workload> = kind;
  const { spec } = await client.get(resource, name);
  const seen: { workload?: Workload[]; replicaSets?: ReplicaSet[]; pods?: Pod[] } = {};
  const stop = new AbortController();
  const watching = AbortSignal.any([signal, stop.signal]);
  const bell = createBell();
  let broken: Error | undefined;
  const follow = async <T>(lists: AsyncGenerator<T>, note: (list: T) => void) => {
    for await (const list of lists) {
      note(list);
      bell.ring();
    }
  };
  const query = { labelSelector: selectorQuery(spec.selector) };
  const follows = Promise.all([
    follow(client.follow(resource, { fieldSelector: `metadata.name=${name}` }, watching), (list) => {
      seen.workload = list;
    }),
    follow(client.follow(resources.pods, query, watching), (list) => {
      seen.pods = list;
    }),
    kind.kind === 'Deployment'
      ? follow(client.follow(resources.replicaSets, query, watching), (list) => {
          seen.replicaSets = list;
        })
      : undefined,
  ]).catch((thrown: unknown) => {
    broken = thrown instanceof Error ? thrown : new Error(messageOf(thrown));
    bell.ring();
  });
  try {
    for (;;) {
      if (signal.aborted) throw cancelled(`waiting for ${title}`);
      if (broken !== undefined) throw broken;
      const workload = seen.workload?.[0];
      const isKnown =
        seen.pods !== undefined && (kind.kind !== 'Deployment' || seen.replicaSets !== undefined);
      if (seen.workload !== undefined && workload === undefined) {
        throw new DeployError('start_failed', `${title} is gone.`);
      }
      let standing: Standing | undefined;
      if (workload !== undefined && isKnown) {
        const now = client.now() ?? Date.now();
        standing =
          kind.kind === 'Deployment'
            ? standingOfDeployment(
                workload as unknown as Deployment,
                seen.replicaSets ?? [],
                seen.pods ?? [],
                now,
              )
            : standingOfSet(workload, seen.pods ?? [], now);
        if (standing.failure !== null) throw await failed(title, standing.failure, client, log);
        if (standing.isReady) {
          log.info(`${title}: ${standing.message}`);
          return;
        }
      }
      const message = standing?.message ?? 'looking at it';
      if (deadline.passed()) throw await late(title, message, standing, client, options);
      log.progress({
        what: `waiting for ${title}`,
        elapsed: deadline.elapsed(),
        remaining: deadline.remaining(),
        detail: message,
      });
      await bell.wait(Math.min(longestLook, deadline.remaining()), signal);
    }
  } finally {
    stop.abort();
    await follows;
  }
}

function standingOfDeployment(
  deployment: Deployment,
  replicaSets: ReplicaSet[],
  pods: Pod[],
  now: number,
): Standing {
  const judged = judge({ deployment, replicaSets, pods }, { port: undefined, now, unschedulableFor });
  const isSeen = deployment.status?.observedGeneration === deployment.metadata.generation;
  const isReady = isSeen && judged.ready >= judged.wanted;
  return { isReady, message: judged.message, failure: isReady ? null : judged.failure, pods: judged.pods };
}

/** A StatefulSet or a DaemonSet: what its controller counts, and what its pods say. */
export function standingOfSet(workload: Workload, pods: Pod[], now: number): Standing {
  const { status = {}, spec, metadata } = workload;
  const isDaemons = status.desiredNumberScheduled !== undefined;
  const wanted = isDaemons ? (status.desiredNumberScheduled ?? 0) : (spec.replicas ?? 1);
  const ready = (isDaemons ? status.numberReady : status.readyReplicas) ?? 0;
  const updated =
    (isDaemons
      ? status.updatedNumberScheduled
      : status.updateRevision === status.currentRevision
        ? status.readyReplicas
        : status.updatedReplicas) ?? 0;
  const own = pods.filter(
    (pod) => isOwnedBy(pod, metadata.uid) && pod.metadata.deletionTimestamp === undefined,
  );
  const isSeen = status.observedGeneration === metadata.generation;
  const isReady = isSeen && ready >= wanted && updated >= wanted;
  let failure: Failure | null = null;
  for (const pod of isReady ? [] : own)
    failure ??= podFailure(pod, { port: undefined, now, unschedulableFor }) ?? null;
  return { isReady, message: `${Math.min(ready, updated)} of ${wanted} pods ready`, failure, pods: own };
}

async function failed(
  title: string,
  failure: Failure,
  client: KubernetesClient,
  log: Log,
): Promise<DeployError> {
  return new DeployError('start_failed', `${title} cannot start: ${failure.message}`, {
    remedy: remedyFor(failure.reason),
    details: await evidenceOf(client, log, failure.pod, failure.container),
  });
}

async function late(
  title: string,
  message: string,
  standing: Standing | undefined,
  client: KubernetesClient,
  { deadline, log }: WaitOptions,
): Promise<DeployError> {
  const pod = standing?.pods.find((one) => !isPodReady(one)) ?? standing?.pods[0];
  const container = pod?.status?.containerStatuses?.find(({ ready }) => !ready)?.name ?? null;
  return new DeployError(
    'not_ready',
    `${title} did not become ready within ${Math.round(deadline.total / 1_000)} s: ${message}`,
    {
      details: await evidenceOf(client, log, pod?.metadata.name ?? null, container),
      remedy: 'Look at the last log lines and events, correct the cause, and apply again.',
    },
  );
}
