// What `docker` and `docker buildx` are told: by their environment and a folder of configuration, never by the user's own.

import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { output } from '../../support/command.ts';
import { systemPath } from '../../cluster/packages.ts';
import type { Programs } from './programs.ts';

export const builderName = 'deploy-actions';

/**
 * Fills the folder, which must be empty or absent, and resolves with the variables that make `docker` use it: `docker` on PATH
 * is the engine's own, `docker buildx` uses the builder, and no login is there.
 */
export async function dockerEnvironment(
  folder: string,
  programs: Programs,
  builder: string,
  host?: string,
): Promise<Record<string, string>> {
  const bin = join(folder, 'bin');
  await mkdir(join(folder, 'cli-plugins'), { recursive: true });
  await mkdir(bin);
  await symlink(programs.docker, join(bin, 'docker'));
  await symlink(programs.buildx, join(folder, 'cli-plugins', 'docker-buildx'));
  await writeFile(join(folder, 'config.json'), '{}\n');
  const env = {
    PATH: [bin, systemPath].join(delimiter),
    DOCKER_CONFIG: folder,
    BUILDX_BUILDER: builderName,
    ...(host === undefined ? {} : { DOCKER_HOST: host }),
  };
  await addBuilder(env, builderName, builder);
  return env;
}

/** Makes a builder known under a name. */
export async function addBuilder(env: Record<string, string>, name: string, address: string): Promise<void> {
  await output('docker', ['buildx', 'create', '--name', name, '--driver', 'remote', address], {
    env: { ...process.env, ...env },
  });
}
