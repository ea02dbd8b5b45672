// build-images on a real builder, a real registry, and a proxy before it that misbehaves.

import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts';
import { type Engine, openEngine } from '../engine/engine.ts';
import { manifestAt } from '../engine/registry-client.ts';
import { type BuildStep, createWorkspace, type Workspace } from './action.ts';

let engine: Engine;
let workspace: Workspace;
/** Of this run, so that nothing is there before. */
let path = '';
let prefix = '';

const python = (lines = '') => `ARG BASE
FROM \${BASE}
ARG VERSION
COPY app.txt /app.txt
RUN echo "made of $(cat /app.txt)" > /made.txt
${lines}USER 65534
HEALTHCHECK NONE
`;

/** The layers of the image `a`, from that of its base on. */
async function layersOf({ details }: BuildStep): Promise<string[]> {
  const manifest = await manifestAt(engine.registry, `${path}/a`, details['a']?.digest ?? '');
  return manifest?.layers?.map(({ digest }) => digest) ?? [];
}

beforeAll(async () => {
  engine = await openEngine((line) => void process.stderr.write(`${line}\n`));
});
afterAll(() => engine?.end());

beforeEach(async () => {
  path = `build-test-${randomUUID().slice(0, 8)}`;
  prefix = `${engine.registry}/${path}/`;
  workspace = await createWorkspace(engine, {
    'a/Dockerfile': python(),
    'a/app.txt': `a of ${path}`,
    'b/Dockerfile': python(),
    'b/app.txt': `b of ${path}`,
  });
});
afterEach(() => workspace.remove());

const base = () => ({ BASE: engine.bases['python:3.11-slim'] ?? '' });
const two = () => ({
  images: { a: { context: 'a', args: base() }, b: { context: 'b', args: base() } },
  prefix,
});

