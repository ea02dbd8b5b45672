import { defineAction, type Problem } from '@deploy-actions/action-kit';
import { checkLogin, loginInputs, problemOfTags } from '@deploy-actions/images';
import { githubInputs } from '@deploy-actions/targets';
import { readImages, readPlatforms, readScanned } from './images.ts';

export const definition = defineAction({
  name: 'promote-images',
  title: 'Promote images',
  description:
    'Gives images the tags of a release, by digest, after their scan has passed: every image with all its platforms is verified before and after, and either all tags are set or all are what they were.',
  icon: 'tag',
  color: 'blue',
  mutates: true,
  permissions: { packages: 'write', 'pull-requests': 'write' },
  inputs: {
    images: {
      kind: 'list',
      required: true,
      description:
        'The images by digest, `name=reference` or `reference`: the output `images` of build-images. The tags are set in the same repositories.',
      example: '${{ steps.build.outputs.images }}',
    },
    details: {
      kind: 'json',
      description:
        'The output `details` of build-images: JSON of the names of the images, with the `platforms` that each has to have.',
      example: '${{ steps.build.outputs.details }}',
    },
    'scan-passed': {
      kind: 'boolean',
      required: true,
      description:
        'The verdict of the scan of these images: the output `passed` of trivy-scan, which is empty when a scan could not run.',
      example: '${{ steps.scan.outputs.passed }}',
    },
    scanned: {
      kind: 'json',
      required: true,
      description:
        'What was scanned: the output `reports` of trivy-scan, or a list of references by digest. An image of which neither the digest nor those of all platforms are in it is refused.',
      example: '${{ steps.scan.outputs.reports }}',
    },
    tags: {
      kind: 'list',
      description:
        'The tags, by rule: `semver` (`1.4.2`, `1.4`, `1` of the git tag or the version), `branch`, `sha`, `version`, `environment`; anything else is a tag. `latest` is set only when it is said. Of a semantic version, `1.4`, `1` and `latest` never go back behind a later one.',
      default: 'semver, branch, sha',
      config: 'promote.tags',
    },
    version: {
      kind: 'string',
      pattern: /^[A-Za-z0-9][\w.+-]{0,127}$/,
      allowed: 'letters, digits, dots, hyphens, underscores and +, up to 128',
      description: 'The version that is released. Default: that of the git tag.',
      example: '1.4.2',
    },
    environment: {
      kind: 'string',
      pattern: /^[A-Za-z0-9][\w.-]{0,62}$/,
      allowed: 'letters, digits, dots, hyphens and underscores, up to 63',
      description:
        'The environment that is released to: what the rule `environment` gives, and whose settings of deploy.yml hold.',
      example: 'production',
    },
    platforms: {
      kind: 'list',
      description: 'Platforms that every image has to have.',
      example: 'linux/amd64, linux/arm64',
      config: 'promote.platforms',
    },
    ...loginInputs,
    'dry-run': {
      kind: 'boolean',
      description: 'Reads and verifies everything, shows which tags would be set, and writes nothing.',
      default: 'false',
    },
    ...githubInputs,
  },
  outputs: {
    images: { description: 'The images by digest, one `name=reference` a line.' },
    details: { description: 'JSON of image to `digest`, `reference`, `platforms`, `size` in bytes, `tags`.' },
    tags: { description: 'JSON of image to the tags that point at it now.' },
    written: { description: 'How many tags were written.' },
  },
  check(inputs) {
    const problems: Problem[] = checkLogin(inputs);
    if (inputs.images !== undefined) {
      for (const message of readImages(inputs.images).problems)
        problems.push({ input: 'images', message: `${message}.` });
    }
    if (inputs.details !== undefined && readPlatforms(inputs.details) === undefined) {
      problems.push({
        input: 'details',
        message:
          'is not allowed; allowed is an object of the names of images, each with a list of `platforms`, as build-images gives it.',
      });
    }
    if (inputs.scanned !== undefined && readScanned(inputs.scanned) === undefined) {
      problems.push({
        input: 'scanned',
        message:
          'is not allowed; allowed is a list of texts, or an object whose names are what was scanned, as trivy-scan gives it in `reports`.',
      });
    }
    const wrong = inputs.tags === undefined ? undefined : problemOfTags(inputs.tags);
    if (wrong !== undefined)
      problems.push({ input: 'tags', value: inputs.tags?.join(', ') ?? '', message: `${wrong}.` });
    if (inputs.tags?.includes('environment') === true && inputs.environment === undefined)
      problems.push({ input: 'environment', message: 'is missing: `tags` has the rule `environment`.' });
    return problems;
  },
});
