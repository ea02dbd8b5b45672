// The action as it ships, against a real registry: with its faults, and killed at every write.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@deploy-actions/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { inspectImage, journalTag, openRegistries, type Registries } from '../../../packages/images/index.ts';
import { type FaultProxy, type Rule, startFaultProxy } from '../../support/fault-proxy.ts';
import { createJob, type Job, type StepOptions, type StepResult } from '../../support/runner.ts';
import { pushImage } from './images.ts';
import { type RealRegistry, startRealRegistry } from './registry.ts';

const crash = join(import.meta.dirname, '../../support/crash.mjs');
const names = ['backend', 'portal'];
const platforms = ['linux/amd64', 'linux/arm64'];

let real: RealRegistry;
let proxy: FaultProxy;
let registries: Registries;
let job: Job;
let folder = '';
let shops = 0;

beforeAll(async () => {
  real = await startRealRegistry('token');
  registries = openRegistries({
    credentials: () =>
      Promise.resolve({ kind: 'password', username: real.username, password: real.password }),
    log: silentLog,
    signal: new AbortController().signal,
    mask: () => {},
  });
  // The action knows the registry as this proxy alone.
  proxy = await startFaultProxy({ target: `http://${real.registry}` });
  folder = await mkdtemp(join(tmpdir(), 'promote-'));
});
afterAll(async () => {
  await proxy.stop();
  await real.stop();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  job = await createJob({ secrets: [real.password] });
});
afterEach(async () => {
  proxy.program([]);
  await job.end();
});

/** Two repositories of their own, each with a release in production and two candidates. */
async function newShop() {
  shops += 1;
  const prefix = `shop-${shops}`;
  const images = names.map((name) => ({
    name,
    image: { registry: real.registry, path: `${prefix}/${name}` },
  }));
  const digests: Record<string, string> = {};
  for (const { name, image } of images) {
    digests[`${name} old`] = await pushImage(registries, image, 'production', platforms);
    for (const release of ['1.4.2', '1.4.3'])
      digests[`${name} ${release}`] = await pushImage(registries, image, `candidate-${release}`, platforms);
  }
  const via = proxy.url.replace('http://', '');
  const inputs = (version: string, more: Record<string, string> = {}) => {
    const references = images.map(
      ({ name, image }) => `${via}/${image.path}@${digests[`${name} ${version}`]}`,
    );
    return {
      images: references.join('\n'),
      'scan-passed': 'true',
      scanned: JSON.stringify(references.map((reference) => `image:${reference}`)),
      tags: `${version}, production`,
      registry: via,
      username: real.username,
      password: real.password,
      ...more,
    };
  };
  /** Which release each tag is of, in each repository. */
  const state = async () => {
    const found: Record<string, Record<string, string>> = {};
    for (const { name, image } of images) {
      const tags: Record<string, string> = {};
      for (const tag of ['1.4.2', '1.4.3', 'production']) {
        const digest = (await registries.resolve(image, tag))?.digest;
        if (digest === undefined) continue;
        const release = Object.keys(digests).find((key) => digests[key] === digest);
        tags[tag] = release?.replace(`${name} `, '') ?? digest;
      }
      found[name] = tags;
    }
    return found;
  };
  const all = (tags: Record<string, string>) => Object.fromEntries(names.map((name) => [name, tags]));
  return { prefix, images, digests, inputs, state, all };
}

function promote(inputs: Record<string, string>, options?: StepOptions): Promise<StepResult> {
  return job.step('promote-images', inputs, options);
}

const before = { production: 'old' };
const after = { '1.4.2': '1.4.2', production: '1.4.2' };