describe('images', () => {
  it('are built, pushed, verified and tagged; an unchanged one is tagged by its digest, without a build', async () => {
    const first = await workspace.build({ ...two(), push: 'tags', tags: 'branch, sha' });
    expect(first.outcome).toMatchObject({ result: 'succeeded', reasonCode: 'ok' });
    expect(first.rebuilt).toEqual(['a', 'b']);
    const { a, b } = first.details;
    for (const tag of ['main', 'sha-4f9c1e7ab2d8', a?.tags[0] ?? ''])
      expect((await manifestAt(engine.registry, `${path}/a`, tag))?.digest).toBe(a?.digest);
    expect(a?.platforms).toEqual(['linux/amd64']);
    expect(a?.size).toBeGreaterThan(1_000_000);
    expect(first.summary).toMatch(/gantt\n[^]*section a\n[^]*section b\n/);
    expect(first.summary).toContain('verified at the registry');
    const inspected = await engine.docker(
      ...['buildx', 'imagetools', 'inspect', a?.reference ?? '', '--format', '{{json .Image}}'],
    );
    expect(inspected.replaceAll(/\s/g, '')).toContain(
      '"org.opencontainers.image.revision":"4f9c1e7ab2d86035c4e1f7a9d3b25e608c7f1a42"',
    );

    const second = await workspace.build({ ...two(), push: 'tags', tags: 'branch' }, { sha: '5'.repeat(40) });
    expect(second.rebuilt).toEqual([]);
    expect(second.outcome.message).toContain('none had to be built');
    expect(second.details['a']).toMatchObject({ digest: a?.digest, cached: 'unchanged', size: a?.size });
    expect(second.summary).toContain(', same');
    const candidate = String(second.outcome.outputs['candidate']);
    expect((await manifestAt(engine.registry, `${path}/b`, candidate))?.digest).toBe(b?.digest);

    await workspace.write({ 'b/app.txt': 'another' });
    const third = await workspace.build(two());
    expect(third.rebuilt).toEqual(['b']);
    expect(third.details['a']?.digest).toBe(a?.digest);
    expect(third.details['b']?.digest).not.toBe(b?.digest);
    expect((await workspace.build({ ...two(), rebuild: 'all' })).rebuilt).toEqual(['a', 'b']);
  });

  it('are the same when the same commit is built again, elsewhere', async () => {
    const first = await workspace.build({ ...two(), rebuild: 'all' });
    const fresh = await engine.freshBuilder(`again-${path}`);
    try {
      const again = await workspace.build({ ...two(), rebuild: 'all', builder: fresh.name });
      expect(again.details['a']?.digest).toBe(first.details['a']?.digest);
      expect(again.details['b']?.digest).toBe(first.details['b']?.digest);
    } finally {
      await fresh.end();
    }
  });

  it('have the weight that they say while they are built', async () => {
    // Of cgroup v1 it is read as it was said; v2 has another scale, on which 100 is the usual.
    const weighs = (shares: number) =>
      `RUN cd /sys/fs/cgroup && if [ -e cpu/cpu.shares ]; then test "$(cat cpu/cpu.shares)" = ${shares}; else test "$(cat cpu.weight)" ${shares === 1024 ? '=' : '-gt'} 100; fi\n`;
    await workspace.write({ 'a/Dockerfile': python(weighs(4096)), 'b/Dockerfile': python(weighs(1024)) });
    const images = { ...two().images, a: { context: 'a', args: base(), 'cpu-shares': 4096 } };
    expect((await workspace.build({ ...two(), images })).rebuilt).toEqual(['a', 'b']);
    // It is no part of what they are made of.
    expect((await workspace.build(two())).rebuilt).toEqual([]);
  });

  it('are shown by a dry run, which builds and writes nothing', async () => {
    const { outcome, summary } = await workspace.build({ ...two(), 'dry-run': 'true' });
    expect(outcome).toMatchObject({ result: 'planned', outputs: { rebuilt: 'a,b' } });
    const shown = JSON.parse(await readFile(String(outcome.outputs['definition']), 'utf8')) as object;
    expect(shown).toMatchObject({ target: { a: { context: 'a', dockerfile: 'Dockerfile' } } });
    expect(summary).toContain('"context": "a"');
    expect(
      await manifestAt(engine.registry, `${path}/a`, String(outcome.outputs['candidate'])),
    ).toBeUndefined();
  });

  it('have secrets while they are built, and not after', async () => {
    const secret = randomUUID();
    await workspace.write({
      token: secret,
      'a/Dockerfile': python('RUN --mount=type=secret,id=token sha256sum < /run/secrets/token > /hash\n'),
    });
    const images = { a: { context: 'a', args: base(), secrets: { token: 'token' } } };
    const { outcome, lines, details } = await workspace.build({ images, prefix });
    const reference = details['a']?.reference ?? '';
    const [hash, grep] = [
      await engine.docker('run', '--rm', reference, 'cat', '/hash'),
      await engine.docker(
        'run',
        '--rm',
        '--user',
        '0',
        reference,
        'sh',
        '-c',
        `grep -rls ${secret} / --exclude-dir=proc --exclude-dir=sys || true`,
      ),
    ];
    expect(hash).toMatch(/^[0-9a-f]{64}/);
    expect(grep).toBe('');
    const said = [
      JSON.stringify(outcome),
      ...lines,
      await readFile(String(outcome.outputs['definition']), 'utf8'),
    ];
    expect(said.join('\n')).not.toContain(secret);
  });

  it('have provenance where it is asked for', async () => {
    const images = { a: { context: 'a', args: base() } };
    const { details } = await workspace.build({ images, prefix, provenance: 'max' });
    const manifest = await manifestAt(engine.registry, `${path}/a`, details['a']?.digest ?? '');
    expect(manifest?.manifests?.map(({ platform }) => platform?.os)).toEqual(['linux', 'unknown']);
  });

  it('take their layers from a cache of their own', async () => {
    for (const cache of ['local', 'registry']) {
      await workspace.build({ ...two(), rebuild: 'all', cache });
      const fresh = await engine.freshBuilder(`${cache}-${path}`);
      try {
        const { details } = await workspace.build({ ...two(), rebuild: 'all', cache, builder: fresh.name });
        expect([details['a']?.cached, details['b']?.cached], cache).toEqual([
          expect.toSatisfy((share: number) => share >= 0.5),
          expect.toSatisfy((share: number) => share >= 0.5),
        ]);
      } finally {
        await fresh.end();
      }
    }
  });

  it('are built by the engine itself, which cannot do everything and is not asked to', async () => {
    await engine.docker('pull', '--quiet', engine.bases['python:3.11-slim'] ?? '');
    const { details } = await workspace.build({ ...two(), builder: 'default' });
    expect(details['a']?.platforms).toEqual(['linux/amd64']);
    await expect(
      workspace.build({ ...two(), rebuild: 'all', builder: 'default', cache: 'local' }),
    ).rejects.toMatchObject({
      reasonCode: 'unsupported',
      message: expect.stringContaining('cannot write a cache'),
    });
  });

  it('are built by the engine itself from the base that its registry has now, not from a copy of before', async () => {
    const moving = `${engine.registry}/${path}/base:1`;
    const baseSays = async (text: string) => {
      await workspace.write({ 'base/Dockerfile': `FROM scratch\nCOPY text /text\n`, 'base/text': text });
      const folder = join(workspace.folder, 'base');
      await engine.docker('buildx', 'build', '--quiet', '--push', '--tag', moving, folder);
    };
    await workspace.write({
      'a/Dockerfile': `FROM ${moving}\nCOPY app.txt /app.txt\nUSER 65534\nHEALTHCHECK NONE\n`,
    });
    const build = () =>
      workspace.build({ images: { a: { context: 'a' } }, prefix, builder: 'default', push: 'candidate' });
    await baseSays('before');
    await engine.docker('pull', '--quiet', moving);
    const first = await build();
    await baseSays('after');
    const second = await build();
    expect(second.rebuilt).toEqual(['a']);
    const [before, after] = [await layersOf(first), await layersOf(second)];
    expect([before.length, after.length]).toEqual([2, 2]);
    expect(after[0]).not.toBe(before[0]);
  });

  it('are pushed and cached over plain HTTP where the registry is named for it', async () => {
    const address = Object.values(networkInterfaces())
      .flat()
      .find((each) => each?.family === 'IPv4' && !each.internal)?.address;
    expect(address, 'this machine has an address beside those of loopback').toBeDefined();
    // The registry itself is at an address that is plain HTTP for everybody.
    const [host = '', port = ''] = engine.registry.split(':');
    const server = createServer((client) => {
      const registry = connect(Number(port), host);
      client.pipe(registry).pipe(client);
      for (const side of [client, registry])
        side.on('error', () => [client, registry].map((each) => each.destroy()));
    });
    server.listen(0, address);
    await once(server, 'listening');
    try {
      const registry = `${address}:${(server.address() as AddressInfo).port}`;
      const given = {
        images: { a: { context: 'a', args: base() } },
        prefix: `${registry}/${path}/`,
        cache: 'registry',
        rebuild: 'all',
        'insecure-registries': registry,
      };
      const { details } = await workspace.build(given);
      const digest = details['a']?.digest;
      expect((await manifestAt(engine.registry, `${path}/a`, digest ?? ''))?.digest).toBe(digest);
      expect(await manifestAt(engine.registry, `${path}/a`, 'buildcache')).toBeDefined();
      const fresh = await engine.freshBuilder(`plain-${path}`);
      try {
        const again = await workspace.build({ ...given, builder: fresh.name });
        expect(again.details['a']?.cached).toSatisfy((share: number) => share >= 0.5);
      } finally {
        await fresh.end();
      }
    } finally {
      server.close();
    }
  });
});

