import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { silentLog } from '@deploy-actions/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseChallenge } from './challenge.ts';
import { checkLogin, type LoginInputs, registryAccess } from './login.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'docker-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

const secret = randomBytes(12).toString('hex');
const none: Partial<LoginInputs> = { 'oidc-exchange-as': 'form' };

/** What a step with these inputs and this config.json logs in with. */
async function loginAt(
  registry: string,
  config: object | string,
  inputs: Partial<LoginInputs> = {},
  environment: NodeJS.ProcessEnv = {},
) {
  await writeFile(join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  const masked: string[] = [];
  const { credentials } = registryAccess({ ...none, ...inputs } as LoginInputs, {
    environment: { PATH: `${folder}:${process.env['PATH']}`, DOCKER_CONFIG: folder, ...environment },
    log: silentLog,
    signal: new AbortController().signal,
    mask: (text) => masked.push(text),
  });
  return { credential: await credentials(registry), masked };
}

async function helper(name: string, script: string): Promise<void> {
  const file = join(folder, `docker-credential-${name}`);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
}

const password = { kind: 'password', username: 'robot', password: secret };
const auth = Buffer.from(`robot:${secret}`).toString('base64');

describe("Docker's configuration", () => {
  it.each([
    ['ghcr.io', { auths: { 'ghcr.io': { auth } } }, password],
    ['ghcr.io', { auths: { 'https://ghcr.io/v2/': { auth } } }, password],
    ['docker.io', { auths: { 'https://index.docker.io/v1/': { auth } } }, password],
    ['localhost:5000', { auths: { 'localhost:5000': { username: 'robot', password: secret } } }, password],
    [
      'acme.azurecr.io',
      { auths: { 'acme.azurecr.io': { auth, identitytoken: secret } } },
      { kind: 'identity-token', token: secret },
    ],
    ['ghcr.io', { auths: { 'ghcr.io': { registrytoken: secret } } }, { kind: 'bearer', token: secret }],
    ['quay.io', { auths: { 'ghcr.io': { auth } } }, undefined],
    ['ghcr.io', {}, undefined],
  ])('has the login of %s', async (registry, config, credential) => {
    expect((await loginAt(registry, config)).credential).toEqual(credential);
  });

  it('is not needed', async () => {
    expect(
      (await loginAt('ghcr.io', {}, {}, { DOCKER_CONFIG: join(folder, 'none') })).credential,
    ).toBeUndefined();
  });

  it.each(['{"auths": {"ghcr.io": {"auth": "', '[]', '{"auths":{"ghcr.io":{"auth":"bm8="}}}'])(
    'is refused where it is broken, without its content: %s',
    async (config) => {
      await expect(loginAt('ghcr.io', config)).rejects.toMatchObject({
        reasonCode: 'invalid_input',
        message: expect.not.stringContaining('bm8=') as string,
      });
    },
  );

  it('asks the helper of a registry, and masks what it says', async () => {
    await helper(
      'own',
      `read server; [ "$server" = ghcr.io ] && echo '{"ServerURL":"x","Username":"robot","Secret":"${secret}"}'`,
    );
    const { credential, masked } = await loginAt('ghcr.io', {
      credHelpers: { 'ghcr.io': 'own' },
      credsStore: 'absent',
    });
    expect(credential).toEqual(password);
    expect(masked).toContain(secret);
  });

  it('asks the store for Docker Hub by its old name, and for an identity token', async () => {
    await helper(
      'store',
      `read server; [ "$server" = https://index.docker.io/v1/ ] && echo '{"Username":"<token>","Secret":"${secret}"}'`,
    );
    const { credential } = await loginAt('docker.io', {
      credsStore: 'store',
      auths: { 'https://index.docker.io/v1/': {} },
    });
    expect(credential).toEqual({ kind: 'identity-token', token: secret });
  });

  it('is anonymous where the store has nothing', async () => {
    await helper('store', 'echo "credentials not found in native keychain"; exit 1');
    expect((await loginAt('ghcr.io', { credsStore: 'store' })).credential).toBeUndefined();
  });

  it('says so when a helper fails or is missing', async () => {
    await helper('store', 'echo "the keychain is locked" >&2; exit 1');
    await expect(loginAt('ghcr.io', { credsStore: 'store' })).rejects.toMatchObject({
      reasonCode: 'permission_denied',
      message: expect.stringContaining('the keychain is locked') as string,
    });
    await expect(loginAt('ghcr.io', { credsStore: 'absent' })).rejects.toMatchObject({
      reasonCode: 'permission_denied',
      remedy: expect.stringContaining('docker-credential-absent') as string,
    });
    await expect(loginAt('ghcr.io', { credsStore: '../bad' })).rejects.toMatchObject({
      reasonCode: 'invalid_input',
    });
  });
});

describe('the inputs of a login', () => {
  it('go before what is on the runner, for their registry alone', async () => {
    const inputs = { registry: 'ghcr.io', username: 'other', password: 'given' };
    const config = { auths: { 'ghcr.io': { auth }, 'quay.io': { auth } } };
    expect((await loginAt('ghcr.io', config, inputs)).credential).toMatchObject({ username: 'other' });
    expect((await loginAt('quay.io', config, inputs)).credential).toEqual(password);
  });

  it.each([
    [{ registry: 'ghcr.io', username: 'a' }, 'password'],
    [{ registry: 'ghcr.io', password: 'a' }, 'username'],
    [{ username: 'a', password: 'b' }, 'registry'],
    [{ registry: 'ghcr.io', username: 'a', password: 'b', 'oidc-audience': 'c' }, 'oidc-audience'],
    [{ 'oidc-exchange-url': new URL('https://x.example') }, 'oidc-exchange-url'],
  ])('have to be complete: %o', (inputs, wrong) => {
    expect(checkLogin(inputs).map(({ input }) => input)).toEqual([wrong]);
  });

  it('may be none', () => {
    expect(checkLogin({})).toEqual([]);
  });
});

describe('the login of a workflow', () => {
  async function issuer() {
    const asked: { url: string; authorization: string | undefined; body: string }[] = [];
    const server = createServer((request, response) => {
      void buffer(request).then((body) => {
        const { url = '', headers } = request;
        asked.push({ url, authorization: headers.authorization, body: body.toString() });
        response.end(
          JSON.stringify(url.startsWith('/token') ? { value: `jwt-${secret}` } : { access_token: secret }),
        );
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { server, asked, base: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }

  it('shows the token of the job, or what it is exchanged for', async () => {
    const { server, asked, base } = await issuer();
    try {
      const environment = {
        ACTIONS_ID_TOKEN_REQUEST_URL: `${base}/token?api-version=2.0`,
        ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'right',
      };
      const inputs = { registry: 'r.example', username: 'robot', 'oidc-audience': 'r' };
      const direct = await loginAt('r.example', {}, inputs, environment);
      expect(direct.credential).toEqual({ ...password, password: `jwt-${secret}` });
      expect(direct.masked).toContain(`jwt-${secret}`);
      expect(asked[0]).toMatchObject({
        url: '/token?api-version=2.0&audience=r',
        authorization: 'Bearer right',
      });
      const exchange = {
        ...inputs,
        'oidc-exchange-url': new URL(`${base}/exchange`),
        'oidc-exchange-fields': { provider_name: 'github' },
      };
      const exchanged = await loginAt('r.example', {}, exchange, environment);
      expect(exchanged.credential).toEqual(password);
      expect(exchanged.masked).toContain(secret);
      expect(Object.fromEntries(new URLSearchParams(asked.at(-1)?.body))).toMatchObject({
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: `jwt-${secret}`,
        provider_name: 'github',
      });
      await loginAt('r.example', {}, { ...exchange, 'oidc-exchange-as': 'json' }, environment);
      expect(JSON.parse(asked.at(-1)?.body ?? '')).toMatchObject({
        subject_token: `jwt-${secret}`,
        provider_name: 'github',
      });
    } finally {
      server.close();
    }
  });

  it('says which right the job lacks', async () => {
    const inputs = { registry: 'r.example', username: 'robot', 'oidc-audience': 'r' };
    await expect(loginAt('r.example', {}, inputs)).rejects.toMatchObject({
      reasonCode: 'permission_denied',
      remedy: expect.stringContaining('id-token: write') as string,
    });
  });
});

describe('a challenge', () => {
  it.each([
    ['Basic realm="x"', { scheme: 'basic' }],
    [
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
      {
        scheme: 'bearer',
        realm: 'https://auth.docker.io/token',
        service: 'registry.docker.io',
        scope: 'repository:a/b:pull,push',
      },
    ],
    [
      'bearer realm=https://a.example/t',
      { scheme: 'bearer', realm: 'https://a.example/t', service: '', scope: '' },
    ],
    [
      'Basic realm="x", Bearer realm="https://a.example/t"',
      { scheme: 'bearer', realm: 'https://a.example/t', service: '', scope: '' },
    ],
    ['Digest realm="x"', undefined],
    [null, undefined],
  ])('is read: %s', (header, challenge) => {
    expect(parseChallenge(header)).toEqual(challenge);
  });
});
