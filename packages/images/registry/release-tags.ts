import { DeployError } from '@deploy-actions/core';
import { type Origin, tagsByRule } from '../tags.ts';

/** A tag that a release is to have. */
export interface ReleaseTag {
  tag: string;
  /** Whether it goes from release to release, as `1.4` and `production` do. One that does not names one image for ever. */
  moves: boolean;
  /**
   * Whether it names the commit that an image was built of. The same commit built again, with newer packages, is another image: that is no
   * other release, and the tag stays at the first.
   */
  isOfCommit: boolean;
  /** The tags of a repository that it must not go behind: `1` stays at 1.5.0 when 1.4.3 is released after it. */
  follows: 'versions' | 'nothing';
}

/** A whole version, as the rule `semver` writes it, or with the `v` of a git tag, as people write it themselves. */
const whole = /^v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?$/;

/** The rules of tags.ts, and `environment`: the name of the environment that is released to. */
export function releaseTags(
  rules: readonly string[],
  origin: Origin,
  environment: string | undefined,
): ReleaseTag[] {
  const tags = rules.flatMap((rule): ReleaseTag[] => {
    if (rule === 'environment')
      return environment === undefined
        ? []
        : [{ tag: environment, moves: true, isOfCommit: false, follows: 'nothing' }];
    return tagsByRule([rule], origin).map((tag) => {
      // A branch goes on, also one that is named like a version.
      const fixed = rule === 'sha' || rule === 'version' || (rule !== 'branch' && whole.test(tag));
      const follows = !fixed && (rule === 'semver' || rule === 'latest');
      return { tag, moves: !fixed, isOfCommit: rule === 'sha', follows: follows ? 'versions' : 'nothing' };
    });
  });
  const byName = new Map<string, ReleaseTag>();
  // Of two rules that give the same tag, the one by which it does not move holds.
  for (const each of tags) if (byName.get(each.tag)?.moves !== false) byName.set(each.tag, each);
  return [...byName.values()];
}

/**
 * Refuses what names no image: no tag at all, and `latest` alone, which a list of rules can come to for one reference though not for
 * another. Throws `invalid_input`.
 */
export function requireReleaseTags(
  tags: readonly ReleaseTag[],
  rules: readonly string[],
  { ref }: Origin,
): void {
  if (tags.some(({ tag }) => tag !== 'latest')) return;
  const what =
    tags.length === 0
      ? 'No tag follows'
      : 'Only `latest` follows, which says nothing about what runs and cannot be gone back to,';
  throw new DeployError(
    'invalid_input',
    `${what} from \`tags: ${rules.join(', ')}\` for ${ref || 'a run without a reference'}; nothing was written.`,
    {
      remedy:
        'Give `version`, run it for a git tag or a branch, or name another tag, such as `sha` of the rules.',
    },
  );
}

/** The whole version among the tags of a release; undefined where it has none. */
export function releasedVersion(tags: readonly ReleaseTag[]): string | undefined {
  return tags.find(({ tag, moves }) => !moves && whole.test(tag))?.tag;
}

/** Whether a version promises a finished one, and is none. */
export const isPreRelease = (version: string | undefined): boolean =>
  version !== undefined && whole.exec(version)?.[4] !== undefined;

/**
 * The tag of a later release that a moving tag stays at, if there is one. `version`: the tag that is released, `1.4.2`; of other
 * versions nothing follows. `1.4` looks at releases of 1.4, `1` at those of 1, `latest` at all.
 */
export function laterRelease(
  tag: string,
  version: string | undefined,
  existing: readonly string[],
): string | undefined {
  if (version === undefined || !whole.test(version)) return undefined;
  const own = (other: string) => !/^\d/.test(tag) || other.replace(/^v/, '').startsWith(`${tag}.`);
  return existing
    .filter(
      (other) => whole.test(other) && !other.includes('-') && own(other) && precedence(other, version) > 0,
    )
    .toSorted(precedence)
    .at(-1);
}

/** By https://semver.org/#spec-item-11. Both are whole versions. */
export function precedence(a: string, b: string): number {
  const [left, right] = [whole.exec(a) ?? [], whole.exec(b) ?? []];
  for (const part of [1, 2, 3]) {
    const difference = Number(left[part]) - Number(right[part]);
    if (difference !== 0) return difference;
  }
  const [before, after] = [left[4], right[4]];
  if (before === undefined || after === undefined)
    return Number(after !== undefined) - Number(before !== undefined);
  const [these, those] = [before.split('.'), after.split('.')];
  for (const [index, mine] of these.entries()) {
    const other = those[index];
    if (other === undefined) return 1;
    if (mine === other) continue;
    const [number, otherNumber] = [/^\d+$/.test(mine), /^\d+$/.test(other)];
    if (number && otherNumber) return Number(mine) - Number(other);
    if (number !== otherNumber) return number ? -1 : 1;
    return mine < other ? -1 : 1;
  }
  return these.length - those.length;
}
