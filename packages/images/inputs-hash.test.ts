import { chmod, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { specWith } from './build-spec.fixture.ts';
import type { BuildSpec } from './build-spec.ts';
import { hashContext } from './context-hash.ts';
import { hashInputs, type HashOptions, namesBasesByTag } from './inputs-hash.ts';

const { signal } = new AbortController();
let workspace = '';

beforeEach(async () => {
  workspace = await mkdtemp(join(tmpdir(), 'context-'));
  await mkdir(join(workspace, 'src/empty'), { recursive: true });
  await writeFile(join(workspace, 'Dockerfile'), 'ARG BASE=python:3.11\nFROM ${BASE} AS final\nCOPY . .\n');
  await writeFile(join(workspace, 'src/app.py'), 'print(1)\n');
});
afterEach(() => rm(workspace, { recursive: true }));

const hash = (own: Partial<BuildSpec> = {}, options: Partial<HashOptions> = {}) =>
  hashInputs(specWith(own), {
    workspace,
    args: {},
    unhashed: [],
    provenance: 'none',
    builderPlatform: 'linux/amd64',
    signal,
    resolve: (image) => Promise.resolve(`digest of ${image}`),
    ...options,
  });

describe('the hash of what an image is made of', () => {
  it('is the same for the same, whatever the time of files and the order of arguments', async () => {
    const before = await hash({ args: { A: '1', B: '2' }, platforms: ['linux/arm64', 'linux/amd64'] });
    await utimes(join(workspace, 'src/app.py'), 1, 1);
    const after = await hash({ args: { B: '2', A: '1' }, platforms: ['linux/amd64', 'linux/arm64'] });
    expect(after.hash).toBe(before.hash);
    expect(before.hash).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(before.bases).toEqual({ 'python:3.11': 'digest of python:3.11' });
  });

  it.each<[string, () => Promise<unknown>]>([
    ['content', () => writeFile(join(workspace, 'src/app.py'), 'print(2)\n')],
    ['a mode', () => chmod(join(workspace, 'src/app.py'), 0o755)],
    ['a file', () => writeFile(join(workspace, 'src/new.py'), '')],
    ['a folder', () => mkdir(join(workspace, 'src/other'))],
    ['a link', () => symlink('app.py', join(workspace, 'src/link'))],
    ['the Dockerfile', () => writeFile(join(workspace, 'Dockerfile'), 'FROM python:3.11\n')],
  ])('is another one for %s that changed', async (_what, change) => {
    const before = await hash();
    await change();
    expect((await hash()).hash).not.toBe(before.hash);
  });

  it('is another one for other arguments, bases, stages, platforms, labels and secrets', async () => {
    const hashes = await Promise.all([
      hash(),
      hash({ args: { A: '1' } }),
      hash({ args: { BASE: 'python:3.12' } }),
      hash({}, { args: { ENVIRONMENT: 'staging' } }),
      hash({}, { resolve: () => Promise.resolve('another digest') }),
      hash({}, { provenance: 'max' }),
      hash({ target: 'final' }),
      hash({ platforms: ['linux/arm64'] }),
      hash({ labels: { a: 'b' } }),
      hash({ secrets: { pip: '/x' } }),
    ]);
    expect(new Set(hashes.map((each) => each.hash)).size).toBe(hashes.length);
  });

  it('has no version, but the base that is named by it', async () => {
    const release = (version: string) => ({ args: { VERSION: version }, unhashed: ['VERSION'] });
    expect((await hash({}, release('1.5.0'))).hash).toBe((await hash({}, release('1.4.0'))).hash);
    await writeFile(join(workspace, 'Dockerfile'), 'ARG VERSION=latest\nFROM acme/base:${VERSION}\n');
    const [older, newer] = await Promise.all([hash({}, release('1.4.0')), hash({}, release('1.5.0'))]);
    expect(newer.bases).toEqual({ 'acme/base:1.5.0': 'digest of acme/base:1.5.0' });
    expect(newer.hash).not.toBe(older.hash);
  });

  it("has an image's own VERSION, which is what it is built with", async () => {
    const own = (version: string) =>
      hash({ args: { VERSION: version } }, { args: { VERSION: '1.5.0' }, unhashed: ['VERSION'] });
    expect((await own('3.13')).hash).not.toBe((await own('3.12')).hash);
    await writeFile(join(workspace, 'Dockerfile'), 'ARG VERSION\nFROM python:${VERSION}\n');
    expect((await own('3.13')).bases).toEqual({ 'python:3.13': 'digest of python:3.13' });
  });

  it('has the platform of the builder where the image says none', async () => {
    const [own, other, said] = await Promise.all([
      hash(),
      hash({}, { builderPlatform: 'linux/arm64' }),
      hash({ platforms: ['linux/arm64'] }),
    ]);
    expect(own.platforms).toEqual(['linux/amd64']);
    expect(other.hash).not.toBe(own.hash);
    // Said or not, it is the same image.
    expect(other).toEqual(said);
  });

  it('does not see what the ignore file leaves out, but what it takes back', async () => {
    await writeFile(
      join(workspace, '.dockerignore'),
      '**/*.log\nsrc/cache\n!src/cache/keep\n.dockerignore\n',
    );
    await mkdir(join(workspace, 'src/cache'));
    const before = await hash();
    await writeFile(join(workspace, 'src/a.log'), 'x');
    await writeFile(join(workspace, 'src/cache/x'), 'x');
    expect((await hash()).hash).toBe(before.hash);
    await writeFile(join(workspace, 'src/cache/keep'), 'x');
    expect((await hash()).hash).not.toBe(before.hash);
  });

  it('takes the ignore file of the Dockerfile before that of the context', async () => {
    await writeFile(join(workspace, '.dockerignore'), 'src\n');
    await writeFile(join(workspace, 'Dockerfile.dockerignore'), '*.md\n');
    expect((await hash()).context.files).toBe(4);
  });

  it('is not given where something cannot be told', async () => {
    const unknown = await hash({}, { resolve: () => Promise.resolve(undefined) });
    expect(unknown).toMatchObject({
      hash: null,
      unknown: ['line 2: python:3.11 is at no registry that can be asked'],
      registries: ['docker.io'],
    });
    await writeFile(join(workspace, 'Dockerfile'), 'FROM scratch\nADD https://example.com/x /x\n');
    expect((await hash()).hash).toBeNull();
  });

  it('has bases by tag only where all of it is known', async () => {
    const byTag = async (base: string, options: Partial<HashOptions> = {}) =>
      namesBasesByTag(await hash({ args: { BASE: base } }, options));
    expect(await byTag('python:3.12')).toBe(true);
    expect(await byTag(`python:3.12@sha256:${'a'.repeat(64)}`)).toBe(false);
    expect(await byTag('scratch')).toBe(false);
    expect(await byTag('local:1', { resolve: () => Promise.resolve(undefined) })).toBe(false);
  });

  it('says what is missing', async () => {
    await expect(hash({ dockerfile: 'none/Dockerfile' })).rejects.toMatchObject({
      reasonCode: 'not_found',
      message: 'backend: there is no Dockerfile at none/Dockerfile.',
    });
    await expect(hash({ target: 'other' })).rejects.toThrow('has no stage other');
    await expect(hash({ context: 'none' })).rejects.toThrow('is no folder');
    await writeFile(join(workspace, 'Dockerfile'), 'RUN true\n');
    await expect(hash()).rejects.toThrow('has no FROM');
  });

  it('ends when the run is cancelled', async () => {
    await expect(hash({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      reasonCode: 'cancelled',
    });
  });
});

it('a context with .git says so', async () => {
  await mkdir(join(workspace, '.git'));
  const file = join(workspace, 'Dockerfile');
  expect((await hashContext(workspace, file, signal)).hasGit).toBe(true);
  await writeFile(join(workspace, '.dockerignore'), '.git\n');
  expect((await hashContext(workspace, file, signal)).hasGit).toBe(false);
});
