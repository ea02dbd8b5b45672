export * from './analysis.ts';
export * from './delivery.ts';
export * from './hold.ts';
export * from './inputs.ts';
export * from './open.ts';
export * from './outputs.ts';
export * from './state.ts';
export * from './tracked.ts';
