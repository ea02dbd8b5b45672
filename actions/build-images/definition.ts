import { defineAction, type Problem } from '@deploy-actions/action-kit';
import type { Json } from '@deploy-actions/core';
import {
  type BuildSpec,
  cacheKinds,
  checkLogin,
  loginInputs,
  platformPattern,
  problemOfTags,
  readBuildSpecs,
  readParts,
} from '@deploy-actions/images';
import { checkLimits, verdictInputs } from '@deploy-actions/scanners';
import { githubInputs } from '@deploy-actions/targets';

/** The images that inputs say, and what is wrong with them. */
export function specsOf(inputs: {
  images?: Json | undefined;
  prefix?: string | undefined;
  args?: Record<string, string> | undefined;
  platforms?: string[] | undefined;
  part?: boolean | undefined;
  cache?: (typeof cacheKinds)[number] | undefined;
}): { specs: BuildSpec[]; problems: string[] } {
  return readBuildSpecs(inputs.images ?? null, {
    prefix: inputs.prefix,
    args: inputs.args ?? {},
    platforms: inputs.platforms ?? [],
    part: inputs.part ?? false,
    cache: inputs.cache ?? 'none',
  });
}

export const definition = defineAction({
  name: 'build-images',
  title: 'Build images',
  description:
    'Builds all images of a repository in parallel, pushes them under a candidate tag and verifies what was pushed. An image whose inputs did not change is not built again, but tagged by its digest.',
  icon: 'package',
  color: 'blue',
  mutates: true,
  permissions: {
    contents: 'read',
    packages: 'write',
    checks: 'write',
    'pull-requests': 'write',
    'security-events': 'write',
  },
  inputs: {
    images: {
      kind: 'yaml',
      required: true,
      description:
        'The images: a mapping of names to `repository`, `context`, `dockerfile`, `target`, `args`, `labels`, `secrets`, `platforms`, `cache`, `network` and `cpu-shares`, or a list of such with `name`. Paths are relative to the workspace; the Dockerfile is the one of the context where none is said. `secrets` are files, by id. `cpu-shares` above 1024 let an image that takes longest go first where processors are short.',
      example: '{ backend: { context: . }, frontend: { context: ./customer-portal } }',
      config: 'build.images',
    },
    prefix: {
      kind: 'string',
      pattern: /^[a-z0-9][a-z0-9.-]*(?::\d{1,5})?\/[a-z0-9._/-]*$/,
      allowed: 'a registry and the beginning of a path, such as ghcr.io/acme/helpdesk-',
      description:
        'What the repository of an image begins with that says none; its name is added: `ghcr.io/acme/helpdesk-` makes `ghcr.io/acme/helpdesk-backend`.',
      example: 'ghcr.io/acme/helpdesk-',
      config: 'build.prefix',
    },
    version: {
      kind: 'string',
      pattern: /^[A-Za-z0-9][\w.+-]{0,127}$/,
      allowed: 'letters, digits, dots, hyphens, underscores and +, up to 128',
      description:
        'The version that is built: the argument VERSION of every build, a label, and tags by rule. Default: that of the git tag, else the commit.',
      example: '1.4.2',
    },
    environment: {
      kind: 'string',
      pattern: /^[A-Za-z0-9][\w.-]{0,62}$/,
      allowed: 'letters, digits, dots, hyphens and underscores, up to 63',
      description:
        'The environment that is built for: the argument ENVIRONMENT of every build, and whose settings of deploy.yml hold.',
      example: 'production',
    },
    args: {
      kind: 'map',
      description:
        'Arguments of every build, one `NAME=value` a line. Never secrets: they stay in the image. An image may say its own. A VERSION or ENVIRONMENT among them is given instead of that of the run.',
      example: 'PYTHON_IMAGE=python:3.13-slim@sha256:…',
      config: 'build.args',
    },
    platforms: {
      kind: 'list',
      description:
        'What is built for, where an image does not say it; with `part`, whatever an image says. Default: the platform of the builder.',
      example: 'linux/amd64, linux/arm64',
      config: 'build.platforms',
    },
    tags: {
      kind: 'list',
      description:
        'The tags of a release, by rule: `semver` (`1.4.2`, `1.4`, `1` of the git tag or the version), `branch`, `sha`, `version`, `environment`; anything else is a tag. `latest` may be one of them, but not alone. Which of them move, and where they stay, is as promote-images has it.',
      default: 'semver, branch, sha',
      config: 'build.tags',
    },
    push: {
      kind: 'enum',
      values: ['candidate', 'tags', 'load', 'none'],
      description:
        '`candidate`: pushes under a tag of this run, which promote-images promotes after the scan. `tags`: sets the tags of a release, too, after all images were verified: all of them, or none. `load`: into the engine of the runner, for a scan without a push. `none`: only builds.',
      default: 'candidate',
      config: 'build.push',
    },
    rebuild: {
      kind: 'enum',
      values: ['changed', 'all'],
      description:
        '`changed`: an image is built when its context, Dockerfile, arguments, bases, stage or platforms changed. `all`: every image is built; do so from time to time, because packages that a RUN installs are no part of it.',
      default: 'changed',
      config: 'build.rebuild',
    },
    'rebuild-for-version': {
      kind: 'boolean',
      description:
        'Whether another version alone is a change. Without it, an image that is not built again keeps the version of its build.',
      default: 'false',
      config: 'build.rebuild-for-version',
    },
    cache: {
      kind: 'enum',
      values: cacheKinds,
      description:
        'Where layers are kept between builds, a place of its own for every image: the cache of GitHub Actions, the tag `buildcache` at the registry, or a folder.',
      default: 'none',
      config: 'build.cache',
    },
    'cache-mode': {
      kind: 'enum',
      values: ['min', 'max'],
      description: 'Whether the cache has the layers of all stages, or of the last one.',
      default: 'max',
      config: 'build.cache-mode',
    },
    'cache-directory': {
      kind: 'path',
      within: 'host',
      description: 'The folder of `cache: local`. Default: a folder in the temporary folder of the runner.',
      example: '~/.cache/images',
      config: 'build.cache-directory',
    },
    provenance: {
      kind: 'enum',
      values: ['none', 'min', 'max'],
      description:
        'Whether the builder says in the image what it was built from. It has times in it, so that two builds of a commit differ in it; and the engine’s own builder cannot.',
      default: 'none',
      config: 'build.provenance',
    },
    builder: {
      kind: 'string',
      pattern: /^[\w.-]{1,100}$/,
      allowed: 'the name of a builder: letters, digits and . _ -',
      description: 'The builder, as `docker buildx ls` names it. Default: the one that is in use.',
      config: 'build.builder',
    },
    part: {
      kind: 'boolean',
      description:
        'Whether this is one of several native runners that each build some platforms, those of `platforms`: what is pushed has a tag of its own, and another step merges it (`merge`).',
      default: 'false',
    },
    merge: {
      kind: 'json',
      description:
        'What native runners built, merged into one index an image instead of a build: their outputs `details` in a list, or a mapping of images to lists of digests. Needs `platforms`: those that have to be there.',
      example: '{ "backend": ["sha256:…", "sha256:…"] }',
    },
    'compare-with': {
      kind: 'list',
      description:
        'Tags of the last release, with whose size the new one is compared: the first that there is. Default: the tag of the branch, then `latest`.',
      example: 'production',
      config: 'build.compare-with',
    },
    timeout: {
      kind: 'duration',
      min: '1s',
      max: '6h',
      description: 'The time for all builds together.',
      default: '1h',
      config: 'build.timeout',
    },
    ...verdictInputs(
      'build.lint',
      'critical: 0, high: 0',
      '`.hardeningignore.yaml`, else `.hardeningignore`',
    ),
    ...loginInputs,
    'output-directory': {
      kind: 'path',
      within: 'host',
      description:
        'The folder for the definition and what the builder says. Default: a folder in the temporary folder of the runner.',
      example: 'out/build',
    },
    'dry-run': {
      kind: 'boolean',
      description: 'Shows the definition and which images would be built, and neither builds nor writes.',
      default: 'false',
    },
    ...githubInputs,
  },
  outputs: {
    images: {
      description:
        'The images by digest, one `name=reference` a line: what other actions take as `images`. Without a push, by tag.',
    },
    details: {
      description:
        'JSON of image to `digest`, `reference`, `platforms`, `size` in bytes, `cached` (`unchanged`, `merged`, or the share of steps from a cache), `seconds`, `tags`.',
    },
    targets: { description: 'The same images as `targets` of trivy-scan.' },
    candidate: { description: 'The tag of this run, for promote-images; empty without a push.' },
    tags: { description: 'The tags that the rules say, separated by commas.' },
    rebuilt: { description: 'The names of the images that were built, separated by commas.' },
    version: { description: 'The version that was built.' },
    definition: { description: 'The path of the definition for `docker buildx bake`.' },
    findings: { description: 'How many findings the Dockerfiles have, ignored ones left out.' },
  },
  check(inputs) {
    const problems: Problem[] = [...checkLogin(inputs), ...checkLimits('limits', inputs.limits)];
    if (inputs.images !== undefined) {
      for (const message of specsOf(inputs).problems)
        problems.push({ input: 'images', message: `${message}.` });
    }
    const wrongTags = problemOfTags(inputs.tags ?? []);
    if (inputs.tags !== undefined && wrongTags !== undefined)
      problems.push({ input: 'tags', value: inputs.tags.join(', '), message: `${wrongTags}.` });
    if (
      inputs.push === 'tags' &&
      inputs.tags?.includes('environment') === true &&
      inputs.environment === undefined
    )
      problems.push({ input: 'environment', message: 'is missing: `tags` has the rule `environment`.' });
    const wrongCompared = inputs['compare-with']?.find((tag) => !/^\w[\w.-]{0,127}$/.test(tag));
    if (wrongCompared !== undefined) {
      problems.push({
        input: 'compare-with',
        value: wrongCompared,
        message: 'is no tag; allowed are letters, digits and _ . -.',
      });
    }
    const wrongPlatform = inputs.platforms?.find((platform) => !platformPattern.test(platform));
    if (wrongPlatform !== undefined) {
      problems.push({
        input: 'platforms',
        value: wrongPlatform,
        message: 'is no platform; allowed are such as linux/amd64 and linux/arm64.',
      });
    }
    if (inputs.merge !== undefined) {
      const parts = readParts(inputs.merge);
      if (typeof parts === 'string') problems.push({ input: 'merge', message: `${parts}.` });
      if (inputs.part === true)
        problems.push({ input: 'part', message: 'does not go with `merge`; a runner builds or merges.' });
    }
    const push = inputs.push ?? 'candidate';
    if ((inputs.part === true || inputs.merge !== undefined) && push !== 'candidate' && push !== 'tags')
      problems.push({
        input: 'push',
        value: push,
        message: 'does not go with `part` and `merge`; allowed is `candidate` or `tags`.',
      });
    if (inputs.part === true && push === 'tags')
      problems.push({
        input: 'push',
        value: push,
        message: 'does not go with `part`: the step that merges sets the tags.',
      });
    const whole = specsOf(inputs).specs.find(({ platforms }) => platforms.length === 0);
    if (inputs.part === true && whole !== undefined) {
      problems.push({
        input: 'part',
        message: `needs \`platforms\`, which ${whole.name} has not: by them the parts are told apart.`,
      });
    }
    if (inputs.merge !== undefined && whole !== undefined) {
      problems.push({
        input: 'merge',
        message: `needs \`platforms\`, which ${whole.name} has not: without them a part that is missing goes unseen. Give the step the platforms of all runners, such as \`platforms: linux/amd64, linux/arm64\`.`,
      });
    }
    const several = specsOf(inputs).specs.find(({ platforms }) => platforms.length > 1);
    if (push === 'load' && several !== undefined) {
      problems.push({
        input: 'push',
        value: push,
        message: `does not go with the several platforms of ${several.name}: the engine takes one.`,
      });
    }
    return problems;
  },
});