describe('several platforms', () => {
  const scratch = `FROM scratch
COPY app.txt /app.txt
USER 65534
HEALTHCHECK NONE
`;

  it('are built in one step, or by native runners and merged', async () => {
    await workspace.write({ 'a/Dockerfile': scratch });
    const images = { a: { context: 'a' } };
    const both = await workspace.build({ images, prefix, platforms: 'linux/amd64, linux/arm64' });
    expect(both.details['a']?.platforms).toEqual(['linux/amd64', 'linux/arm64']);

    const parts = [];
    const said = { a: { context: 'a', platforms: ['linux/amd64', 'linux/arm64'] } };
    for (const platforms of ['linux/amd64', 'linux/arm64'])
      parts.push(await workspace.build({ images: said, prefix, platforms, part: 'true' }));
    expect(parts.map(({ details }) => details['a']?.platforms)).toEqual([['linux/amd64'], ['linux/arm64']]);
    expect(parts.map(({ details }) => details['a']?.tags[0])).toEqual([
      expect.stringMatching(/-linux-amd64$/),
      expect.stringMatching(/-linux-arm64$/),
    ]);
    const merged = await workspace.build({
      images,
      prefix,
      platforms: 'linux/amd64, linux/arm64',
      merge: parts.map(({ details }) => details),
      push: 'tags',
      tags: 'sha',
    });
    expect(merged.details['a']).toMatchObject({
      platforms: ['linux/amd64', 'linux/arm64'],
      cached: 'merged',
    });
    expect(merged.summary).toContain('merged of 2 parts');
    expect((await manifestAt(engine.registry, `${path}/a`, 'sha-4f9c1e7ab2d8'))?.digest).toBe(
      merged.details['a']?.digest,
    );
    await expect(
      workspace.build({ images, prefix, platforms: 'linux/amd64, linux/arm64', merge: parts[0]?.details }),
    ).rejects.toMatchObject({
      reasonCode: 'image_unverified',
      message: expect.stringContaining('linux/arm64'),
    });
  });
});

