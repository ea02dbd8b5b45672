export * from './audit.ts';
export * from './diff.ts';
export * from './facts.ts';
export * from './freeze.ts';
export * from './ledger.ts';
