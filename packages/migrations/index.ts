export * from './port.ts';
export * from './lint.ts';
export * from './rules.ts';
export * from './backup.ts';
export { createDjangoMigrator, type DjangoOptions } from './django/index.ts';