describe('promote-images', () => {
  it('sets the tags of a release and verifies them; the second time it writes nothing', async () => {
    const { inputs, state, all } = await newShop();
    const first = await promote(inputs('1.4.2'));
    expect(first.outputs).toMatchObject({ result: 'succeeded', 'reason-code': 'ok', written: '4' });
    expect(await state()).toEqual(all(after));
    const from = proxy.calls.length;
    const second = await promote(inputs('1.4.2'));
    expect(second.outputs).toMatchObject({ result: 'unchanged', 'reason-code': 'already_current' });
    expect(proxy.calls.slice(from).filter(({ method }) => !/^(?:GET|HEAD)$/.test(method))).toEqual([]);
    expect(`${first.raw}${first.summary}${second.raw}`).not.toContain(real.password);
    // Every token that was shown to the registry was masked first.
    const shown = proxy.calls.flatMap(({ headers }) => headers.authorization?.replace(/^\w+ /, '') ?? []);
    for (const token of new Set(shown)) expect([...first.masks, ...second.masks]).toContain(token);
  });

  it('refuses before a write what was published under the same version', async () => {
    const { images, inputs, state } = await newShop();
    await pushImage(registries, images[1]?.image ?? { registry: '', path: '' }, '1.4.2', platforms);
    const was = await state();
    const step = await promote(inputs('1.4.2'));
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'tag_immutable' });
    expect(await state()).toEqual(was);
  });
});

describe('a registry that misbehaves for a while', () => {
  const limited = { kind: 'answer', status: 429, headers: { 'retry-after': '1' } } as const;
  it.each<[string, Omit<Rule, 'path'> & { path: string }]>([
    ['429 for a manifest', { path: 'manifests/', times: 2, fault: limited }],
    [
      '429 for a tag that is written',
      { method: 'PUT', path: 'manifests/production', times: 2, fault: limited },
    ],
    [
      '500 for a tag that is written',
      { method: 'PUT', path: 'manifests/1.4.2', times: 1, fault: { kind: 'answer', status: 500 } },
    ],
    [
      'a reset in the middle of a blob',
      { method: 'GET', path: 'blobs/sha256', times: 2, fault: { kind: 'cut-within' } },
    ],
    [
      'a reset in the middle of a manifest',
      { method: 'GET', path: 'manifests/sha256', times: 2, fault: { kind: 'cut-within' } },
    ],
    [
      'a cut before a write',
      { method: 'PUT', path: 'manifests/production', times: 1, fault: { kind: 'cut' } },
    ],
    [
      'a cut after a write took effect',
      { method: 'PUT', path: 'manifests/production', times: 1, fault: { kind: 'forward-then-cut' } },
    ],
    [
      'a slow answer',
      { method: 'PUT', path: 'manifests/1.4.2', times: 1, fault: { kind: 'delay', ms: 3_000 } },
    ],
  ])('is asked again: %s', async (_what, { path, ...rule }) => {
    const { prefix, inputs, state, all } = await newShop();
    proxy.program([{ ...rule, path: new RegExp(`/${prefix}/portal/${path}`) }]);
    const from = proxy.calls.length;
    const step = await promote(inputs('1.4.2'));
    expect(step.outputs).toMatchObject({ result: 'succeeded', written: '4' });
    expect(await state()).toEqual(all(after));
    expect(proxy.calls.slice(from).some(({ fault }) => fault !== 'pass')).toBe(true);
  });
});

