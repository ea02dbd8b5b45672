import type { connectKubernetes as Connect } from './connect-kubernetes.ts';

export * from './analysis.ts';
export * from './delivery.ts';
export * from './hold.ts';
export * from './inputs.ts';
export * from './cluster-inputs.ts';
export * from './kubernetes-inputs.ts';
export * from './open.ts';
export * from './outputs.ts';
export * from './state.ts';
export * from './tracked.ts';
export * from './workload-inputs.ts';
export type * from './rolling.ts';

/** Loaded where it is needed: what speaks to a cluster is large. */
export const connectKubernetes: typeof Connect = async (...given) =>
  (await import('./connect-kubernetes.ts')).connectKubernetes(...given);

export const loadRolling = () => import('./rolling.ts');
