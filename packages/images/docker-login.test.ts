import { mkdir, mkdtemp, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

const login = (credentials: (registry: string) => RegistryCredential | undefined, masked: string[] = []) =>
  loginForBuild({
    registries: ['ghcr.io', 'ghcr.io', 'docker.io', 'none.example'],
    credentials: (registry) => Promise.resolve(credentials(registry)),
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
