import { mkdir, mkdtemp, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeployError } from '@deploy-actions/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loginForBuild } from './docker-login.ts';
import type { RegistryCredential } from './registry/index.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'login-'));
  await mkdir(join(folder, 'docker/cli-plugins'), { recursive: true });
  await writeFile(
    join(folder, 'docker/config.json'),
    JSON.stringify({ auths: { 'other.example': { auth: 'eDp5' } }, credsStore: 'desktop', proxies: {} }),
  );
});
afterEach(() => rm(folder, { recursive: true }));

const login = (
  credentials: (registry: string) => RegistryCredential | undefined,
  masked: string[] = [],
  bases: string[] = [],
) =>
  loginForBuild({
    bases,
    registries: ['ghcr.io', 'ghcr.io', 'docker.io', 'none.example'],
    credentials: async (registry) => credentials(registry),
    environment: { DOCKER_CONFIG: join(folder, 'docker'), PATH: '/bin' },
    temp: join(folder, 'temp'),
    mask: (secret) => void masked.push(secret),
  });

it('logs docker in for one build, and leaves no trace of it', async () => {
  const masked: string[] = [];
  const {
    environment,
    folder: own = '',
    remove,
  } = await login((registry) => {
    if (registry === 'ghcr.io') return { kind: 'password', username: 'me', password: 's3cret' };
    return registry === 'docker.io' ? { kind: 'identity-token', token: 'refresh' } : undefined;
  }, masked);
  expect(environment).toMatchObject({ DOCKER_CONFIG: own, PATH: '/bin' });
  expect((await stat(own)).mode & 0o777).toBe(0o700);
  expect((await stat(join(own, 'config.json'))).mode & 0o777).toBe(0o600);
  expect(JSON.parse(await readFile(join(own, 'config.json'), 'utf8'))).toEqual({
    proxies: {},
    auths: {
      'other.example': { auth: 'eDp5' },
      'ghcr.io': { auth: Buffer.from('me:s3cret').toString('base64') },
      'https://index.docker.io/v1/': expect.objectContaining({ identitytoken: 'refresh' }),
    },
  });
  expect(await readlink(join(own, 'cli-plugins'))).toBe(join(folder, 'docker/cli-plugins'));
  expect(masked).toContain(Buffer.from('me:s3cret').toString('base64'));
  await remove();
  await expect(stat(own)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(readFile(join(folder, 'docker/config.json'), 'utf8')).resolves.toContain('desktop');
});

it('writes nothing where there is no login', async () => {
  const { environment, folder: own } = await login(() => undefined);
  expect(own).toBeUndefined();
  expect(environment['DOCKER_CONFIG']).toBe(join(folder, 'docker'));
});

it('leaves other registries to their helpers, and takes those of bases out of a store that is not asked any more', async () => {
  const helpers = {
    '123.dkr.ecr.eu-west-1.amazonaws.com': 'ecr-login',
    'https://ghcr.io': 'other',
    'broken.example': 'absent',
  };
  await writeFile(
    join(folder, 'docker/config.json'),
    JSON.stringify({ credsStore: 'desktop', credHelpers: helpers, auths: { 'https://ghcr.io/v2/': {} } }),
  );
  const { folder: own = '', remove } = await login(
    (registry) => {
      if (registry === 'broken.example')
        throw new DeployError('permission_denied', 'There is no docker-credential-absent.');
      return registry === 'ghcr.io' || registry === 'base.example'
        ? { kind: 'password', username: 'me', password: registry }
        : undefined;
    },
    [],
    ['base.example', '123.dkr.ecr.eu-west-1.amazonaws.com', 'broken.example'],
  );
  const auth = (password: string) => ({ auth: Buffer.from(`me:${password}`).toString('base64') });
  expect(JSON.parse(await readFile(join(own, 'config.json'), 'utf8'))).toEqual({
    credHelpers: { '123.dkr.ecr.eu-west-1.amazonaws.com': 'ecr-login', 'broken.example': 'absent' },
    auths: { 'ghcr.io': auth('ghcr.io'), 'base.example': auth('base.example') },
  });
  await remove();
});

it('does not push where the login cannot be told', async () => {
  const refused = login((registry) => {
    throw new DeployError('permission_denied', `no login at ${registry}`);
  });
  await expect(refused).rejects.toMatchObject({ reasonCode: 'permission_denied' });
});
