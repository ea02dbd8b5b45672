export * from './restart-plan.ts';
export * from './restart.ts';
