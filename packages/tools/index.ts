export * from './install.ts';
export * from './on-path.ts';
export * from './python-tool.ts';