describe('a registry that is wrong', () => {
  it.each(['loses a platform', 'sends another manifest', 'sends another configuration'])(
    '%s: nothing is written',
    async (fault) => {
      const { prefix, images, digests, inputs, state, all } = await newShop();
      const { image } = images[1] ?? {};
      if (image === undefined) throw new Error('no image');
      const { facts, manifest } = await inspectImage(registries, image, digests['portal 1.4.2'] ?? '');
      const child = await registries.manifest(image, facts.platforms[1]?.digest ?? '');
      const config = child?.content.kind === 'image' ? child.content.config.digest : '';
      const type = { 'content-type': child?.descriptor.mediaType ?? '' };
      const rules: Record<string, Rule> = {
        'loses a platform': {
          path: `/v2/${prefix}/portal/manifests/${child?.descriptor.digest}`,
          fault: { kind: 'answer', status: 404, body: { errors: [{ code: 'MANIFEST_UNKNOWN' }] } },
        },
        'sends another manifest': {
          path: `/v2/${prefix}/portal/manifests/${child?.descriptor.digest}`,
          fault: { kind: 'answer', status: 200, headers: type, body: manifest.body.toString() },
        },
        'sends another configuration': {
          path: `/v2/${prefix}/portal/blobs/${config}`,
          fault: { kind: 'answer', status: 200, body: '{"os":"linux","architecture":"arm64"}' },
        },
      };
      proxy.program([rules[fault] ?? { fault: { kind: 'pass' } }]);
      const step = await promote(inputs('1.4.2'));
      expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'image_unverified' });
      expect(step.annotations.find(({ level }) => level === 'error')?.message).toContain(`${prefix}/portal`);
      expect(await state()).toEqual(all(before));
    },
  );

  it.each([
    [
      'refuses one tag',
      { kind: 'answer', status: 400, body: { errors: [{ code: 'DENIED', message: 'protected' }] } },
    ],
    ['forbids one tag', { kind: 'answer', status: 403 }],
  ] as const)('%s: all tags are what they were', async (_what, fault) => {
    const { prefix, images, inputs, state, all } = await newShop();
    proxy.program([{ method: 'PUT', path: `/v2/${prefix}/portal/manifests/production`, fault }]);
    const step = await promote(inputs('1.4.2'));
    expect(step.outputs).toMatchObject({ result: 'rolled-back', 'reason-code': 'reverted' });
    expect(await state()).toEqual(all(before));
    // The way back has left nothing but the note.
    for (const { image } of images) expect(await registries.tags(image)).toContain(journalTag);
    proxy.program([]);
    expect((await promote(inputs('1.4.2'))).outputs).toMatchObject({ result: 'succeeded' });
    expect(await state()).toEqual(all(after));
  });

  it('fails for good at one tag: what was written is put back', async () => {
    const { prefix, inputs, state, all } = await newShop();
    proxy.program([
      {
        method: 'PUT',
        path: `/v2/${prefix}/portal/manifests/production`,
        fault: { kind: 'answer', status: 503 },
      },
    ]);
    const step = await promote(inputs('1.4.2'));
    expect(step.outputs).toMatchObject({ result: 'rolled-back', 'reason-code': 'reverted' });
    expect(step.log).toMatch(/waiting for 127\.0\.0\.1:\d+ .* answers 503; again in/);
    expect(await state()).toEqual(all(before));
  });
});

describe('a promotion that is killed', () => {
  /** The numbers of its writes to the registry among all mutations of the process. */
  async function writesOf(inputs: Record<string, string>): Promise<number[]> {
    const log = join(folder, `mutations-${shops}`);
    await promote(inputs, { imports: [crash], env: { CRASH_LOG: log } });
    return (await readFile(log, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { n: number; kind: string })
      .filter(({ kind }) => kind === 'fetch')
      .map(({ n }) => n);
  }

  it(
    'at any write, before or after it took effect, is ended by the next run',
    { timeout: 600_000 },
    async () => {
      const counted = await newShop();
      const writes = await writesOf(counted.inputs('1.4.2'));
      expect(writes.length).toBeGreaterThanOrEqual(8);
      for (const [index, n] of writes.entries()) {
        const when = index % 2 === 0 ? 'after' : 'before';
        const { inputs, state, all } = await newShop();
        const killed = await promote(inputs('1.4.2'), {
          imports: [crash],
          env: { CRASH_AT: String(n), CRASH_WHEN: when },
        });
        expect(killed.signal, `write ${index + 1}`).toBe('SIGKILL');
        // The same step again, or one with another release.
        const next = index % 3 === 0 ? '1.4.3' : '1.4.2';
        const step = await promote(inputs(next));
        expect(step.outputs['result'], `${step.log}\nwrite ${index + 1}`).toMatch(
          /^(?:succeeded|unchanged)$/,
        );
        const now = await state();
        expect(now['backend'], `write ${index + 1}`).toEqual(now['portal']);
        expect(now).toEqual(all({ ...now['portal'], [next]: next, production: next }));
      }
    },
  );

  it('at any write, is taken back by its post step', { timeout: 600_000 }, async () => {
    const counted = await newShop();
    const writes = await writesOf(counted.inputs('1.4.2'));
    for (const [index, n] of writes.slice(4).entries()) {
      const { inputs, state, all } = await newShop();
      const killed = await promote(inputs('1.4.2'), {
        imports: [crash],
        env: { CRASH_AT: String(n), CRASH_WHEN: index % 2 === 0 ? 'before' : 'after' },
      });
      expect(killed.signal).toBe('SIGKILL');
      const post = await job.post(killed);
      expect(post?.exitCode, post?.log).toBe(0);
      const now = await state();
      // Where its end was noted already, it had ended.
      expect([all(before), all(after)], `write ${index + 5}`).toContainEqual(now);
      if (index < 8) expect(now).toEqual(all(before));
    }
  });
});
