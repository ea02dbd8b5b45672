import { type Context, escapeMarkdown, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import { delayedSignal, DeployError, type ReasonCode } from '@deploy-actions/core';
import {
  type Candidate,
  changesOf,
  count,
  describeRelease,
  describeTag,
  describeTakenBack,
  inspectImage,
  openPromotion,
  planPromotion,
  type PlannedTag,
  type PromotionAccess,
  type PromotionPlan,
  readJournals,
  registryAccess,
  type Registries,
  release,
  releaseMemory,
  releaseTags,
  requireReleaseTags,
  shortDigest,
  takeBackRelease,
  timeToPutBack,
} from '@deploy-actions/images';
import { openReporting, publishPlan } from '@deploy-actions/publish';
import type { definition } from './definition.ts';
import { type GivenImage, readImages, readPlatforms, readScanned } from './images.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

/** What is wrong before anything is written, and is no failure of a machine. */
const refusals: readonly ReasonCode[] = [
  'findings_over_limit',
  'image_not_scanned',
  'image_unverified',
  'not_found',
  'tag_immutable',
];

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const back = delayedSignal(context.signal, timeToPutBack);
  try {
    return await promoteImages(inputs, context, open(inputs, context, back.signal));
  } catch (thrown) {
    if (!(thrown instanceof DeployError) || !refusals.includes(thrown.reasonCode)) throw thrown;
    const { reasonCode, message, remedy, details } = thrown;
    return {
      result: 'refused',
      reasonCode,
      message,
      remedy,
      outputs: { images: undefined, details: undefined, tags: undefined, written: undefined },
      report: { details },
    };
  } finally {
    back.clear();
  }
}

/** Puts back what a main step left that was ended in the middle. */
export async function post(inputs: Inputs, context: Context): Promise<void> {
  const run = context.recall(releaseMemory);
  if (run === '') return;
  const images = readImages(inputs.images).images.map(({ image }) => image);
  await takeBackRelease(images, open(inputs, context, context.signal), run);
}

function open(inputs: Inputs, context: Context, back: AbortSignal): PromotionAccess {
  return openPromotion(registryAccess(inputs, context), back, context.facts);
}

async function promoteImages(
  inputs: Inputs,
  context: Context,
  access: PromotionAccess,
): Promise<Outcome<Outputs>> {
  const { images } = readImages(inputs.images);
  const { registries } = access;
  const candidates = candidatesOf(images, inputs, context);
  await requireScanned(registries, images, inputs);
  if (inputs['dry-run']) {
    const plan = await planPromotion(registries, candidates);
    const repositories = images.map(({ image }) => image);
    return showPlanned(plan, (await readJournals(registries, repositories)).length, inputs, context);
  }
  const released = await release(candidates, access, (name, value) => context.remember(name, value));
  const { plan, settled, end } = released;
  if (end.kind === 'taken-back') {
    const { details, ...ended } = describeTakenBack(end);
    if (end.left.length > 0) context.summary.list(end.left.map(escapeMarkdown));
    const outputs = outputsOf(plan, 0, ({ kind }) => kind === 'current');
    return { ...ended, outputs, report: { plan, left: end.left, details } };
  }
  const { header, rows } = tableOf(plan);
  context.summary.table(header, rows);
  return {
    ...describeRelease(released),
    outputs: outputsOf(plan, changesOf(plan).length, ({ kind }) => kind !== 'kept'),
    report: { plan, settled },
  };
}

/**
 * A verdict is of the digests that were scanned. An index counts as scanned by its own digest, or when each of its platforms was:
 * scanners look at one platform of an index unless they are told another.
 */
