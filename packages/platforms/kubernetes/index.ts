export { targetPortOf } from './direct-check.ts';
export { createKubernetes, type KubernetesOptions } from './kubernetes.ts';
export { type KubernetesRelease, revisionOf as kubernetesRevision } from './release.ts';
