export * from './analysis.ts';
export * from './delivery.ts';
export * from './hold.ts';
export * from './inputs.ts';
export * from './kubernetes-inputs.ts';
export * from './open.ts';
export * from './outputs.ts';
export * from './state.ts';
export * from './tracked.ts';
export * from './workload-inputs.ts';
export type * from './rolling.ts';

/** Loaded where it is needed: what speaks to a cluster is large. */
export const loadRolling = () => import('./rolling.ts');
