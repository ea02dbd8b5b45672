export * from './document.ts';
export * from './load.ts';
export * from './parity.ts';
export * from './problems.ts';
