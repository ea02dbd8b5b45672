export { targetPortOf } from './direct-check.ts';
export { createBell, type Bell } from './bell.ts';
export { evidenceOf, remedyFor } from './evidence.ts';
export { createKubernetes, type KubernetesOptions } from './kubernetes.ts';
export { type KubernetesRelease, revisionOf as kubernetesRevision } from './release.ts';
export { type Failure, isOwnedBy, isPodReady, judge, podFailure } from './readiness.ts';
export { held, unheld } from './hand-over.ts';
export * from './rolling-change.ts';
export { createRollout, type PodRevision, type Rollout, type WaitOptions } from './rollout.ts';
