import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@deploy-actions/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bake, type BakeOptions } from './bake.ts';
import { canRewriteTimestamps, canWeighSteps, inspectBuilder, refuseDemands } from './builder.ts';

// A stand-in for docker that says what docker and buildx were seen to say; the real ones run in test/platforms/images.
const standIn = `#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
'buildx version') [ -n "$NO_BUILDX" ] && { echo "docker: unknown command: docker buildx" >&2; exit 1; }; echo "github.com/docker/buildx v\${BUILDX:-0.38.2} abc"; exit 0 ;;
'buildx inspect'*) cat "$INSPECT"; exit 0 ;;
info*) echo "\${STATUS:-[]}"; exit 0 ;;
esac
attempt=$(grep -c 'buildx bake' "$CALLS")
if [ "$attempt" -le "\${FAILS:-0}" ]; then
  echo '{"vertexes":[{"digest":"1","name":"exporting to image","started":"2026-01-01T00:00:00Z","completed":"2026-01-01T00:00:01Z","error":"unexpected status from PUT request: 503 Service Unavailable"}]}' >&2
  echo 'ERROR: failed to solve: unexpected status from PUT request: 503 Service Unavailable' >&2
  exit 1
fi
previous=
for word in "$@"; do
  [ "$previous" = --metadata-file ] && echo '{"a":{"containerimage.digest":"sha256:1"},"buildx.build.warnings":[]}' > "$word"
  previous=$word
done
echo '{"vertexes":[{"digest":"1","name":"[1/1] RUN x","started":"2026-01-01T00:00:00Z","completed":"2026-01-01T00:00:03Z","cached":true}]}' >&2
`;

let folder = '';
const { signal } = new AbortController();
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bake-'));
  await mkdir(join(folder, 'bin'));
  await writeFile(join(folder, 'bin/docker'), standIn);
  await chmod(join(folder, 'bin/docker'), 0o755);
});
afterEach(() => rm(folder, { recursive: true }));

const program = (own: Record<string, string> = {}) => ({
  environment: {
    PATH: `${join(folder, 'bin')}:/usr/bin:/bin`,
    CALLS: join(folder, 'calls'),
    INSPECT: join(folder, 'inspect'),
    ...own,
  },
  signal,
  directory: folder,
});
const build = (own: Partial<BakeOptions> = {}, environment: Record<string, string> = {}) =>
  bake({
    ...program(environment),
    definition: {
      group: { default: { targets: ['a'] } },
      target: {
        a: { context: '.', dockerfile: 'Dockerfile', args: {}, labels: {}, tags: [], attest: [], output: [] },
      },
    },
    builder: 'mine',
    allow: ['network.host'],
    folder: join(folder, 'out'),
    log: silentLog,
    timeout: 30_000,
    dockerfiles: new Map(),
    pauses: [10, 10],
    ...own,
  });

describe('bake', () => {
  it('is given the definition, the builder and what it may do, and says digests and times', async () => {
    const { builds, digests, attempts } = await build();
    expect(attempts).toBe(1);
    expect(digests.get('a')).toBe('sha256:1');
    expect(builds[0]).toMatchObject({ name: 'a', steps: 1, cached: 1 });
    const file = join(folder, 'out/docker-bake.json');
    expect(await readFile(join(folder, 'calls'), 'utf8')).toBe(
      `buildx bake --builder mine --file ${file} --progress rawjson --metadata-file ${join(folder, 'out/metadata.json')} --allow network.host\n`,
    );
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ target: { a: { context: '.' } } });
  });

  it('is tried again while a registry is busy, and not for ever', async () => {
    expect((await build({}, { FAILS: '2' })).attempts).toBe(3);
    await rm(join(folder, 'calls'));
    await expect(build({}, { FAILS: '9' })).rejects.toMatchObject({
      reasonCode: 'unreachable',
      message: expect.stringContaining('503'),
    });
  });
});

describe('a builder', () => {
  const inspected = (driver: string, error = '') =>
    writeFile(
      join(folder, 'inspect'),
      `Name: b1\nDriver: ${driver}\n${error}\nNodes:\nName: b10\nBuildKit version: v0.34.2\nPlatforms: linux/amd64*, linux/386\n`,
    );

  it('says what it is', async () => {
    await inspected('docker-container');
    expect(await inspectBuilder('b1', program())).toEqual({
      version: '0.38.2',
      name: 'b1',
      driver: 'docker-container',
      buildkit: 'v0.34.2',
      platforms: ['linux/amd64', 'linux/386'],
      limited: false,
    });
    await inspected('docker');
    expect((await inspectBuilder(undefined, program())).limited).toBe(true);
    const status = '[["driver-type","io.containerd.snapshotter.v1"]]';
    expect((await inspectBuilder(undefined, program({ STATUS: status }))).limited).toBe(false);
  });

  it.each<[string, Record<string, string>, string]>([
    ['no docker', { PATH: '/nowhere' }, 'not_found'],
    ['no buildx', { NO_BUILDX: '1' }, 'not_found'],
    ['a buildx that is too old', { BUILDX: '0.12.1' }, 'unsupported'],
  ])('%s is said', async (_what, environment, reasonCode) => {
    await inspected('docker');
    await expect(inspectBuilder(undefined, program(environment))).rejects.toMatchObject({
      reasonCode,
      remedy: expect.stringContaining('buildx'),
    });
  });

  it('that does not answer is said', async () => {
    await inspected('', 'Error: failed to connect to the docker API at unix:///x');
    await expect(inspectBuilder(undefined, program())).rejects.toMatchObject({ reasonCode: 'unreachable' });
  });

  it.each([
    ['0.38.2', 'v0.34.2', false, true, true],
    ['1.0.0', 'v1.0.0', false, true, true],
    ['0.35.0', 'v0.30.9', false, true, false],
    ['0.34.1', 'v0.31.0', false, true, false],
    ['0.38.2', 'v0.12.5', false, false, false],
    ['0.38.2', '', false, false, false],
    ['0.38.2', 'v0.31.0', true, false, true],
  ])(
    'of buildx %s and BuildKit "%s" (limited: %s) can set times (%s) and weights (%s)',
    (version, buildkit, limited, times, weights) => {
      const builder = { version, buildkit, limited, name: 'b', driver: 'docker', platforms: [] };
      expect([canRewriteTimestamps(builder), canWeighSteps(builder)]).toEqual([times, weights]);
    },
  );

  it('is not asked for what it cannot do', () => {
    const builder = {
      version: '',
      name: 'default',
      driver: 'docker',
      buildkit: '',
      platforms: [],
      limited: true,
    };
    const demands = { platforms: ['linux/amd64', 'linux/arm64'], caches: ['gha'], provenance: 'min' };
    expect(() => refuseDemands(builder, demands)).toThrow(
      'cannot build for several platforms (linux/amd64, linux/arm64), nor write a cache `gha`, nor say the provenance',
    );
    expect(() => refuseDemands({ ...builder, limited: false }, demands)).not.toThrow();
    expect(() =>
      refuseDemands(builder, { platforms: [], caches: ['none'], provenance: 'none' }),
    ).not.toThrow();
  });
});
