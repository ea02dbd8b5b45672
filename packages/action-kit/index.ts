export * from './action.ts';
export * from './definition.ts';
export * from './inputs.ts';
export * from './log.ts';
export * from './runner.ts';
export * from './start.ts';
export * from './summary.ts';
export * from './values.ts';
