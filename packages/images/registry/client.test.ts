import { randomBytes } from 'node:crypto';
import { silentLog } from '@deploy-actions/core';
import { afterEach, describe, expect, it } from 'vitest';
import { startFaultProxy } from '../../../test/support/fault-proxy.ts';
import { openRegistries } from './client.ts';
import { anonymous, type RegistryCredential } from './credential.ts';
import { inspectImage } from './inspect.ts';
import { mediaTypes, sha256Of } from './manifest.ts';
import { mergeImages } from './merge.ts';
import { type DoubleOptions, type RegistryDouble, startRegistryDouble } from './test-support.ts';

const path = 'acme/backend';
const both = ['linux/amd64', 'linux/arm64'];
const open: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.stop()));
});

async function double(options?: DoubleOptions): Promise<RegistryDouble> {
  const started = await startRegistryDouble(options);
  open.push(started);
  return started;
}

function client(credential?: RegistryCredential, masked: string[] = []) {
  return openRegistries({
    credentials: credential === undefined ? anonymous : () => Promise.resolve(credential),
    log: silentLog,
    signal: new AbortController().signal,
    mask: (secret) => masked.push(secret),
    patience: { attempts: 4, total: 5_000, pause: 5 },
    timeout: 5_000,
  });
}

async function throughProxy(registry: string) {
  const proxy = await startFaultProxy({ target: `http://${registry}` });
  open.push(proxy);
  return { proxy, image: { registry: proxy.url.replace('http://', ''), path } };
}

describe('reading', () => {
  it('gives the platforms of an image with their sizes and labels, all verified', async () => {
    const registry = await double();
    const digest = registry.addImage(path, 'v1', both, 'one');
    const image = { registry: registry.registry, path };
    const { facts } = await inspectImage(client(), image, 'v1', ['linux/arm64/v8', 'linux/amd64']);
    expect(facts.digest).toBe(digest);
    expect(facts.platforms.map(({ platform }) => platform)).toEqual(both);
    expect(facts.platforms[0]?.labels).toEqual({ 'org.opencontainers.image.version': 'one' });
    expect(facts.platforms[0]?.size).toBeGreaterThan(100);
    expect(registry.violations).toEqual([]);
  });

  it('says undefined for a tag that is not there, at once', async () => {
    const registry = await double();
    expect(await client().resolve({ registry: registry.registry, path }, 'v9')).toBeUndefined();
    expect(registry.requests).toHaveLength(1);
  });

  it('finds the digest where the registry says none', async () => {
    const registry = await double({ saysDigest: false });
    const digest = registry.addImage(path, 'v1', both, 'one');
    expect(await client().resolve({ registry: registry.registry, path }, 'v1')).toMatchObject({ digest });
  });

  it('refuses a platform whose manifest is lost, and one that is not listed', async () => {
    const registry = await double();
    registry.addImage(path, 'v1', both, 'one');
    const image = { registry: registry.registry, path };
    await expect(inspectImage(client(), image, 'v1', ['linux/s390x'])).rejects.toMatchObject({
      reasonCode: 'image_unverified',
      message: expect.stringContaining('linux/s390x') as string,
    });
    const { facts } = await inspectImage(client(), image, 'v1');
    registry.repository(path).manifests.delete(facts.platforms[1]?.digest ?? '');
    await expect(inspectImage(client(), image, 'v1')).rejects.toMatchObject({
      reasonCode: 'image_unverified',
      message: expect.stringContaining('linux/arm64') as string,
    });
  });

  it('refuses bytes that have another digest', async () => {
    const registry = await double();
    const digest = registry.addImage(path, 'v1', both, 'one');
    const stored = registry.repository(path).manifests.get(digest);
    if (stored !== undefined) stored.body = Buffer.from(stored.body.toString().replace('amd64', 'amd46'));
    for (const reference of ['v1', digest]) {
      await expect(client().manifest({ registry: registry.registry, path }, reference)).rejects.toMatchObject(
        {
          reasonCode: 'image_unverified',
        },
      );
    }
  });

  it('refuses a manifest that can be read in two ways', async () => {
    const registry = await double();
    const body = Buffer.from(
      JSON.stringify({ mediaType: mediaTypes.index, manifests: [], layers: [], config: {} }),
    );
    registry.repository(path).manifests.set(sha256Of(body), { mediaType: mediaTypes.index, body });
    await expect(
      client().manifest({ registry: registry.registry, path }, sha256Of(body)),
    ).rejects.toMatchObject({ reasonCode: 'image_unverified' });
  });
});

