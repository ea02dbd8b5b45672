import { describe, expect, it } from 'vitest';
import type { Json } from '@deploy-actions/core';
import { type BuildDefaults, readBuildSpecs } from './build-spec.ts';

const defaults: BuildDefaults = {
  prefix: 'ghcr.io/acme/helpdesk-',
  args: { PYTHON: '3.11' },
  platforms: ['linux/amd64'],
  cache: 'gha',
};
const read = (value: Json, own: Partial<BuildDefaults> = {}) =>
  readBuildSpecs(value, { ...defaults, ...own });

it('of a native runner are for its platforms, whatever they say themselves', () => {
  const platformsOf = (own: Partial<BuildDefaults>) =>
    read({ backend: null, frontend: { platforms: 'linux/amd64, linux/arm64' } }, own).specs.map(
      ({ platforms }) => platforms,
    );
  const both = ['linux/amd64', 'linux/arm64'];
  expect(platformsOf({ platforms: ['linux/arm64'] })).toEqual([['linux/arm64'], both]);
  expect(platformsOf({ platforms: ['linux/arm64'], part: true })).toEqual([['linux/arm64'], ['linux/arm64']]);
  expect(platformsOf({ platforms: [], part: true })).toEqual([[], both]);
});

describe('images as a user writes them', () => {
  it('are a mapping of names, and inherit what holds for all', () => {
    const { specs, problems } = read({
      backend: null,
      frontend: {
        context: './customer-portal/',
        dockerfile: 'Dockerfile.frontend',
        args: { PYTHON: '3.12', FAST: true, LEVEL: 3 },
        secrets: { npmrc: '~/.npmrc' },
        platforms: 'linux/amd64, linux/arm64',
        cache: 'none',
        network: 'host',
        target: 'final',
        'cpu-shares': 4096,
      },
    });
    expect(problems).toEqual([]);
    expect(specs).toEqual([
      {
        name: 'backend',
        repository: 'ghcr.io/acme/helpdesk-backend',
        context: '.',
        dockerfile: 'Dockerfile',
        target: null,
        args: { PYTHON: '3.11' },
        labels: {},
        secrets: {},
        platforms: ['linux/amd64'],
        cache: 'gha',
        hostNetwork: false,
        cpuShares: null,
      },
      {
        name: 'frontend',
        repository: 'ghcr.io/acme/helpdesk-frontend',
        context: 'customer-portal',
        dockerfile: 'Dockerfile.frontend',
        target: 'final',
        args: { PYTHON: '3.12', FAST: 'true', LEVEL: '3' },
        labels: {},
        secrets: { npmrc: '~/.npmrc' },
        platforms: ['linux/amd64', 'linux/arm64'],
        cache: 'none',
        hostNetwork: true,
        cpuShares: 4096,
      },
    ]);
  });

  it('are a list with names', () => {
    const { specs, problems } = read([
      { name: 'ai', context: 'ai-service', repository: 'localhost:5000/ai' },
    ]);
    expect(problems).toEqual([]);
    expect(specs[0]).toMatchObject({
      name: 'ai',
      repository: 'localhost:5000/ai',
      dockerfile: 'ai-service/Dockerfile',
    });
  });

  it.each<[Json, RegExp]>([
    ['backend', /has no image/],
    [{}, /has no image/],
    [{ Backend: null }, /Backend: has no allowed name/],
    [{ a: 'x' }, /a: is no mapping/],
    [{ a: { contxt: '.' } }, /`contxt` is not a setting, did you mean `context`/],
    [{ a: { context: '../b' } }, /`context` leaves the workspace/],
    [{ a: { dockerfile: '/etc/Dockerfile' } }, /`dockerfile` leaves the workspace/],
    [{ a: { target: 1 } }, /`target` is no text/],
    [{ a: { args: { 'x y': '1' } } }, /`args` has the name "x y"/],
    [{ a: { args: { x: { y: '1' } } } }, /`args` is no mapping/],
    [{ a: { secrets: { x: 'a,b' } } }, /`secrets` has the file "a,b"/],
    [{ a: { platforms: ['amd64'] } }, /`platforms` is not allowed/],
    [{ a: { cache: 's3' } }, /`cache` "s3" is not known/],
    [{ a: { network: 'bridge' } }, /`network` "bridge" is not allowed/],
    [{ a: { 'cpu-shares': 1 } }, /`cpu-shares` is not allowed/],
    [{ a: { 'cpu-shares': '4096' } }, /`cpu-shares` is not allowed/],
    [{ a: { repository: 'ghcr.io/acme/a:1' } }, /the repository "ghcr\.io\/acme\/a:1" is not allowed/],
    [{ a: { repository: 'x/y' }, b: { repository: 'x/y' } }, /a and b have the same repository/],
    [[{ name: 'a' }, { name: 'a', repository: 'x/y' }], /a: is there twice/],
  ])('%j is refused, saying what is allowed', (value, wrong) => {
    const { problems } = read(value);
    expect(problems.join('\n')).toMatch(wrong);
    for (const problem of problems) expect(problem).toContain('allowed');
  });

  it('need a repository from somewhere', () => {
    expect(read({ a: null }, { prefix: undefined }).problems).toEqual([
      expect.stringContaining('a: has no repository'),
    ]);
  });
});
