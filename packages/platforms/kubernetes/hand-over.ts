import { DeployError, type Log, sleep } from '@deploy-actions/core';
import {
  type KubernetesClient,
  type Pod,
  type ReplicaSet,
  resources,
  selectorQuery,
  type Workload,
} from '@deploy-actions/kubernetes';
import type { Fence } from '@deploy-actions/release-engine';
import { isPodReady } from './readiness.ts';

/** On a pod that was taken out of its Service to be drained: the uid of its workload. */
const leavingLabel = 'deploy-actions.dev/leaving';
/** What minReadySeconds was before it was raised to hold the controller back; empty: not given. */
const heldAnnotation = 'deploy-actions.dev/min-ready-seconds';

/** What Kubernetes takes where progressDeadlineSeconds is not given. */
const defaultProgressDeadline = 600;
const attempts = 8;

/**
 * Pods that run already cannot be given a preStop hook, so the first update to a template that has one would stop them
 * as abruptly as ever. They are handed over instead: the Deployment's controller is held back by minReadySeconds, which
 * keeps it from giving up old pods, and for each new pod that is ready one old pod is taken out of the Service by its
 * labels, goes on serving the connections that it has, and is stopped when everybody has learned of it.
 */
export function held(workload: Workload): Workload {
  const changed = structuredClone(workload);
  const { spec, metadata } = changed;
  const annotations = metadata.annotations ?? {};
  metadata.annotations = {
    ...annotations,
    [heldAnnotation]: annotations[heldAnnotation] ?? String(spec.minReadySeconds ?? ''),
  };
  // The API wants progressDeadlineSeconds to be greater.
  spec.minReadySeconds = (spec.progressDeadlineSeconds ?? defaultProgressDeadline) - 1;
  return changed;
}

/** The same workload with its own minReadySeconds again. */
export function unheld(workload: Workload): Workload {
  const before = workload.metadata.annotations?.[heldAnnotation];
  if (before === undefined) return workload;
  const changed = structuredClone(workload);
  delete changed.metadata.annotations?.[heldAnnotation];
  if (before === '') delete changed.spec.minReadySeconds;
  else changed.spec.minReadySeconds = Number(before);
  return changed;
}

export interface HandOverOptions {
  client: KubernetesClient;
  /** Seconds that a pod goes on serving after it was taken out of the Service. */
  seconds: number;
  fence: Fence;
  log: Log;
}

/** What is there of a Deployment in the middle of an update. */
export interface Halves {
  workload: Workload;
  wanted: number;
  newReady: number;
  /** Pods of other templates that are not leaving. */
  old: Pod[];
  replicaSets: ReplicaSet[];
}

export interface HandOver {
  /** Lets go of as many old pods as new ones have taken over from. */
  step(halves: Halves): Promise<void>;
  /** Waits until the last of them was stopped. */
  end(signal: AbortSignal): Promise<void>;
}

export function createHandOver({ client, seconds, fence, log }: HandOverOptions): HandOver {
  const released = new Map<string, { name: string; at: number }>();
  const due = () => performance.now() - seconds * 1_000;

  /** One pod fewer of a ReplicaSet, which would replace it otherwise. */
  async function shrink(workload: Workload, owner: string, to?: number): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const query = { labelSelector: selectorQuery(workload.spec.selector) };
      const set = (await client.list(resources.replicaSets, query)).items.find(
        ({ metadata }) => metadata.uid === owner,
      );
      const replicas = set?.spec.replicas ?? 0;
      if (set === undefined || replicas === 0) return;
      const wanted = to ?? replicas - 1;
      try {
        await client.change(resources.replicaSets, {
          patch: { spec: { replicas: wanted } },
          from: set,
          isMade: ({ spec }) => spec.replicas === wanted,
        });
        return;
      } catch (thrown) {
        const isConflict = thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
        if (!isConflict || attempt >= attempts) throw thrown;
      }
    }
  }

  async function release(pod: Pod, workload: Workload): Promise<void> {
    const { name, uid = '' } = pod.metadata;
    const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true)?.uid ?? '';
    await fence.check();
    log.debug(`${name} is taken out of the Service; it is stopped in ${seconds} s.`);
    await client.change(resources.pods, {
      patch: { metadata: { labels: leavingLabels(pod, workload) } },
      from: pod,
      isMade: ({ metadata }) => metadata.labels?.[leavingLabel] !== undefined,
    });
    released.set(uid, { name, at: performance.now() });
    await shrink(workload, owner);
  }

  async function stopDue(): Promise<void> {
    for (const [uid, { name, at }] of released) {
      if (at > due() || name === '') continue;
      await fence.check();
      await client.remove(resources.pods, name);
      released.set(uid, { name: '', at });
    }
  }

  return {
    async step({ workload, wanted, newReady, old, replicaSets }) {
      await stopDue();
      const ready = old.filter((pod) => isPodReady(pod) && !released.has(pod.metadata.uid ?? ''));
      const surplus = Math.min(ready.length, newReady + ready.length - wanted);
      for (const pod of ready.slice(0, Math.max(0, surplus))) {
        try {
          await release(pod, workload);
        } catch (thrown) {
          // Its status moved, or it is gone: the next look tells.
          if (
            !(thrown instanceof DeployError) ||
            !['state_conflict', 'not_found'].includes(thrown.reasonCode)
          )
            throw thrown;
        }
      }
      if (ready.length > 0 || newReady < wanted) return;
      // What is left of the old pods serves nobody.
      const owners = new Set(
        old.flatMap(({ metadata }) => metadata.ownerReferences ?? []).map(({ uid }) => uid),
      );
      for (const set of replicaSets) {
        if (!owners.has(set.metadata.uid ?? '') || (set.spec.replicas ?? 0) === 0) continue;
        await fence.check();
        await shrink(workload, set.metadata.uid ?? '', 0);
      }
    },

    async end(signal) {
      for (;;) {
        await stopDue();
        const next = [...released.values()].find(({ name }) => name !== '');
        if (next === undefined) return;
        await sleep(Math.max(10, next.at - due()), signal, 'draining the old pods');
      }
    },
  };
}

/** Takes away every label that a Service or ReplicaSet may look for. */
function leavingLabels(pod: Pod, workload: Workload): Record<string, string | null> {
  return {
    ...Object.fromEntries(Object.keys(pod.metadata.labels ?? {}).map((key) => [key, null])),
    [leavingLabel]: workload.metadata.uid ?? '',
  };
}

/** Stops the pods that a killed run had taken out of the Service. */
export async function stopLeaving(client: KubernetesClient, workload: Workload, fence: Fence): Promise<void> {
  const uid = workload.metadata.uid ?? '';
  if (uid === '') return;
  const { items } = await client.list(resources.pods, { labelSelector: `${leavingLabel}=${uid}` });
  for (const { metadata } of items) {
    if (metadata.deletionTimestamp !== undefined) continue;
    await fence.check();
    await client.remove(resources.pods, metadata.name);
  }
}
