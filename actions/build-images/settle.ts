import type { Context } from '@deploy-actions/action-kit';
import { DeployError } from '@deploy-actions/core';
import { inputsTag, sizeBefore, tagImage, verifyPushed } from '@deploy-actions/images';
import type { BuildResult } from './build.ts';
import { type Released, releaseImages } from './release.ts';
import type { BuiltImage } from './summary.ts';
import { comparedTags, type Inputs, type Work } from './work.ts';

/**
 * Verifies what was pushed, of all images, and tags them only then: a release is all of its images. What did not change gets the same tags
 * by its digest. The tags of a release are set after all of their own: those are names of this run, which nobody follows yet.
 */
export async function settleImages(
  inputs: Inputs,
  context: Context,
  work: Work,
  built: BuildResult | undefined,
): Promise<{ images: BuiltImage[]; released: Released | undefined }> {
  const { plan, run, registries, origin } = work;
  const pushes = run.output === 'push';
  const compared = comparedTags(inputs, origin);
  const verified = await Promise.all(
    plan.map(async (planned) => {
      const { spec, image, unchanged } = planned;
      // Before anything is tagged: a tag of the branch points at the new image after.
      const before =
        pushes || unchanged !== undefined ? await sizeBefore(registries, image, compared) : undefined;
      if (unchanged !== undefined || !pushes) return { planned, found: unchanged, before };
      const digest = built?.baked.digests.get(spec.name) ?? '';
      if (digest === '') {
        throw new DeployError('image_unverified', `${spec.name}: the builder does not say what it pushed.`, {
          remedy: 'Use a newer buildx, then run this again; nothing was tagged.',
        });
      }
      const found = await verifyPushed(registries, image, { tag: run.tag, digest }, spec.platforms);
      return { planned, found, before };
    }),
  );
  const images = await Promise.all(
    verified.map(async ({ planned, found, before }): Promise<BuiltImage> => {
      const { spec, image, inputs: made, unchanged, why } = planned;
      const isNew = unchanged === undefined;
      const tags = found !== undefined && pushes ? [run.tag] : [];
      if (found !== undefined && pushes) {
        const named = made.hash === null ? [] : [inputsTag(made.hash)];
        await tagImage(registries, image, found, isNew ? named : tags);
      }
      return {
        name: spec.name,
        reference:
          found !== undefined
            ? `${spec.repository}@${found.facts.digest}`
            : run.output === 'load'
              ? `${spec.repository}:${run.tag}`
              : '',
        digest: found?.facts.digest ?? '',
        platforms: found?.facts.platforms.map(({ platform }) => platform) ?? spec.platforms,
        size: found?.facts.size ?? null,
        before,
        version: found?.facts.platforms[0]?.labels['org.opencontainers.image.version'],
        build: isNew ? built?.baked.builds.find(({ name }) => name === spec.name) : undefined,
        tags,
        why,
      };
    }),
  );
  if (inputs.push !== 'tags') return { images, released: undefined };
  const candidates = verified.flatMap(({ planned: { spec, image }, found }) =>
    found === undefined
      ? []
      : [{ name: spec.name, image, digest: found.facts.digest, platforms: spec.platforms }],
  );
  const released = await releaseImages(candidates, work.release, inputs, context);
  for (const { name, tags } of images) tags.push(...(released.tags.get(name) ?? []));
  return { images, released };
}
