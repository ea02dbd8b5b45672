import { DeployError } from '@deploy-actions/core';
import type { Fence } from '@deploy-actions/release-engine';
import { fenceAnnotation, leaseAnnotation } from './annotations.ts';
import type { KubernetesObject } from './objects.ts';

/**
 * The token on an object; 0 where there is none. Tokens of one lease alone can be compared: with `lease`, that of another one
 * counts as none, so that what was released alone can be released with others, under their lease.
 */
export function fenceOf({ metadata }: KubernetesObject, lease?: string): number {
  const of = metadata.annotations?.[leaseAnnotation];
  if (lease !== undefined && of !== undefined && of !== lease) return 0;
  const value = Number(metadata.annotations?.[fenceAnnotation] ?? '0');
  return Number.isSafeInteger(value) ? value : 0;
}

/** The annotations that keep older holders of the lease away. */
export function fenceMarks(fence: Fence, lease?: string): Record<string, string> {
  return {
    [fenceAnnotation]: String(fence.token),
    ...(lease === undefined ? {} : { [leaseAnnotation]: lease }),
  };
}

/** Whether an object carries the token of this holder. */
export function isMarked(object: KubernetesObject, fence: Fence, lease?: string): boolean {
  return Object.entries(fenceMarks(fence, lease)).every(
    ([key, value]) => object.metadata.annotations?.[key] === value,
  );
}

/** Says that the object is a newer holder's; `what` is its kind and name. */
export function deposed(object: KubernetesObject, what: string, fence: Fence): DeployError {
  return new DeployError(
    'lock_lost',
    `${what} was taken over by a newer run (fencing token ${fenceOf(object)}; this run has ${fence.token}).`,
    { remedy: 'Look at that run: it decides what serves now.' },
  );
}
