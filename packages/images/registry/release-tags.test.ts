import { describe, expect, it } from 'vitest';
import { laterRelease, precedence, releaseTags, requireReleaseTags } from './release-tags.ts';

const origin = { ref: 'refs/tags/v1.4.2', sha: 'a'.repeat(40), run: '1-1', version: undefined };

describe('the tags of a release', () => {
  it('say which of them move', () => {
    const tags = releaseTags(['semver', 'sha', 'environment', 'latest'], origin, 'production');
    expect(tags.map(({ tag, moves }) => `${tag}${moves ? ' moves' : ''}`)).toEqual([
      '1.4.2',
      '1.4 moves',
      '1 moves',
      `sha-${'a'.repeat(12)}`,
      'production moves',
      'latest moves',
    ]);
  });

  it('never have latest unasked, nor short ones for a pre-release', () => {
    const tags = releaseTags(['semver'], { ...origin, ref: 'refs/tags/v1.4.2-rc.1' }, undefined);
    expect(tags.map(({ tag }) => tag)).toEqual(['1.4.2-rc.1']);
  });

  it.each([['latest, semver'], ['semver'], ['version, environment']])(
    'are refused where %s comes to none that says what runs',
    (rules) => {
      const main = { ...origin, ref: 'refs/heads/main' };
      const tags = releaseTags(rules.split(', '), main, undefined);
      expect(() => requireReleaseTags(tags, rules.split(', '), main)).toThrow(
        `\`tags: ${rules}\` for refs/heads/main`,
      );
      expect(() => requireReleaseTags(releaseTags(['sha'], main, undefined), ['sha'], main)).not.toThrow();
    },
  );

  it('do not move when they are a version that was written out, with a v or without', () => {
    const tags = releaseTags(['v1.4.2', '1.4.2', 'v1.4', 'vnext'], origin, undefined);
    expect(tags.filter(({ moves }) => !moves).map(({ tag }) => tag)).toEqual(['v1.4.2', '1.4.2']);
  });

  it('follow a branch', () => {
    expect(releaseTags(['branch'], { ...origin, ref: 'refs/heads/feature/x' }, undefined)).toEqual([
      { tag: 'feature-x', moves: true, isOfCommit: false, follows: 'nothing' },
    ]);
    const named = { ...origin, ref: 'refs/heads/v2.0.0' };
    expect(releaseTags(['branch'], named, undefined)).toMatchObject([{ tag: 'v2.0.0', moves: true }]);
    // Unless it is a version as well.
    expect(releaseTags(['v2.0.0', 'branch'], named, undefined)).toMatchObject([{ moves: false }]);
    expect(releaseTags(['branch', 'v2.0.0'], named, undefined)).toMatchObject([{ moves: false }]);
  });
});

describe('a tag that is followed', () => {
  const existing = ['1.3.9', '1.4.9', '1.5.0', '2.0.0-rc.1', '2.0.0', '10.0.0', 'main', '1.4', 'sha-1'];
  it.each([
    ['1.4', '1.4.2', '1.4.9'],
    ['1.4', '1.4.10', undefined],
    ['1', '1.4.10', '1.5.0'],
    ['1', '1.5.1', undefined],
    ['2', '2.0.1', undefined],
    ['latest', '2.0.1', '10.0.0'],
    ['latest', '10.0.1', undefined],
    ['latest', undefined, undefined],
  ])('%s at %s stays at a later release: %s', (tag, version, later) => {
    expect(laterRelease(tag, version, existing)).toBe(later);
  });

  it('is compared with versions that have a v', () => {
    expect(laterRelease('1', 'v1.4.2', ['v1.5.0', 'v2.0.0'])).toBe('v1.5.0');
    expect(laterRelease('latest', '1.4.2', ['v1.5.0'])).toBe('v1.5.0');
  });

  it('orders versions as semver does', () => {
    const ordered = [
      '1.0.0-alpha',
      '1.0.0-alpha.1',
      '1.0.0-alpha.beta',
      '1.0.0-beta',
      '1.0.0-beta.2',
      '1.0.0-beta.11',
      '1.0.0-rc.1',
      '1.0.0',
      '1.0.1',
      '1.10.0',
    ];
    expect(ordered.toReversed().toSorted(precedence)).toEqual(ordered);
  });
});
