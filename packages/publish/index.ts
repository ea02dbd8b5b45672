export * from './connection.ts';
export * from './deployment.ts';
export * from './event.ts';
export * from './findings.ts';
export * from './plan.ts';
export * from './reporting.ts';
