import { DeployError, isRecord, type Log } from '@deploy-actions/core';
import {
  type Autoscaler,
  floorAnnotation,
  type KubernetesClient,
  resources,
} from '@deploy-actions/kubernetes';
import type { Fence } from '@deploy-actions/release-engine';

/** HorizontalPodAutoscalers by the name of the Deployment that they scale. */
export type Autoscalers = ReadonlyMap<string, Autoscaler>;

interface Floor {
  /** Null: none was given. */
  was: number | null;
  set: number;
}

export function byTarget(autoscalers: readonly Autoscaler[]): Autoscalers {
  return new Map(
    autoscalers
      .filter(({ spec }) => spec.scaleTargetRef.kind === 'Deployment')
      .map((one) => [one.spec.scaleTargetRef.name, one]),
  );
}

/** What a release raised minReplicas to; undefined when it did not. */
export function floorOf({ metadata }: Autoscaler): Floor | undefined {
  const text = metadata.annotations?.[floorAnnotation];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value) || typeof value['set'] !== 'number') return undefined;
    return { was: typeof value['was'] === 'number' ? value['was'] : null, set: value['set'] };
  } catch {
    return undefined;
  }
}

/** How often a write is tried again: an autoscaler's status moves it every 15 s. */
const conflictsAllowed = 8;

/** One write, decided anew whenever the autoscaler moved under it. */
async function write(
  client: KubernetesClient,
  autoscaler: Autoscaler,
  fence: Fence,
  decide: (current: Autoscaler) => Record<string, unknown> | undefined,
  isMade: (current: Autoscaler) => boolean,
): Promise<void> {
  let current = autoscaler;
  for (let conflicts = 0; ; conflicts += 1) {
    const patch = decide(current);
    if (patch === undefined) return;
    await fence.check();
    try {
      await client.change(resources.autoscalers, { patch, from: current, isMade });
      return;
    } catch (thrown) {
      const isConflict = thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
      if (!isConflict || conflicts >= conflictsAllowed) throw thrown;
      current = await client.get(resources.autoscalers, autoscaler.metadata.name);
    }
  }
}

/**
 * Keeps an autoscaler from making a Deployment smaller than `pods` until {@link lowerFloor}: one without load would, in the
 * time until it has the traffic, or after it lost it and before it is known not to be needed any more. Within its maximum.
 */
export async function raiseFloor(
  client: KubernetesClient,
  autoscaler: Autoscaler,
  pods: number,
  fence: Fence,
  log: Log,
): Promise<void> {
  const set = Math.min(pods, autoscaler.spec.maxReplicas);
  const decide = (current: Autoscaler) => {
    const { minReplicas } = current.spec;
    if ((minReplicas ?? 1) >= set) return undefined;
    const floor: Floor = { was: floorOf(current)?.was ?? minReplicas ?? null, set };
    log.info(
      `HorizontalPodAutoscaler ${current.metadata.name}: minReplicas ${minReplicas ?? 1} → ${set} for the time of the release.`,
    );
    return {
      metadata: { annotations: { [floorAnnotation]: JSON.stringify(floor) } },
      spec: { minReplicas: set },
    };
  };
  await write(
    client,
    autoscaler,
    fence,
    decide,
    (current) => current.spec.minReplicas === set && floorOf(current)?.set === set,
  );
}

/** Gives an autoscaler back the minReplicas that it had, unless somebody changed it meanwhile. */
export async function lowerFloor(
  client: KubernetesClient,
  autoscaler: Autoscaler,
  fence: Fence,
  log: Log,
): Promise<void> {
  const decide = (current: Autoscaler) => {
    const floor = floorOf(current);
    if (floor === undefined) return undefined;
    const isOurs = current.spec.minReplicas === floor.set;
    if (isOurs) {
      log.info(
        `HorizontalPodAutoscaler ${current.metadata.name}: minReplicas ${floor.set} → ${floor.was ?? 1}, as before the release.`,
      );
    }
    return {
      metadata: { annotations: { [floorAnnotation]: null } },
      ...(isOurs ? { spec: { minReplicas: floor.was } } : {}),
    };
  };
  await write(client, autoscaler, fence, decide, (current) => floorOf(current) === undefined);
}

/** The pods that a slot without traffic needs before it may get it: as many as serve, where an autoscaler decides on them. */
export function enoughFor(
  { own, serving }: { own: Autoscaler | undefined; serving: Autoscaler | undefined },
  servingReplicas: number,
): number {
  if (own === undefined && serving === undefined) return 0;
  // While a release is under way, what it began with is enough to go back to.
  const floor = own === undefined ? undefined : floorOf(own);
  if (floor !== undefined) return floor.set;
  return Math.min(servingReplicas, own?.spec.maxReplicas ?? servingReplicas);
}
