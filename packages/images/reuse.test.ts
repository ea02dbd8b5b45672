import { silentLog } from '@deploy-actions/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BuildSpec } from './build-spec.ts';
import { anonymous, inspectImage, openRegistries, type Registries } from './registry/index.ts';
import { type RegistryDouble, startRegistryDouble } from './registry/test-support.ts';
import { findUnchanged, sizeBefore, tagImage, verifyPushed } from './reuse.ts';
import { inputsTag } from './tags.ts';

let double: RegistryDouble;
let registries: Registries;
const image = () => ({ registry: double.registry, path: 'acme/backend' });
const spec = { name: 'backend', platforms: ['linux/amd64', 'linux/arm64'] } as BuildSpec;
const hash = `sha256:${'ab'.repeat(32)}`;

beforeEach(async () => {
  double = await startRegistryDouble();
  registries = openRegistries({
    credentials: anonymous,
    log: silentLog,
    signal: new AbortController().signal,
    mask: () => {},
    patience: { attempts: 1, total: 1_000, pause: 10 },
  });
});
afterEach(() => double.stop());

describe('an image of the same inputs', () => {
  it('is none where there is none', async () => {
    expect(await findUnchanged(registries, image(), spec, hash, silentLog)).toBeUndefined();
  });

  it('is not believed by its tag alone', async () => {
    double.addImage('acme/backend', inputsTag(hash), spec.platforms, 'of something else');
    const lines: string[] = [];
    const log = { ...silentLog, warning: (line: string) => void lines.push(line) };
    expect(await findUnchanged(registries, image(), spec, hash, log)).toBeUndefined();
    expect(lines).toEqual([expect.stringContaining('made of other inputs')]);
  });

  it('is not taken when a platform is missing', async () => {
    double.addImage('acme/backend', inputsTag(hash), ['linux/amd64'], 'x');
    expect(await findUnchanged(registries, image(), spec, hash, silentLog)).toBeUndefined();
  });
});

describe('what was pushed', () => {
  it('is verified to its last layer', async () => {
    const digest = double.addImage('acme/backend', 'candidate-1', spec.platforms, 'x');
    const { facts } = await verifyPushed(registries, image(), { tag: 'candidate-1', digest }, spec.platforms);
    expect(facts.platforms.map(({ platform }) => platform)).toEqual(spec.platforms);
    const { blobs } = double.repository('acme/backend');
    for (const [key, body] of blobs) if (body.toString().startsWith('layer')) blobs.delete(key);
    await expect(
      verifyPushed(registries, image(), { tag: 'candidate-1', digest }, spec.platforms),
    ).rejects.toMatchObject({
      reasonCode: 'image_unverified',
      message: expect.stringContaining('the layer'),
    });
  });

  it('is refused when the tag points elsewhere, or nowhere', async () => {
    const digest = double.addImage('acme/backend', 'candidate-1', spec.platforms, 'x');
    double.addImage('acme/backend', 'candidate-1', spec.platforms, 'y');
    await expect(verifyPushed(registries, image(), { tag: 'candidate-1', digest }, [])).rejects.toThrow(
      'it points at',
    );
    await expect(verifyPushed(registries, image(), { tag: 'none', digest }, [])).rejects.toThrow(
      'is not there',
    );
  });
});

it('tags by digest, and reads the size of what was there before', async () => {
  const digest = double.addImage('acme/backend', 'candidate-1', spec.platforms, 'x');
  const found = await inspectImage(registries, image(), digest);
  await tagImage(registries, image(), found, ['1.4.2', 'main']);
  const { tags } = double.repository('acme/backend');
  expect([tags.get('1.4.2'), tags.get('main')]).toEqual([digest, digest]);
  expect(await sizeBefore(registries, image(), ['none', 'main'])).toEqual({
    tag: 'main',
    digest,
    size: found.facts.size,
  });
  expect(await sizeBefore(registries, image(), ['none'])).toBeUndefined();
  expect(double.violations).toEqual([]);
});