async function requireScanned(
  registries: Registries,
  images: readonly GivenImage[],
  inputs: Inputs,
): Promise<void> {
  if (!inputs['scan-passed']) {
    throw new DeployError('findings_over_limit', 'The scan of these images did not pass; no tag was set.', {
      remedy: 'Look at what the scan found. The images stay where they are, under their candidate tag.',
    });
  }
  const scanned = readScanned(inputs.scanned) ?? new Set();
  const unscanned: string[] = [];
  for (const { name, image, digest } of images) {
    if (scanned.has(digest)) continue;
    const { facts } = await inspectImage(registries, image, digest);
    if (!facts.platforms.every((platform) => scanned.has(platform.digest)))
      unscanned.push(`${name} (${image.registry}/${image.path}@${digest})`);
  }
  if (unscanned.length === 0) return;
  throw new DeployError(
    'image_not_scanned',
    `The verdict is not about ${unscanned.join(', ')}: ${unscanned.length === 1 ? 'this digest was' : 'these digests were'} not scanned.`,
    {
      remedy:
        'Scan the images by the digests that build-images gives (`targets`), and give the scan’s `reports` as `scanned`.',
    },
  );
}

function candidatesOf(images: readonly GivenImage[], inputs: Inputs, context: Context): Candidate[] {
  const { ref, sha, runId, runAttempt } = context.facts;
  const origin = { ref, sha, run: `${runId}-${runAttempt}`, version: inputs.version };
  const tags = releaseTags(inputs.tags, origin, inputs.environment);
  requireReleaseTags(tags, inputs.tags, origin);
  const built = readPlatforms(inputs.details ?? {});
  return images.map(({ name, image, digest }) => ({
    name,
    image,
    digest,
    platforms: [...new Set([...(built?.get(name) ?? []), ...(inputs.platforms ?? [])])],
    tags,
  }));
}

function tableOf(plan: PromotionPlan): { header: string[]; rows: string[][] } {
  return {
    header: ['Image', 'Tag', 'Digest', 'Change'],
    rows: plan.tags.map((tag) => [
      escapeMarkdown(tag.name),
      `\`${tag.tag}\``,
      `\`${shortDigest(tag.kind === 'kept' ? tag.before : tag.after)}\``,
      describeTag(tag),
    ]),
  };
}

async function showPlanned(
  plan: PromotionPlan,
  unfinished: number,
  inputs: Inputs,
  context: Context,
): Promise<Outcome<Outputs>> {
  const { header, rows } = tableOf(plan);
  const table = [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  await publishPlan(openReporting(context, inputs['github-token']), context, {
    purpose: 'promote-images',
    title: 'Tags that would be set',
    markdown: table.join('\n'),
  });
  const { length } = changesOf(plan);
  const isKept = plan.tags.some(({ kind }) => kind === 'kept');
  const what =
    length > 0
      ? `${count(length, 'tag')} would be set`
      : isKept
        ? 'No tag would be set'
        : 'All tags are as they should be';
  const before =
    unfinished === 0 ? '' : ' A promotion that an earlier run did not end would be ended before.';
  return {
    result: 'planned',
    reasonCode: 'dry_run',
    message: `${what}; nothing was written.${before}`,
    outputs: outputsOf(plan, 0, (tag) => tag.kind === 'current'),
    report: { plan },
  };
}

function outputsOf(plan: PromotionPlan, written: number, pointsHere: (tag: PlannedTag) => boolean) {
  const images = plan.images.map(({ name, facts }) => {
    const { registry, path, digest, platforms, size } = facts;
    const tags = plan.tags.filter((tag) => tag.name === name && pointsHere(tag)).map(({ tag }) => tag);
    const reference = `${registry}/${path}@${digest}`;
    return { name, digest, reference, platforms: platforms.map(({ platform }) => platform), size, tags };
  });
  return {
    images: images.map(({ name, reference }) => `${name}=${reference}`).join('\n'),
    details: JSON.stringify(Object.fromEntries(images.map(({ name, ...rest }) => [name, rest]))),
    tags: JSON.stringify(Object.fromEntries(images.map(({ name, tags }) => [name, tags]))),
    written,
  };
}