describe('writing', () => {
  it('gives a digest another tag without reading a layer, and once', async () => {
    const registry = await double();
    const digest = registry.addImage(path, 'v1', both, 'one');
    const image = { registry: registry.registry, path };
    const registries = client();
    const manifest = await registries.manifest(image, digest);
    const put = () =>
      registries.putManifest(image, '1.0', {
        mediaType: manifest?.descriptor.mediaType ?? '',
        body: manifest?.body ?? Buffer.alloc(0),
      });
    expect(await put()).toMatchObject({ digest });
    await put();
    expect(registry.repository(path).tags.get('1.0')).toBe(digest);
    expect(registry.requests.filter((line) => line.startsWith('PUT'))).toHaveLength(1);
    expect(registry.requests.some((line) => line.includes('/blobs/'))).toBe(false);
    expect(registry.violations).toEqual([]);
  });

  it('reads back until a copy that is behind has followed, and not for ever', async () => {
    const registry = await double();
    const old = registry.addImage(path, '1.0', both, 'old');
    const digest = registry.addImage(path, 'v1', both, 'one');
    const { proxy, image } = await throughProxy(registry.registry);
    const registries = client();
    const manifest = await registries.manifest(image, digest);
    const put = () =>
      registries.putManifest(image, '1.0', {
        mediaType: manifest?.descriptor.mediaType ?? '',
        body: manifest?.body ?? Buffer.alloc(0),
      });
    const stale = {
      kind: 'answer',
      status: 200,
      headers: { 'content-type': mediaTypes.index },
      body: registry.repository(path).manifests.get(old)?.body.toString() ?? '',
    } as const;
    const behind = { method: 'GET', path: `/v2/${path}/manifests/1.0`, fault: stale };
    proxy.program([{ ...behind, times: 2 }]);
    expect(await put()).toMatchObject({ digest });
    registry.repository(path).tags.set('1.0', old);
    proxy.program([behind]);
    await expect(put()).rejects.toMatchObject({ reasonCode: 'state_conflict' });
  });

  it('merges images of native runners into one index, the same whatever the order', async () => {
    const registry = await double();
    const image = { registry: registry.registry, path };
    const parts = both.map((platform) =>
      registry.addImage(path, platform.replace('/', '-'), [platform], 'one'),
    );
    const first = await mergeImages(client(), image, parts, 'merged');
    const second = await mergeImages(client(), image, parts.toReversed());
    expect(second.digest).toBe(first.digest);
    const { facts } = await inspectImage(client(), image, 'merged', both);
    expect(facts.digest).toBe(first.digest);
    const other = registry.addImage(path, 'other', ['linux/amd64'], 'two');
    await expect(mergeImages(client(), image, [...parts, other])).rejects.toMatchObject({
      reasonCode: 'invalid_input',
    });
    expect(registry.violations).toEqual([]);
  });

  it('uploads a blob once', async () => {
    const registry = await double();
    const image = { registry: registry.registry, path };
    const body = Buffer.from('{}');
    await client().putBlob(image, body);
    await client().putBlob(image, body);
    expect(registry.repository(path).blobs.get(sha256Of(body))).toEqual(body);
    expect(registry.requests.filter((line) => line.startsWith('POST'))).toHaveLength(1);
    expect(registry.violations).toEqual([]);
  });

  it('takes a tag away, or says that the registry does not let it', async () => {
    for (const [deletes, outcome] of [
      ['tags', 'removed'],
      ['manifests', 'removed'],
      ['nothing', 'unsupported'],
    ] as const) {
      const registry = await double({ deletes });
      const digest = registry.addImage(path, 'v1', both, 'one');
      const image = { registry: registry.registry, path };
      expect(await client().removeTag(image, 'v1')).toBe(outcome);
      expect(await client().removeTag(image, 'v2')).toBe('absent');
      expect(await client().resolve(image, digest)).toBeDefined();
      expect((await client().resolve(image, 'v1'))?.digest).toBe(outcome === 'removed' ? undefined : digest);
      expect(registry.violations).toEqual([]);
    }
  });
});

