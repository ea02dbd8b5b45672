import { DeployError } from '@deploy-actions/core';
import { createKubernetes } from './kubernetes/index.ts';
import { createLinuxHost } from './linux-host/index.ts';

export * from './kubernetes/index.ts';
export * from './linux-host/index.ts';

/** Every platform by the name that deploy.yml and the `platform` input use. There is no default. */
export const platforms = { kubernetes: createKubernetes, 'linux-host': createLinuxHost } as const;

export type PlatformName = keyof typeof platforms;

export const platformNames = Object.keys(platforms) as PlatformName[];

/** Narrows a name to that of a platform; `invalid_input` lists the known ones. */
export function platformNamed(name: string): PlatformName {
  const known = platformNames.find((candidate) => candidate === name);
  if (known === undefined) {
    throw new DeployError('invalid_input', `There is no platform "${name}".`, {
      remedy: `Platforms are: ${platformNames.join(', ')}.`,
    });
  }
  return known;
}
