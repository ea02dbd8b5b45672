import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  DeployError,
  isRecord,
  messageOf,
  orUndefinedIfMissing,
  runProcess,
  textAt,
} from '@deploy-actions/core';
import { type RegistryCredential, type RegistryCredentials, registryName } from './credential.ts';

export interface DockerConfigOptions {
  /** Of the step: DOCKER_CONFIG, HOME, and PATH for the helpers. */
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
  mask(secret: string): void;
}

/** Docker Hub is kept under the address that it had in the beginning. */
const hub = 'https://index.docker.io/v1/';

/**
 * What `docker login` and the login actions of the clouds left on this machine: `config.json` with credentials in it, or with the
 * names of programs that keep them (`credHelpers`, `credsStore`), which are asked. Format:
 * https://docs.docker.com/reference/cli/docker/login/#credential-stores, https://github.com/docker/docker-credential-helpers
 */
export function dockerConfigCredentials(options: DockerConfigOptions): RegistryCredentials {
  const { environment } = options;
  const folder = environment['DOCKER_CONFIG'] || join(environment['HOME'] || homedir(), '.docker');
  const file = join(folder, 'config.json');
  let config: Promise<Record<string, unknown>> | undefined;
  return async (registry) => {
    config ??= readConfig(file);
    const { auths, credHelpers, credsStore } = await config;
    const own = isRecord(credHelpers) ? nameAt(credHelpers, registry) : undefined;
    const helper = own ?? (typeof credsStore === 'string' && credsStore !== '' ? credsStore : undefined);
    if (helper !== undefined) {
      const kept = await askHelper(helper, registry === 'docker.io' ? hub : registry, file, options);
      if (kept !== undefined || own !== undefined) return kept;
    }
    return isRecord(auths) ? credentialOf(auths, registry, file) : undefined;
  };
}

async function readConfig(file: string): Promise<Record<string, unknown>> {
  const text = await orUndefinedIfMissing(readFile(file, 'utf8'));
  if (text === undefined) return {};
  try {
    const parsed: unknown = JSON.parse(text);
    if (isRecord(parsed)) return parsed;
  } catch {
    // The message would quote the file.
  }
  throw broken(file, 'is not a JSON object');
}

function broken(file: string, how: string): DeployError {
  return new DeployError('invalid_input', `The Docker configuration ${file} ${how}.`, {
    remedy: 'Log in again with `docker login` or the login action of the registry, or mend the file.',
  });
}

function keysOf(registry: string): (key: string) => boolean {
  return (key) => registryName(key) === registry;
}

function nameAt(helpers: Record<string, unknown>, registry: string): string | undefined {
  const key = Object.keys(helpers).find(keysOf(registry));
  return key === undefined ? undefined : textAt(helpers, key) || undefined;
}

function credentialOf(
  auths: Record<string, unknown>,
  registry: string,
  file: string,
): RegistryCredential | undefined {
  for (const [key, entry] of Object.entries(auths)) {
    if (!keysOf(registry)(key) || !isRecord(entry)) continue;
    const identity = textAt(entry, 'identitytoken');
    if (identity !== '') return { kind: 'identity-token', token: identity };
    const bearer = textAt(entry, 'registrytoken');
    if (bearer !== '') return { kind: 'bearer', token: bearer };
    const auth = textAt(entry, 'auth');
    // With a credential store the entry is there and empty.
    if (auth === '') {
      const [username, password] = [textAt(entry, 'username'), textAt(entry, 'password')];
      if (username !== '' && password !== '') return { kind: 'password', username, password };
      continue;
    }
    const decoded = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
    const colon = decoded.indexOf(':');
    if (colon < 1) throw broken(file, `has no user name and password in \`auth\` of ${key}`);
    return { kind: 'password', username: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
  }
  return undefined;
}

async function askHelper(
  name: string,
  server: string,
  file: string,
  { environment, signal, mask }: DockerConfigOptions,
): Promise<RegistryCredential | undefined> {
  if (!/^[\w.-]+$/.test(name)) throw broken(file, `names ${JSON.stringify(name)} as its credential helper`);
  const program = `docker-credential-${name}`;
  const failed = (said: string, cause?: unknown) =>
    new DeployError('permission_denied', `${program} gives no credentials for ${server}: ${said}.`, {
      remedy: `Install ${program} and log in with it, or take it out of ${file}, or give \`username\` and \`password\`.`,
      cause,
    });
  let answer: { code: number | null; stdout: string; stderr: string };
  try {
    answer = await runProcess({
      command: [program, 'get'],
      input: `${server}\n`,
      env: environment,
      signal,
      timeout: 60_000,
    });
  } catch (thrown) {
    if (thrown instanceof DeployError && thrown.reasonCode === 'cancelled') throw thrown;
    throw failed(messageOf(thrown).replace(/\.$/, ''), thrown);
  }
  const { code, stdout, stderr } = answer;
  if (code !== 0) {
    // The protocol has no code for it; these are the words of the library that helpers are made with.
    if (
      /credentials not found in native (?:keychain|store)|credentials server URL not found/i.test(
        stdout + stderr,
      )
    )
      return undefined;
    throw failed(
      (stderr.trim() || stdout.trim() || `it ended with ${code ?? 'a signal'}`).split('\n')[0] ?? '',
    );
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(stdout);
  } catch {
    parsed = undefined;
  }
  const [username, secret] = isRecord(parsed)
    ? [textAt(parsed, 'Username'), textAt(parsed, 'Secret')]
    : ['', ''];
  if (secret === '') throw failed('its answer is not the JSON that helpers give');
  mask(secret);
  return username === '<token>'
    ? { kind: 'identity-token', token: secret }
    : { kind: 'password', username, password: secret };
}
