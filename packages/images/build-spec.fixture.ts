import type { BuildSpec } from './build-spec.ts';

/** An image that says nothing but what `own` says. */
export const specWith = (own: Partial<BuildSpec> = {}): BuildSpec => ({
  name: 'backend',
  repository: 'ghcr.io/acme/backend',
  context: '.',
  dockerfile: 'Dockerfile',
  target: null,
  args: {},
  labels: {},
  secrets: {},
  platforms: [],
  cache: 'none',
  hostNetwork: false,
  cpuShares: null,
  ...own,
});
