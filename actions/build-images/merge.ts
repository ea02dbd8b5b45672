import { type Context, escapeMarkdown, type Outcome } from '@deploy-actions/action-kit';
import { DeployError, imageReference } from '@deploy-actions/core';
import {
  type BuildSpec,
  candidateTag,
  inspectImage,
  mergeImages,
  openRegistries,
  type Origin,
  type Parts,
  readParts,
  registryAccess,
  sizeBefore,
  verifyPushed,
  versionOf,
} from '@deploy-actions/images';
import type { definition } from './definition.ts';
import { outputsOf } from './outputs.ts';
import { releaseFacts, releaseImages, withRelease } from './release.ts';
import { type BuiltImage, summarizeBuilds } from './summary.ts';
import { comparedTags, type Inputs, namesOf, releaseOf } from './work.ts';

type Outputs = (typeof definition)['outputs'];

/** The parts of every image; an image without any is an error, and so is a part of an image that is not there. */
function partsFor(specs: readonly BuildSpec[], parts: Parts): [BuildSpec, string[]][] {
  const names = specs.map(({ name }) => name);
  const strange = [...parts.keys()].filter((name) => !names.includes(name));
  const without = names.filter((name) => (parts.get(name) ?? []).length === 0);
  if (strange.length > 0 || without.length > 0) {
    const problems = [
      ...strange.map((name) => `${name} is no image of \`images\``),
      ...without.map((name) => `${name} has no digest`),
    ];
    throw new DeployError('invalid_input', `merge: ${problems.join('; ')}.`, {
      remedy: 'Give the outputs `details` of all runners that built these images.',
    });
  }
  return specs.map((spec) => [spec, parts.get(spec.name) ?? []]);
}

/** Puts one index an image over what native runners built, verifies it, and tags it. Nothing is pulled. */
export async function mergeParts(
  inputs: Inputs,
  context: Context,
  specs: readonly BuildSpec[],
  origin: Origin,
): Promise<Outcome<Outputs>> {
  const read = readParts(inputs.merge ?? null);
  // The definition has refused what cannot be read.
  const parts = partsFor(specs, typeof read === 'string' ? new Map() : read);
  const registries = openRegistries(registryAccess(inputs, context));
  const tag = candidateTag(origin);
  const release = releaseOf(inputs, origin);
  const compared = comparedTags(inputs, origin);
  const dryRun = inputs['dry-run'];
  const verified = await Promise.all(
    parts.map(async ([spec, digests]) => {
      const image = imageReference(spec.repository, spec.name);
      // All of them, before the first index is written.
      const found = await Promise.all(digests.map((digest) => inspectImage(registries, image, digest)));
      const platforms = found.flatMap(({ facts }) => facts.platforms.map(({ platform }) => platform));
      const absent = spec.platforms.filter(
        (platform) => !platforms.includes(platform.replace(/(\/arm64)\/v8$/, '$1')),
      );
      if (absent.length > 0) {
        throw new DeployError('image_unverified', `${spec.name}: no part is for ${absent.join(', ')}.`, {
          remedy: 'Run the part of the matrix that builds it; nothing was written.',
        });
      }
      return { spec, image, digests, platforms, before: await sizeBefore(registries, image, compared) };
    }),
  );
  const images = await Promise.all(
    verified.map(async ({ spec, image, digests, platforms, before }) => {
      const base = { name: spec.name, before, build: undefined, merged: digests.length, why: '' };
      if (dryRun)
        return { ...base, reference: '', digest: '', platforms, size: null, tags: [], found: undefined };
      const { digest } = await mergeImages(registries, image, digests, tag);
      const found = await verifyPushed(registries, image, { tag, digest }, spec.platforms);
      return {
        ...base,
        reference: `${spec.repository}@${digest}`,
        digest,
        platforms: found.facts.platforms.map(({ platform }) => platform),
        size: found.facts.size,
        tags: [tag],
        found: { image },
      };
    }),
  );
  const candidates = images.flatMap(({ name, digest, platforms, found }) =>
    found === undefined ? [] : [{ name, image: found.image, digest, platforms }],
  );
  const released =
    inputs.push === 'tags' && !dryRun ? await releaseImages(candidates, release, inputs, context) : undefined;
  const built: BuiltImage[] = images.map(({ found: _found, ...image }) => ({
    ...image,
    tags: [...image.tags, ...(released?.tags.get(image.name) ?? [])],
  }));
  summarizeBuilds(built, context, [
    `${parts.reduce((sum, [, digests]) => sum + digests.length, 0)} parts of ${built.length} images${dryRun ? ' would be' : ''} merged`,
    ...(dryRun ? [] : [`pushed as ${escapeMarkdown(tag)}, and verified at the registry`]),
    ...releaseFacts(released),
  ]);
  const outcome: Outcome<Outputs> = {
    result: dryRun ? 'planned' : 'succeeded',
    reasonCode: dryRun ? 'dry_run' : 'ok',
    message: dryRun
      ? `${built.length} images would be merged as ${tag}; nothing was written.`
      : `${built.length} images merged as ${tag}, each for ${built[0]?.platforms.join(', ') ?? ''}.`,
    outputs: {
      ...outputsOf(built),
      candidate: tag,
      tags: namesOf(release).join(','),
      rebuilt: '',
      version: versionOf(origin),
      definition: undefined,
      findings: undefined,
    },
    report: { images: built },
  };
  return withRelease(outcome, released);
}
