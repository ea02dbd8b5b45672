import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { lintBuilds } from './build-lint.ts';

const digest = `sha256:${'a'.repeat(64)}`;
const good = `ARG BASE=python:3.13-slim@${digest}
FROM golang:1.25@${digest} AS build
RUN apt-get update && apt-get install -y gcc
FROM \${BASE} AS final
RUN apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/*
USER app
HEALTHCHECK NONE
`;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lint-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function found(text: string, args: Record<string, string> = {}, target?: string): Promise<string[]> {
  await writeFile(join(folder, 'Dockerfile'), text);
  const build = { dockerfile: 'Dockerfile', args, target };
  const findings = await lintBuilds(folder, [build, build]);
  return findings.map(({ rule, location }) => `${rule.id}:${location?.startLine}`);
}

it('has nothing against bases by digest, lists that are removed, and those of a stage that is thrown away', async () => {
  expect(await found(good)).toEqual([]);
  expect(
    await found(
      good
        .replace('&& rm -rf /var/lib/apt/lists/*', '')
        .replaceAll('RUN apt', 'RUN --mount=type=cache,target=/var/lib/apt apt'),
    ),
  ).toEqual([]);
});

it('finds a base that moves, also when an argument names it', async () => {
  expect(await found(good, { BASE: 'python:3.13' })).toEqual(['unpinned-base:4']);
  expect(await found(good.replace(`golang:1.25@${digest}`, 'golang:1.25'))).toEqual([]);
  expect(
    await found(`${good}COPY --from=build /x /x\n`.replace(`golang:1.25@${digest}`, 'golang:1.25')),
  ).toEqual(['unpinned-base:2']);
});

it('looks at the stage that is built', async () => {
  expect(await found(good, {}, 'build')).toEqual([
    'root-user:2',
    'no-health-check:2',
    'kept-package-lists:3',
  ]);
});

it('finds lists that stay, also in a here-document', async () => {
  expect(await found(good.replace(' && rm -rf /var/lib/apt/lists/*', ''))).toEqual(['kept-package-lists:5']);
  const script = 'RUN <<EOT\napt-get update\napt-get install -y curl\nEOT\nUSER app';
  expect(await found(good.replace('USER app', script))).toEqual(['kept-package-lists:6']);
});

it('leaves it to the build to say that there is no Dockerfile', async () => {
  const build = { dockerfile: 'none/Dockerfile', args: {}, target: undefined };
  expect(await lintBuilds(folder, [build])).toEqual([]);
});