describe('a registry that misbehaves', () => {
  let proxy: FaultProxy;
  beforeEach(async () => {
    proxy = await startFaultProxy({ target: `http://${engine.registry}` });
  });
  afterEach(() => proxy.stop());
  const images = () => ({
    images: { a: { context: 'a', args: base() } },
    prefix: `${new URL(proxy.url).host}/${path}/`,
  });

  it.each([
    ['too many requests', { kind: 'answer', status: 429, body: { errors: [{ code: 'TOOMANYREQUESTS' }] } }],
    ['500', { kind: 'answer', status: 500 }],
    ['a connection that breaks in the middle', { kind: 'cut' }],
  ] as const)('%s: pushed at a later attempt', async (_what, fault) => {
    proxy.program([
      { method: 'PUT', times: 1, fault },
      { method: 'PATCH', times: 1, fault },
    ]);
    const { details } = await workspace.build(images());
    expect((await manifestAt(engine.registry, `${path}/a`, details['a']?.digest ?? ''))?.digest).toBe(
      details['a']?.digest,
    );
  });

  it.each([
    ['loses the manifest of a platform', /\/manifests\/sha256:/, { kind: 'answer', status: 404 }],
    ['does not have the tag', /\/manifests\/candidate/, { kind: 'answer', status: 404 }],
    ['loses a layer', /\/blobs\/sha256:/, { kind: 'answer', status: 404 }],
  ] as const)('one that %s: refused, and nothing else is tagged', async (_what, lost, fault) => {
    // The builder asks, too, before it pushes; what is read back is read after.
    const isPushed = () =>
      proxy.calls.some(
        ({ method, path: at, outcome }) => method === 'PUT' && at.includes('/candidate') && outcome === 201,
      );
    const where = ({ method }: { method: string }) => /^(?:GET|HEAD)$/.test(method) && isPushed();
    proxy.program([{ path: lost, where, fault }]);
    await expect(workspace.build({ ...images(), push: 'tags', tags: 'branch' })).rejects.toMatchObject({
      reasonCode: expect.stringMatching(/^(?:image_unverified|not_found)$/),
    });
    expect(await manifestAt(engine.registry, `${path}/a`, 'main')).toBeUndefined();
  });

  it('that refuses the login says so', async () => {
    proxy.program([
      {
        path: /^\/v2\//,
        fault: {
          kind: 'answer',
          status: 401,
          headers: { 'www-authenticate': 'Basic realm="x"' },
          body: { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] },
        },
      },
    ]);
    await expect(workspace.build({ ...images(), rebuild: 'all' })).rejects.toMatchObject({
      reasonCode: 'permission_denied',
    });
  });
});

