import { DeployError } from '@deploy-actions/core';
import type { Fence } from '@deploy-actions/release-engine';
import { fenceAnnotation } from './annotations.ts';
import type { KubernetesObject } from './objects.ts';

export function fenceOf({ metadata }: KubernetesObject): number {
  const value = Number(metadata.annotations?.[fenceAnnotation] ?? '0');
  return Number.isSafeInteger(value) ? value : 0;
}

/** Says that the object is a newer holder's; `what` is its kind and name. */
export function deposed(object: KubernetesObject, what: string, fence: Fence): DeployError {
  return new DeployError(
    'lock_lost',
    `${what} was taken over by a newer run (fencing token ${fenceOf(object)}; this run has ${fence.token}).`,
    { remedy: 'Look at that run: it decides what serves now.' },
  );
}
