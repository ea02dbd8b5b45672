import { describe, expect, it } from 'vitest';
import { candidateTag, inputsTag, type Origin, problemOfTags, tagsByRule, versionOf } from './tags.ts';

const sha = '4f9c1e7ab2d86035c4e1f7a9d3b25e608c7f1a42';
const origin = (own: Partial<Origin>): Origin => ({
  ref: 'refs/heads/main',
  sha,
  run: '81-1',
  version: undefined,
  ...own,
});

describe('tags by rule', () => {
  it.each<[string[], Partial<Origin>, string[]]>([
    [['semver', 'branch', 'sha'], { ref: 'refs/tags/v1.4.2' }, ['1.4.2', '1.4', '1', 'sha-4f9c1e7ab2d8']],
    [['semver'], { ref: 'refs/tags/v1.4.2-rc.1' }, ['1.4.2-rc.1']],
    [['semver'], { ref: 'refs/tags/v0.4.2' }, ['0.4.2', '0.4']],
    [['semver'], { ref: 'refs/tags/nightly' }, []],
    [['semver'], { version: '2.0.1+build.5' }, ['2.0.1', '2.0', '2']],
    [['branch'], { ref: 'refs/heads/feature/über-fast' }, ['feature-ber-fast']],
    [['branch'], { ref: 'refs/pull/12/merge' }, ['pr-12']],
    [['branch', 'main', 'latest'], {}, ['main', 'latest']],
    [['version'], { version: '2025.11+7' }, ['2025.11-7']],
    [['sha', 'version'], { sha: '' }, []],
  ])('%j of %j are %j', (rules, own, tags) => {
    expect(tagsByRule(rules, origin(own))).toEqual(tags);
  });

  it('are never latest alone, and never what is no tag', () => {
    expect(problemOfTags(['latest'])).toContain('latest');
    expect(problemOfTags(['sha', 'latest'])).toBeUndefined();
    expect(problemOfTags(['a b'])).toContain('"a b"');
  });
});

describe('a version', () => {
  it.each<[Partial<Origin>, string]>([
    [{ version: '7' }, '7'],
    [{ ref: 'refs/tags/v1.4.2' }, '1.4.2'],
    [{ ref: 'refs/tags/nightly' }, 'nightly'],
    [{}, '4f9c1e7ab2d8'],
    [{ sha: '' }, 'unversioned'],
  ])('of %j is %s', (own, version) => {
    expect(versionOf(origin(own))).toBe(version);
  });
});

describe('a candidate tag', () => {
  it('is of one run, and of one part of it', () => {
    expect(candidateTag(origin({}))).toBe('candidate-4f9c1e7ab2d8-81-1');
    expect(candidateTag(origin({}), ['linux/arm64'])).toBe('candidate-4f9c1e7ab2d8-81-1-linux-arm64');
    expect(candidateTag(origin({ sha: '', ref: '', run: '' }))).toBe('candidate-local');
  });
});

it('an image is named by what it was made of', () => {
  expect(inputsTag(`sha256:${'ab'.repeat(32)}`)).toBe(`inputs-${'ab'.repeat(20)}`);
  expect(() => inputsTag('x')).toThrow('no hash');
});
