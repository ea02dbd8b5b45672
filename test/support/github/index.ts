export * from './double.ts';
export { faults, type Fault, type Injection } from './faults.ts';
export { actionsBot, type Identity, type Permission, type Permissions, presets } from './tokens.ts';
export type { PullRequest } from './repository.ts';
