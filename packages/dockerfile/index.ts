export * from './ignore-file.ts';
export * from './instructions.ts';
export * from './sources.ts';
export * from './variables.ts';
