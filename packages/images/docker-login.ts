import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeployError, isRecord, type Json, orUndefinedIfMissing } from '@deploy-actions/core';
import { type RegistryCredential, type RegistryCredentials, registryName } from './registry/index.ts';

export interface DockerLogin {
  /** The environment with which docker finds the logins. */
  environment: NodeJS.ProcessEnv;
  /** Where they are, to be removed; undefined where nothing was written. */
  folder: string | undefined;
  remove(): Promise<void>;
}

/** By what name docker's configuration has a registry. */
const keyOf = (registry: string) => (registry === 'docker.io' ? 'https://index.docker.io/v1/' : registry);

function entryOf(credential: RegistryCredential): Record<string, string> {
  switch (credential.kind) {
    case 'password':
      return {
        auth: Buffer.from(`${credential.username}:${credential.password}`).toString('base64'),
      };
    case 'identity-token':
      return {
        auth: Buffer.from('00000000-0000-0000-0000-000000000000:').toString('base64'),
        identitytoken: credential.token,
      };
    case 'bearer':
      return { registrytoken: credential.token };
  }
}

async function readJson(file: string): Promise<Record<string, Json>> {
  const text = await orUndefinedIfMissing(readFile(file, 'utf8'));
  if (text === undefined) return {};
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? (value as Record<string, Json>) : {};
  } catch {
    // Docker itself refuses it, and says so.
    return {};
  }
}

/** What is known of a registry that is only read from. Where that cannot be told, it is docker's to ask or to do without. */
async function ofBase(
  registry: string,
  credentials: RegistryCredentials,
): Promise<RegistryCredential | undefined> {
  try {
    return await credentials(registry);
  } catch (thrown) {
    if (!(thrown instanceof DeployError) || thrown.reasonCode === 'cancelled') throw thrown;
    return undefined;
  }
}

/**
 * Logs docker in at registries for the time of a build, in a configuration of its own below `temp`: what `docker login` keeps on a
 * runner stays as it is, and no password is on a command line. Plugins, contexts and builders are those of the runner, and so are the
 * helpers of registries that are not written. A store that would be asked for all of them is not, so that `bases` are written as well.
 */
export async function loginForBuild(options: {
  /** Where images are pushed to. */
  registries: readonly string[];
  /** Where bases are taken from. */
  bases: readonly string[];
  credentials: RegistryCredentials;
  environment: NodeJS.ProcessEnv;
  temp: string;
  mask(secret: string): void;
}): Promise<DockerLogin> {
  const { credentials, environment, temp, mask } = options;
  const own = environment['DOCKER_CONFIG'] ?? '';
  const usual = own === '' ? join(environment['HOME'] ?? '/', '.docker') : own;
  const auths: Record<string, Json> = {};
  const pushed = new Set(options.registries);
  for (const registry of new Set([...pushed, ...options.bases])) {
    const credential = await (pushed.has(registry) ? credentials(registry) : ofBase(registry, credentials));
    if (credential === undefined) continue;
    const entry = entryOf(credential);
    for (const secret of Object.values(entry)) mask(secret);
    auths[keyOf(registry)] = entry;
  }
  if (Object.keys(auths).length === 0) return { environment, folder: undefined, remove: async () => {} };
  await mkdir(temp, { recursive: true });
  // Of mode 0700.
  const folder = await mkdtemp(join(temp, 'docker-config-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    for (const name of (await orUndefinedIfMissing(readdir(usual))) ?? []) {
      if (name !== 'config.json') await symlink(join(usual, name), join(folder, name));
    }
    // A store of credentials, or the helper of a registry, would be asked instead of what is written here.
    const {
      credsStore: _store,
      credHelpers,
      auths: kept,
      ...settings
    } = await readJson(join(usual, 'config.json'));
    const written = new Set(Object.keys(auths).map(registryName));
    const others = (said: Json | undefined) =>
      Object.entries(isRecord(said) ? said : {}).filter(([key]) => !written.has(registryName(key)));
    const helpers = others(credHelpers);
    const config = {
      ...settings,
      ...(helpers.length === 0 ? {} : { credHelpers: Object.fromEntries(helpers) }),
      auths: { ...Object.fromEntries(others(kept)), ...auths },
    };
    await writeFile(join(folder, 'config.json'), JSON.stringify(config), { mode: 0o600 });
  } catch (thrown) {
    await remove();
    throw thrown;
  }
  return { environment: { ...environment, DOCKER_CONFIG: folder }, folder, remove };
}
