export * from './client.ts';
export * from './colours.ts';
export { ApiError, statusOf } from './errors.ts';
export * from './kubeconfig.ts';
export * from './merge-patch.ts';
export * from './objects.ts';
export * from './state-store.ts';
export * from './substitute-images.ts';