describe('logging in', () => {
  const password = randomBytes(12).toString('hex');
  const login: RegistryCredential = { kind: 'password', username: 'robot', password };

  it.each(['basic', 'bearer'] as const)('answers a challenge: %s', async (scheme) => {
    const registry = await double({ auth: { scheme, username: 'robot', password } });
    const digest = registry.addImage(path, 'v1', both, 'one');
    const image = { registry: registry.registry, path };
    const masked: string[] = [];
    const registries = client(login, masked);
    const manifest = await registries.manifest(image, 'v1');
    await registries.putManifest(image, 'v2', {
      mediaType: manifest?.descriptor.mediaType ?? '',
      body: manifest?.body ?? Buffer.alloc(0),
    });
    expect(registry.repository(path).tags.get('v2')).toBe(digest);
    expect(await registries.removeTag(image, 'v2')).toBe('removed');
    expect(masked).toContain(password);
    for (const { authorization } of registry.authorizations) {
      if (authorization !== undefined) expect(masked).toContain(authorization.replace(/^\w+ /, ''));
    }
    expect(registry.violations).toEqual([]);
  });

  it('uses a token until the registry refuses it, then gets another one', async () => {
    const registry = await double({ auth: { scheme: 'bearer', username: 'robot', password } });
    registry.addImage(path, 'v1', both, 'one');
    const image = { registry: registry.registry, path };
    const registries = client(login);
    const tokens = () => registry.requests.filter((line) => line === 'GET /token').length;
    await registries.resolve(image, 'v1');
    await registries.resolve(image, 'v1');
    expect(tokens()).toBe(1);
    registry.expireTokens();
    expect(await registries.resolve(image, 'v1')).toBeDefined();
    expect(tokens()).toBe(2);
  });

  it('exchanges an identity token', async () => {
    const refreshToken = randomBytes(12).toString('hex');
    const registry = await double({ auth: { scheme: 'bearer', username: 'robot', password, refreshToken } });
    registry.addImage(path, 'v1', both, 'one');
    const registries = client({ kind: 'identity-token', token: refreshToken });
    expect(await registries.resolve({ registry: registry.registry, path }, 'v1')).toBeDefined();
    expect(registry.violations).toEqual([]);
  });

  it.each(['basic', 'bearer'] as const)('tells a wrong password at once, without it: %s', async (scheme) => {
    const registry = await double({ auth: { scheme, username: 'robot', password } });
    const wrong = randomBytes(12).toString('hex');
    const registries = client({ kind: 'password', username: 'robot', password: wrong });
    const failure: unknown = await registries
      .resolve({ registry: registry.registry, path }, 'v1')
      .catch((thrown: unknown) => thrown);
    expect(failure).toMatchObject({ reasonCode: 'permission_denied' });
    expect(JSON.stringify([failure, String(failure)])).not.toContain(wrong);
    expect(registry.requests.length).toBeLessThanOrEqual(2);
  });

  it('tells somebody who is not logged in to log in', async () => {
    const registry = await double({ auth: { scheme: 'bearer', username: 'robot', password } });
    await expect(client().resolve({ registry: registry.registry, path }, 'v1')).rejects.toMatchObject({
      reasonCode: 'permission_denied',
      remedy: expect.stringContaining('Log in') as string,
    });
  });
});

