// The reusable workflow images.yml by act: with a real builder, a real registry and the real Trivy.

import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ActRun } from '../../support/act.ts';
import { createRepository, type Repository, stepsOf } from '../../workflows/repository.ts';
import { type Engine, openEngine } from '../engine/engine.ts';
import { manifestAt } from '../engine/registry-client.ts';
import { trivyPrograms, writeDatabase } from '../trivy/trivy.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);
const patience = 600_000;
const pathBefore = process.env['PATH'];

let engine: Engine;
let repository: Repository;
/** Of this run, so that nothing is there before. */
const name = `workflow-${randomUUID().slice(0, 8)}`;

beforeAll(async () => {
  engine = await openEngine(say);
  const programs = await trivyPrograms(say);
  process.env['PATH'] = [programs, pathBefore].join(delimiter);
  repository = await createRepository();
  const cache = join(repository.folder, 'trivy');
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  await writeDatabase(programs, cache, now, {
    'pip::GitHub Security Advisory Pip': {
      django: {
        'CVE-2019-14235': { value: { PatchedVersions: ['2.2.4'], VulnerableVersions: ['< 2.2.4'] } },
      },
    },
    vulnerability: {
      'CVE-2019-14235': {
        value: { Title: 'Django: denial of service', Severity: 'CRITICAL', VendorSeverity: { ghsa: 4 } },
      },
    },
    'data-source': {
      'pip::GitHub Security Advisory Pip': {
        value: { ID: 'ghsa', Name: 'GitHub Security Advisory Pip', URL: 'https://github.com/advisories' },
      },
    },
  });
  await put(
    '.github/deploy.yml',
    JSON.stringify({
      build: {
        prefix: `${engine.registry}/${name}/`,
        images: { backend: { context: 'backend' }, portal: { context: 'portal' } },
        args: { BASE: engine.bases['python:3.11-slim'] },
        lint: { limits: 'none', sarif: false },
      },
      scan: { offline: true, 'cache-directory': cache, scanners: ['vuln'], sarif: false },
      promote: { tags: ['semver', 'environment'] },
      environments: { production: {} },
    }),
  );
});
afterAll(async () => {
  process.env['PATH'] = pathBefore;
  await repository?.end();
  await engine?.end();
});

async function put(path: string, text: string): Promise<void> {
  const file = join(repository.directory, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

/** A commit in which the portal has this version of Django, released as a version. */
async function release(version: string, django: string): Promise<ActRun> {
  for (const image of ['backend', 'portal']) {
    await put(
      `${image}/Dockerfile`,
      'ARG BASE\nFROM ${BASE}\nCOPY METADATA /usr/lib/python3/dist-packages/Django.dist-info/METADATA\nUSER 65534\nHEALTHCHECK NONE\n',
    );
    const has = image === 'portal' ? django : '4.2.0';
    await put(
      `${image}/METADATA`,
      `Metadata-Version: 2.1\nName: Django\nVersion: ${has}\nSummary: ${image}\n`,
    );
  }
  const { PATH = '', ...env } = engine.env;
  const lines = Object.entries(env).map(
    ([variable, value]) => `echo '${variable}=${value}' >> "$GITHUB_ENV"`,
  );
  const [bin = ''] = PATH.split(delimiter);
  const { version: suite } = JSON.parse(
    await readFile(join(import.meta.dirname, '../../../package.json'), 'utf8'),
  ) as { version: string };
  await put(
    '.github/workflows/release.yml',
    JSON.stringify({
      on: 'push',
      permissions: {},
      jobs: {
        images: {
          uses: `org/deploy-actions/.github/workflows/images.yml@v${suite}`,
          permissions: {
            contents: 'read',
            packages: 'write',
            checks: 'write',
            'pull-requests': 'write',
            'security-events': 'write',
          },
          with: {
            environment: 'production',
            version,
            prepare: [...lines, `echo '${bin}' >> "$GITHUB_PATH"`].join('\n'),
          },
        },
        after: {
          needs: 'images',
          'runs-on': 'ubuntu-latest',
          steps: [
            {
              id: 'after',
              env: {
                BACKEND: '${{ fromJSON(needs.images.outputs.details).backend.reference }}',
                TAGS: '${{ needs.images.outputs.tags }}',
              },
              run: 'echo "backend=$BACKEND" >> "$GITHUB_OUTPUT"; echo "tags=$TAGS" >> "$GITHUB_OUTPUT"',
            },
          ],
        },
      },
    }),
  );
  await repository.commit(`Release ${version}`);
  return repository.run('release.yml');
}

/** The digests that the tags of an image point at. */
async function tagsOf(image: string, ...tags: string[]): Promise<(string | undefined)[]> {
  return Promise.all(
    tags.map(async (tag) => (await manifestAt(engine.registry, `${name}/${image}`, tag))?.digest),
  );
}

let first: (string | undefined)[] = [];

test(
  'images are built, scanned by digest and promoted, and the next job is given the digest',
  async () => {
    const run = await release('1.4.2', '4.2.0');
    expect(run.jobs, run.log).toEqual({
      build: 'success',
      scan: 'success',
      promote: 'success',
      after: 'success',
    });
    expect(stepsOf(run, 'promote')).toContain('Give them the tags of the release: success');
    const [digest] = (first = await tagsOf('backend', '1.4.2', '1.4', '1', 'production'));
    expect(digest).toMatch(/^sha256:/);
    expect(new Set(first).size).toBe(1);
    expect(run.outputs['after']).toEqual({
      backend: `${engine.registry}/${name}/backend@${digest}`,
      tags: JSON.stringify({
        backend: ['1.4.2', '1.4', '1', 'production'],
        portal: ['1.4.2', '1.4', '1', 'production'],
      }),
    });
  },
  patience,
);

test(
  'of a release whose scan fails no image is promoted, the clean one neither',
  async () => {
    const run = await release('1.4.3', '2.2.0');
    expect(run.jobs, run.log).toMatchObject({ build: 'success', scan: 'failure' });
    expect(run.jobs).not.toHaveProperty('promote');
    expect(run.annotations.join('\n')).toContain('findings_over_limit');
    expect(await tagsOf('backend', '1.4.2', '1.4', '1', 'production')).toEqual(first);
    expect(await tagsOf('backend', '1.4.3')).toEqual([undefined]);
    expect(await tagsOf('portal', '1.4.3')).toEqual([undefined]);
  },
  patience,
);
