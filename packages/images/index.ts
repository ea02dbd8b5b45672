export * from './registry/index.ts';
export * from './tags.ts';
