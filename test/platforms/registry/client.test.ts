// The client against a real registry, by each way to log in.

import { silentLog } from '@deploy-actions/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  inspectImage,
  mergeImages,
  openRegistries,
  type Registries,
} from '../../../packages/images/index.ts';
import { pushImage } from './images.ts';
import { type RealRegistry, startRealRegistry } from './registry.ts';

describe.each(['basic', 'token'] as const)('a real registry that wants a login: %s', (auth) => {
  let real: RealRegistry;
  let registries: Registries;
  const image = { registry: '', path: 'acme/backend' };
  beforeAll(async () => {
    real = await startRealRegistry(auth);
    image.registry = real.registry;
    registries = openWith(real.password);
  });
  afterAll(() => real.stop());

  function openWith(password: string): Registries {
    return openRegistries({
      credentials: () => Promise.resolve({ kind: 'password', username: real.username, password }),
      log: silentLog,
      signal: new AbortController().signal,
      mask: () => {},
    });
  }

  it('takes an image, and gives it back verified', async () => {
    const digest = await pushImage(registries, image, 'v1', ['linux/amd64', 'linux/arm64']);
    const { facts } = await inspectImage(registries, image, 'v1', ['linux/amd64', 'linux/arm64']);
    expect(facts.digest).toBe(digest);
    expect(facts.size).toBeGreaterThan(2_000);
    expect(await registries.resolve(image, digest)).toMatchObject({ digest });
    expect(await registries.resolve(image, 'v2')).toBeUndefined();
    expect(await registries.manifest(image, 'v2')).toBeUndefined();
    expect(await registries.tags({ ...image, path: 'acme/nothing' })).toEqual([]);
  });

  it('gives digests other tags, lists them, and puts an index over two', async () => {
    const parts = [
      await pushImage(registries, image, 'part-1', ['linux/amd64']),
      await pushImage(registries, image, 'part-2', ['linux/arm64']),
    ];
    const merged = await mergeImages(registries, image, parts, 'merged');
    expect((await registries.manifest(image, 'merged'))?.content).toMatchObject({ kind: 'index' });
    const { body, descriptor } = (await registries.manifest(image, parts[0] ?? '')) ?? {};
    await registries.putManifest(image, '1.0.0', {
      mediaType: descriptor?.mediaType ?? '',
      body: body ?? Buffer.alloc(0),
    });
    expect(await registries.tags(image)).toEqual(expect.arrayContaining(['merged', '1.0.0', 'part-1']));
    expect(merged.digest).not.toBe(parts[0]);
  });

  it('lists more tags than are on a page', async () => {
    const other = { ...image, path: 'acme/many' };
    const digest = await pushImage(registries, other, 't0', ['linux/amd64']);
    const { body, descriptor } = (await registries.manifest(other, digest)) ?? {};
    for (let n = 1; n < 12; n += 1) {
      await registries.putManifest(other, `t${n}`, {
        mediaType: descriptor?.mediaType ?? '',
        body: body ?? Buffer.alloc(0),
      });
    }
    expect(await registries.tags(other)).toHaveLength(12);
  });

  it('says honestly whether a tag can be deleted, and never deletes the image with it', async () => {
    const digest = await pushImage(registries, image, 'gone', ['linux/amd64']);
    const outcome = await registries.removeTag(image, 'gone');
    expect(outcome).toBe((await registries.resolve(image, 'gone')) === undefined ? 'removed' : 'unsupported');
    expect(await registries.resolve(image, digest)).toBeDefined();
    process.stderr.write(`deleting a tag: ${outcome}\n`);
  });

  it('refuses a wrong password, and a manifest whose parts are not there', async () => {
    await expect(openWith('wrong').resolve(image, 'v1')).rejects.toMatchObject({
      reasonCode: 'permission_denied',
    });
    const { body, descriptor } = (await registries.manifest(image, 'v1')) ?? {};
    await expect(
      registries.putManifest({ ...image, path: 'acme/elsewhere' }, 'v1', {
        mediaType: descriptor?.mediaType ?? '',
        body: body ?? Buffer.alloc(0),
      }),
    ).rejects.toMatchObject({ reasonCode: 'registry_rejected' });
  });
});
