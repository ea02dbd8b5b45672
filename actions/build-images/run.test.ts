import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  asStepEnvironment,
  describeProblem,
  type InputValues,
  type Outcome,
  readInputs,
} from '@deploy-actions/action-kit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestContext } from '../../test/support/context.ts';
import { loginFolder } from './build.ts';
import { definition } from './definition.ts';
import { post, run } from './run.ts';
import { createBuildFolder } from './test-support.ts';

// A stand-in for docker that keeps how it was called and what it was logged in with; the real one runs in test/platforms/images.
const standIn = `#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
'buildx version') echo "github.com/docker/buildx v0.38.2 abc"; exit 0 ;;
'buildx inspect'*) printf 'Name: b\\nDriver: remote\\nBuildKit version: v0.34.2\\nPlatforms: linux/amd64\\n'; exit 0 ;;
esac
cp "$DOCKER_CONFIG/config.json" "$LOGIN" 2>/dev/null
previous=
for word in "$@"; do
  [ "$previous" = --metadata-file ] && echo '{}' > "$word"
  previous=$word
done
echo '{"vertexes":[{"digest":"1","name":"[1/1] RUN x","started":"2026-01-01T00:00:00Z","completed":"2026-01-01T00:00:03Z"}]}' >&2
`;
const dockerfile = `FROM python:3.13-slim@sha256:${'a'.repeat(64)}\nUSER app\nHEALTHCHECK NONE\n`;

let folder = '';
beforeEach(async () => {
  folder = await createBuildFolder(standIn, dockerfile);
});
afterEach(() => rm(folder, { recursive: true }));

type Inputs = InputValues<(typeof definition)['inputs']>;

async function read(inputs: Record<string, string>): Promise<Inputs | string[]> {
  const given = {
    images: '{ backend: { context: . } }',
    prefix: '127.0.0.1:1/acme/',
    rebuild: 'all',
    ...inputs,
  };
  const environment = asStepEnvironment(given);
  const found = await readInputs(definition, {
    environment,
    workspace: join(folder, 'workspace'),
    config: async () => () => undefined,
    mask: () => {},
  });
  return found.ok ? found.inputs : found.problems.map(describeProblem);
}

async function build(inputs: Record<string, string>) {
  const test = createTestContext({
    environment: {
      PATH: `${join(folder, 'bin')}:/usr/bin:/bin`,
      CALLS: join(folder, 'calls'),
      LOGIN: join(folder, 'login'),
      DOCKER_CONFIG: join(folder, 'docker'),
      SOURCE_DATE_EPOCH: '1700000000',
    },
  });
  Object.assign(test.context.facts, {
    workspace: join(folder, 'workspace'),
    temp: join(folder, 'temp'),
    ref: 'refs/tags/v1.4.2',
    sha: '4f9c1e7ab2d86035c4e1f7a9d3b25e608c7f1a42',
  });
  const values = await read(inputs);
  if (Array.isArray(values)) throw new Error(values.join('\n'));
  const outcome: Outcome = await run(values, test.context);
  return { outcome, ...test };
}

describe('build-images', () => {
  it('builds with a login of its own, which is gone after', async () => {
    const { outcome, context, masked } = await build({
      push: 'none',
      registry: 'ghcr.io',
      prefix: 'ghcr.io/acme/',
      username: 'me',
      password: 'hunter22',
    });
    expect(outcome).toMatchObject({
      result: 'succeeded',
      outputs: {
        rebuilt: 'backend',
        version: '1.4.2',
        candidate: undefined,
        tags: '1.4.2,1.4,1,sha-4f9c1e7ab2d8',
      },
    });
    expect(await readFile(join(folder, 'login'), 'utf8')).toContain(
      Buffer.from('me:hunter22').toString('base64'),
    );
    expect(masked).toContain(Buffer.from('me:hunter22').toString('base64'));
    expect(await readFile(join(folder, 'calls'), 'utf8')).not.toContain('hunter22');
    expect(
      (await readdir(join(folder, 'temp/deploy-actions'))).filter((name) => name.startsWith('docker-')),
    ).toEqual([]);
    expect(context.summary.text()).toContain('gantt');
  });

  it('shows what it would do, and starts no builder', async () => {
    const { outcome, context } = await build({ 'dry-run': 'true', environment: 'staging' });
    expect(outcome).toMatchObject({
      result: 'planned',
      reasonCode: 'dry_run',
      outputs: { rebuilt: 'backend' },
    });
    expect(context.summary.text()).toContain('"ENVIRONMENT": "staging"');
    // Which platform it has is part of what an image is made of; it is asked that, and not started.
    expect(await readFile(join(folder, 'calls'), 'utf8')).toBe('buildx inspect\n');
  });

  it('builds nothing when the Dockerfiles have more findings than are allowed', async () => {
    await writeFile(join(folder, 'workspace/Dockerfile'), dockerfile.replace('USER app', 'USER root'));
    const { outcome, context } = await build({});
    expect(outcome).toMatchObject({
      result: 'failed',
      reasonCode: 'findings_over_limit',
      outputs: { images: undefined, findings: 1 },
    });
    expect(context.summary.text()).toContain('its user is root');
    await expect(readFile(join(folder, 'calls'))).rejects.toThrow('ENOENT');
    await writeFile(
      join(folder, 'workspace/.hardeningignore.yaml'),
      'misconfigurations:\n  - id: root-user\n    expired_at: 2999-12-31\n    statement: the port is below 1024\n',
    );
    expect((await build({ push: 'none' })).outcome.result).toBe('succeeded');
  });

  it('removes the login that an ended run left', async () => {
    const left = join(folder, 'temp/docker-config-x');
    await mkdir(left, { recursive: true });
    const { context } = createTestContext({ recall: (name) => (name === loginFolder ? left : '') });
    const values = await read({});
    if (!Array.isArray(values)) await post(values, context);
    expect(await readdir(join(folder, 'temp'))).toEqual([]);
  });
});

describe('inputs that do not go together', () => {
  it.each<[Record<string, string>, RegExp]>([
    [{ images: '{ backend: { contxt: . } }' }, /^images: .*did you mean `context`/],
    [{ tags: 'latest' }, /^tags: .*latest/],
    [{ platforms: 'amd64' }, /^platforms: .*linux\/amd64/],
    [{ merge: '{}' }, /^merge: is empty/],
    [{ merge: '[]', part: 'true' }, /^part: /m],
    [{ part: 'true', push: 'tags' }, /^push: /m],
    [{ push: 'tags', tags: 'environment' }, /^environment: is missing/],
    [{ part: 'true' }, /^part: needs `platforms`, which backend has not/m],
    [
      { merge: `{ "backend": ["sha256:${'a'.repeat(64)}"] }` },
      /^merge: needs `platforms`, which backend has not/m,
    ],
    [{ push: 'load', platforms: 'linux/amd64,linux/arm64' }, /^push: .*several platforms of backend/m],
    [{ 'compare-with': 'a b' }, /^compare-with: /],
    [{ limits: 'high 5' }, /^limits: /],
    [{ username: 'me' }, /^password: |^registry: /m],
  ])('%j', async (inputs, wrong) => {
    const problems = await read(inputs);
    expect(Array.isArray(problems) ? problems.join('\n') : '').toMatch(wrong);
  });
});
