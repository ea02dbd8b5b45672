export { held, unheld } from './hand-over.ts';
export { createKubernetes, type KubernetesOptions } from './kubernetes.ts';
export { type KubernetesRelease, revisionOf as kubernetesRevision } from './release.ts';
export * from './rolling-change.ts';
export { createRollout, type PodRevision, type Rollout, type WaitOptions } from './rollout.ts';
