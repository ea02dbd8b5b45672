export * from './environment.ts';
export * from './errors.ts';
export * from './json.ts';
export * from './process.ts';
export * from './progress.ts';
export * from './reason-codes.ts';
export * from './time.ts';
export * from './yaml.ts';