describe('what goes wrong is said', () => {
  it('a RUN that fails: with image, instruction, line and the last lines it wrote', async () => {
    await workspace.write({
      'b/Dockerfile': python('RUN echo before; \\\n  echo "no such package" >&2; exit 3\n'),
    });
    await expect(workspace.build(two())).rejects.toMatchObject({
      reasonCode: 'build_failed',
      message: expect.stringMatching(/^b: RUN echo before;.*\(b\/Dockerfile:6\) failed: exit code 3\.$/),
      details: expect.arrayContaining(['no such package']),
    });
  });

  it('a base that is not there', async () => {
    const images = { a: { context: 'a', args: { BASE: `${prefix}none:1` } } };
    await expect(workspace.build({ images, prefix })).rejects.toMatchObject({
      reasonCode: 'not_found',
      message: expect.stringContaining('none:1'),
    });
  });

  it('a secret that is not there', async () => {
    await workspace.write({
      'a/Dockerfile': python('RUN --mount=type=secret,id=token,required=true cat /run/secrets/token\n'),
    });
    await expect(
      workspace.build({ images: { a: { context: 'a', args: base() } }, prefix }),
    ).rejects.toMatchObject({
      message: expect.stringContaining('token'),
    });
  });

  it('a Dockerfile that is not there, before anything is built', async () => {
    const images = { a: { context: 'a', args: base() }, c: { context: 'c' } };
    await expect(workspace.build({ images, prefix })).rejects.toMatchObject({
      reasonCode: 'not_found',
      message: 'c: there is no Dockerfile at c/Dockerfile.',
    });
  });

  it('an engine that does not answer, and a builder that is not there', async () => {
    await expect(workspace.build({ ...two(), builder: 'none' })).rejects.toMatchObject({
      reasonCode: 'not_found',
    });
    const away = { ...engine, env: { ...engine.env, DOCKER_HOST: 'unix:///nowhere/docker.sock' } };
    const other = await createWorkspace(away, { 'a/Dockerfile': python(), 'a/app.txt': 'x' });
    try {
      await expect(
        other.build({ images: { a: { context: 'a', args: base() } }, prefix, builder: 'default' }),
      ).rejects.toMatchObject({
        reasonCode: 'unreachable',
        message: expect.stringContaining('does not answer'),
      });
    } finally {
      await other.remove();
    }
  });

  it('Dockerfiles with more findings than are allowed: nothing is built', async () => {
    await workspace.write({ 'a/Dockerfile': python('ENV DB_PASSWORD=hunter2\n') });
    const { outcome } = await workspace.build({ ...two(), limits: 'critical: 0, high: 0' });
    expect(outcome).toMatchObject({ result: 'failed', reasonCode: 'findings_over_limit' });
    expect(JSON.stringify(outcome)).not.toContain('hunter2');
    expect(outcome.outputs['images']).toBeUndefined();
  });

  it('a run that was cancelled ends soon, and leaves no login behind', async () => {
    await workspace.write({ 'a/Dockerfile': python('RUN sleep 60\n') });
    const ending = new AbortController();
    const building = workspace.build({ ...two() }, { signal: ending.signal });
    setTimeout(() => ending.abort(), 3_000);
    const began = performance.now();
    await expect(building).rejects.toMatchObject({ reasonCode: 'cancelled' });
    expect(performance.now() - began).toBeLessThan(15_000);
  });
});

it('the file with the definition can be built by hand', async () => {
  const { outcome } = await workspace.build({
    ...two(),
    push: 'none',
    'output-directory': join(workspace.folder, 'out'),
  });
  expect(outcome.message).toContain('Nothing was pushed');
  const printed = await engine.docker(
    'buildx',
    'bake',
    '--file',
    String(outcome.outputs['definition']),
    '--print',
  );
  expect(JSON.parse(printed)).toMatchObject({ target: { a: {}, b: {} } });
});
