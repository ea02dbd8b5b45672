// The engine that other tests rest on: real builds, a real registry, real containers; and nothing is left of it, however it ended.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { freePort } from '../../support/ports.ts';
import { processesWith } from '../../support/processes.ts';
import { type Engine, openEngine } from './engine.ts';
import { manifestAt } from './registry-client.ts';

let engine: Engine;
let folder = '';

beforeAll(async () => {
  engine = await openEngine((line) => void process.stderr.write(`${line}\n`));
  folder = await mkdtemp(join(tmpdir(), 'engine-test-'));
});
afterAll(async () => {
  await engine?.end();
  await rm(folder, { recursive: true, force: true });
});

const dockerfile = `# syntax=docker/dockerfile:1
ARG BASE=python:3.11-slim
FROM \${BASE}
ARG VERSION
RUN printf '%s' "$VERSION" > /index.html
USER 65534
CMD ["python3", "-m", "http.server", "8000", "--directory", "/"]
`;

type Metadata = Record<string, { 'containerimage.digest': string }>;

/** Builds and pushes both images of a definition, on that builder. */
async function bake(version: string, builder = engine.builder): Promise<Metadata> {
  const context = join(folder, 'context');
  await mkdir(context, { recursive: true });
  await writeFile(join(context, 'Dockerfile'), dockerfile);
  const target = Object.fromEntries(
    ['one', 'two'].map((name) => [
      name,
      {
        context,
        args: { VERSION: `${version}-${name}` },
        tags: [`${engine.registry}/engine-test/${name}:${version}`],
        output: ['type=registry'],
      },
    ]),
  );
  const [definition, metadata] = [join(folder, 'bake.json'), join(folder, 'metadata.json')];
  await writeFile(definition, JSON.stringify({ group: { default: { targets: ['one', 'two'] } }, target }));
  const allow = `--allow=fs.read=${folder}`;
  await engine.docker(
    ...['buildx', 'bake', '--builder', builder, '--file', definition, '--metadata-file', metadata, allow],
  );
  return JSON.parse(await readFile(metadata, 'utf8')) as Metadata;
}

describe('the engine', () => {
  it('builds two images from one definition, and the registry has what the build said', async () => {
    const built = await bake('1.0.0');
    for (const name of ['one', 'two']) {
      const digest = built[name]?.['containerimage.digest'] ?? '';
      expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/);
      const manifest = await manifestAt(engine.registry, `engine-test/${name}`, '1.0.0');
      expect(manifest?.digest).toBe(digest);
      // Provenance is an attestation beside the image.
      expect(manifest?.manifests?.map(({ platform }) => platform?.os)).toEqual(['linux', 'unknown']);
    }
    expect(await manifestAt(engine.registry, 'engine-test/one', '2.0.0')).toBeUndefined();
  });

  it('runs what was pushed, and answers on a port of 127.0.0.1', async () => {
    const built = await bake('1.0.0');
    const port = await freePort();
    const image = `${engine.registry}/engine-test/one@${built['one']?.['containerimage.digest']}`;
    const id = await engine.docker('run', '--detach', '--publish', `127.0.0.1:${port}:8000`, image);
    try {
      const text = await vi.waitFor(async () => (await fetch(`http://127.0.0.1:${port}/`)).text(), 10_000);
      expect(text).toBe('1.0.0-one');
      expect(await engine.docker('exec', id, 'id', '-u')).toBe('65534');
    } finally {
      await engine.docker('rm', '--force', id);
    }
  });

  it('has stand-ins for the images of Docker Hub, each of its digest', async () => {
    expect(Object.keys(engine.bases)).toEqual(
      expect.arrayContaining(['python:3.11-slim', 'nginx:alpine', 'redis:7-alpine', 'postgres:15']),
    );
    for (const [name, reference] of Object.entries(engine.bases)) {
      const [path = '', tag = ''] = name.split(':');
      const repository = path.includes('/') ? path : `library/${path}`;
      const digest = (await manifestAt(engine.registry, repository, tag))?.digest;
      expect(reference).toBe(`${name}@${digest}`);
    }
  });

  it('starts a builder whose cache is empty', async () => {
    await bake('1.0.0');
    const fresh = await engine.freshBuilder('cold');
    try {
      expect(await engine.docker('buildx', 'du', '--builder', 'cold')).toMatch(/Total:\s+0B/);
      await bake('1.0.0', 'cold');
      expect(await engine.docker('buildx', 'du', '--builder', 'cold')).not.toMatch(/Total:\s+0B/);
    } finally {
      await fresh.end();
    }
    expect(await engine.docker('buildx', 'ls')).not.toContain('cold');
  });
});

describe('an engine that was killed', () => {
  const state = join(tmpdir(), 'deploy-actions-second-engine');

  /** A process that opens the second engine and runs a container on it, up to where it says so. */
  async function openSecond(): Promise<{ kill(): Promise<void>; end(): Promise<number> }> {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'second-engine.fixture.ts')], {
      env: { ...process.env, SECOND_ENGINE: '1' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const closed = once(child, 'close') as Promise<[number | null]>;
    const line = once(createInterface({ input: child.stdout }), 'line');
    const [said] = (await Promise.race([line, closed])) as [unknown];
    if (said !== 'running') throw new Error('the second engine did not come up');
    return {
      async kill() {
        child.kill('SIGKILL');
        await closed;
      },
      async end() {
        child.stdin.end();
        return (await closed)[0] ?? 128;
      },
    };
  }

  async function traces(): Promise<string[]> {
    const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
    return [
      ...processesWith(state).map(({ command }) => command),
      ...mounts.filter((line) => line.includes(state)),
      ...[state, '/sys/class/net/deployengine1', '/sys/fs/cgroup/memory/deploy-actions-second-engine'].filter(
        (path) => existsSync(path),
      ),
    ];
  }

  it('is cleaned up by the next, and nothing is left of that', async () => {
    const killed = await openSecond();
    await killed.kill();
    for (const { pid, command } of processesWith(state))
      if (/dockerd|containerd |buildkitd|docker-registry/.test(command)) process.kill(pid, 'SIGKILL');
    expect(await traces()).not.toEqual([]);
    const next = await openSecond();
    expect(await next.end()).toBe(0);
    expect(await traces()).toEqual([]);
  });
});
