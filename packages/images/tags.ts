import { DeployError } from '@deploy-actions/core';

/** What a run is of, as far as tags follow from it. */
export interface Origin {
  /** `refs/heads/main`, `refs/tags/v1.4.2`, `refs/pull/12/merge`; empty outside of a workflow. */
  ref: string;
  /** The commit, in full; empty where it is not known. */
  sha: string;
  /** Tells two runs for one commit apart: `8123-1`. */
  run: string;
  /** A version that the user named. */
  version: string | undefined;
}

/** The rules by their names; any other entry of a list of tags is taken as it is. */
export const tagRules = ['semver', 'branch', 'sha', 'version'] as const;

const semver = /^v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?$/;
const tagPattern = /^\w[\w.-]{0,127}$/;

/** As a tag may be written: other characters are hyphens, at most 128 of them. */
export function asTag(text: string): string {
  return text
    .replace(/[^\w.-]+/g, '-')
    .replace(/^[.-]+/, '')
    .slice(0, 128);
}

/** What is released: the version that was named, else that of the tag, else the commit. */
export function versionOf({ ref, sha, version }: Origin): string {
  if (version !== undefined) return version;
  const tag = /^refs\/tags\/(.+)$/.exec(ref)?.[1];
  if (tag !== undefined) return semver.test(tag) ? tag.replace(/^v/, '') : tag;
  return sha === '' ? 'unversioned' : sha.slice(0, 12);
}

/** `1.4.2`, `1.4` and `1` of a release; of a pre-release only its own, for the shorter ones promise a finished one. */
function ofSemver(text: string): string[] {
  const match = semver.exec(text);
  if (match === null) return [];
  const [, major = '', minor = '', patch = '', before = ''] = match;
  const whole = `${major}.${minor}.${patch}${before}`;
  if (before !== '') return [whole];
  // 0.x promises nothing to those who follow 0.
  return [whole, `${major}.${minor}`, ...(major === '0' ? [] : [major])];
}

/**
 * The tags of an image by rules, without repetition:
 * `semver`: `1.4.2`, `1.4`, `1` where the git tag, or the version that was named, is one; `branch`: the branch's name, `pr-12` for a pull
 * request; `sha`: `sha-` and 12 digits of the commit; `version`: the version that was named; anything else: itself. Empty where
 * no rule says any.
 */
export function tagsByRule(rules: readonly string[], origin: Origin): string[] {
  const { ref, sha, version } = origin;
  const tags = rules.flatMap((rule) => {
    switch (rule) {
      case 'semver':
        return ofSemver(version ?? /^refs\/tags\/(.+)$/.exec(ref)?.[1] ?? '');
      case 'branch': {
        const pullRequest = /^refs\/pull\/(\d+)\//.exec(ref)?.[1];
        if (pullRequest !== undefined) return [`pr-${pullRequest}`];
        const branch = /^refs\/heads\/(.+)$/.exec(ref)?.[1];
        return branch === undefined ? [] : [asTag(branch)];
      }
      case 'sha':
        return sha === '' ? [] : [`sha-${sha.slice(0, 12)}`];
      case 'version':
        return version === undefined ? [] : [asTag(version)];
      default:
        return [rule];
    }
  });
  return [...new Set(tags.filter((tag) => tag !== ''))];
}

/** What is wrong with a list of rules, in words; undefined when nothing is. */
export function problemOfTags(rules: readonly string[]): string | undefined {
  const wrong = rules.find((rule) => !tagPattern.test(rule));
  if (wrong !== undefined) {
    return `has "${wrong}", which is no tag; allowed are ${tagRules.map((rule) => `\`${rule}\``).join(', ')}, or tags of letters, digits and _ . -`;
  }
  return rules.every((rule) => rule === 'latest')
    ? 'is `latest` alone, which says nothing about what runs and cannot be gone back to; allowed is `latest` beside another, such as `semver, branch, sha, latest`'
    : undefined;
}

/**
 * The tag under which an image waits for its scan. It is of one attempt of one run, so that two runs never judge each other's image.
 * `part`: the platforms that this run builds where others build the rest.
 */
export function candidateTag({ sha, run, ref }: Origin, part: readonly string[] = []): string {
  const of = sha === '' ? asTag(ref.replace(/^refs\/\w+\//, '')) || 'local' : sha.slice(0, 12);
  const parts = ['candidate', of, run, ...part.map((platform) => platform.replaceAll('/', '-'))];
  return asTag(parts.filter((each) => each !== '').join('-'));
}

/** The tag that names an image by what it was made of: `inputs-` and 40 digits of the hash. */
export function inputsTag(hash: string): string {
  const digits = /^sha256:([0-9a-f]{64})$/.exec(hash)?.[1];
  if (digits === undefined) throw new DeployError('internal', `${hash} is no hash of inputs.`);
  return `inputs-${digits.slice(0, 40)}`;
}