describe('where credentials go', () => {
  const password = randomBytes(12).toString('hex');
  const login: RegistryCredential = { kind: 'password', username: 'robot', password };

  it('is not where blobs are kept', async () => {
    const registry = await double({ auth: { scheme: 'basic', username: 'robot', password } });
    registry.addImage(path, 'v1', both, 'one');
    const config = [...registry.repository(path).blobs.keys()][0] ?? '';
    const storage = await double();
    storage
      .repository(path)
      .blobs.set(config, registry.repository(path).blobs.get(config) ?? Buffer.alloc(0));
    const { proxy, image } = await throughProxy(registry.registry);
    proxy.program([
      {
        path: new RegExp(`/blobs/${config}$`),
        fault: {
          kind: 'answer',
          status: 307,
          headers: { location: `http://${storage.registry}/v2/${path}/blobs/${config}` },
        },
      },
    ]);
    const { facts } = await inspectImage(client(login), image, 'v1');
    expect(facts.platforms).toHaveLength(2);
    expect(storage.authorizations).toEqual([
      { path: `/v2/${path}/blobs/${config}`, authorization: undefined },
    ]);
  });

  /** A registry elsewhere, whose answers are these; what it was sent is kept. */
  function elsewhere(answer: (url: URL) => Response) {
    const sent: { url: string; authorization: string | null }[] = [];
    const registries = openRegistries({
      credentials: () => Promise.resolve(login),
      log: silentLog,
      signal: new AbortController().signal,
      mask: () => {},
      fetch: (url, init) => {
        const request = new Request(url, init);
        sent.push({ url: request.url, authorization: request.headers.get('authorization') });
        return Promise.resolve(answer(new URL(request.url)));
      },
    });
    return { sent, read: () => registries.manifest({ registry: 'registry.example', path }, 'v1') };
  }

  it.each([
    ['a token server without TLS', 401, { 'www-authenticate': 'Bearer realm="http://tokens.example/"' }],
    ['a redirect without TLS', 307, { location: 'http://registry.example/v2/' }],
  ])('is never over plain HTTP: %s', async (_what, status, headers) => {
    const { sent, read } = elsewhere(() => new Response(null, { status, headers }));
    await expect(read()).rejects.toMatchObject({ reasonCode: 'invalid_input' });
    expect(sent).toEqual([{ url: `https://registry.example/v2/${path}/manifests/v1`, authorization: null }]);
  });

  it('is the token server that the registry names, and then the registry', async () => {
    const { sent, read } = elsewhere((url) =>
      url.host === 'tokens.example'
        ? Response.json({ token: 'a-token' })
        : new Response(null, {
            status: 401,
            headers: { 'www-authenticate': 'Bearer realm="https://tokens.example/t",service="s"' },
          }),
    );
    await expect(read()).rejects.toMatchObject({ reasonCode: 'permission_denied' });
    expect(
      sent.map(({ url, authorization }) => [new URL(url).host, authorization?.split(' ')[0] ?? null]),
    ).toEqual([
      ['registry.example', null],
      ['tokens.example', 'Basic'],
      ['registry.example', 'Bearer'],
    ]);
  });
});

describe('a registry that misbehaves', () => {
  it.each([
    ['429', { kind: 'answer', status: 429, headers: { 'retry-after': '0' } }],
    ['500', { kind: 'answer', status: 500 }],
    ['503', { kind: 'answer', status: 503 }],
    ['a broken connection', { kind: 'cut' }],
  ] as const)('is asked again after %s', async (_name, fault) => {
    const registry = await double();
    const digest = registry.addImage(path, 'v1', both, 'one');
    const { proxy, image } = await throughProxy(registry.registry);
    proxy.program([{ times: 2, fault }]);
    expect(await client().manifest(image, 'v1')).toMatchObject({ descriptor: { digest } });
    expect(proxy.calls).toHaveLength(3);
  });

  it('is not asked again when it says no', async () => {
    const registry = await double();
    const { proxy, image } = await throughProxy(registry.registry);
    proxy.program([{ fault: { kind: 'answer', status: 403 } }]);
    await expect(client().resolve(image, 'v1')).rejects.toMatchObject({ reasonCode: 'permission_denied' });
    expect(proxy.calls).toHaveLength(1);
  });

  it('is given up after as many attempts as allowed, with what it said', async () => {
    const registry = await double();
    const { proxy, image } = await throughProxy(registry.registry);
    proxy.program([
      {
        fault: {
          kind: 'answer',
          status: 429,
          body: { errors: [{ code: 'TOOMANYREQUESTS', message: 'too many requests' }] },
        },
      },
    ]);
    await expect(client().resolve(image, 'v1')).rejects.toMatchObject({
      reasonCode: 'unreachable',
      message: expect.stringMatching(/answers 429.*tried 4 times/) as string,
    });
    expect(proxy.calls).toHaveLength(4);
  });

  it('is not waited for longer than allowed', async () => {
    const registry = await double();
    const { proxy, image } = await throughProxy(registry.registry);
    proxy.program([{ fault: { kind: 'answer', status: 429, headers: { 'retry-after': '3600' } } }]);
    await expect(client().resolve(image, 'v1')).rejects.toMatchObject({
      message: expect.stringContaining('asks to wait 3600 s') as string,
    });
    expect(proxy.calls).toHaveLength(1);
  });

  it('has a write that took effect before the answer was lost', async () => {
    const registry = await double();
    const digest = registry.addImage(path, 'v1', both, 'one');
    const { proxy, image } = await throughProxy(registry.registry);
    const registries = client();
    const manifest = await registries.manifest(image, 'v1');
    proxy.program([{ method: 'PUT', times: 1, fault: { kind: 'forward-then-cut' } }]);
    await registries.putManifest(image, '1.0', {
      mediaType: manifest?.descriptor.mediaType ?? '',
      body: manifest?.body ?? Buffer.alloc(0),
    });
    expect(registry.repository(path).tags.get('1.0')).toBe(digest);
  });
});
