import { type Context, escapeMarkdown, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import { delayedSignal, DeployError, type ReasonCode } from '@deploy-actions/core';
import {
  type Candidate,
  carryOut,
  changesOf,
  inspectImage,
  openRegistries,
  planPromotion,
  type PlannedTag,
  type PromotionAccess,
  type PromotionEnd,
  type PromotionPlan,
  readJournals,
  registryAccess,
  type Registries,
  releaseTags,
  type Settled,
  settlePromotions,
} from '@deploy-actions/images';
import { openReporting, publishPlan } from '@deploy-actions/publish';
import type { definition } from './definition.ts';
import { type GivenImage, readImages, readPlatforms, readScanned } from './images.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

/** Of the 7.5 s that a cancelled run has left. */
const timeToPutBack = 6_000;

/** What the main step leaves for the post step. */
const memory = 'promoting';

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
  const run = context.recall(memory);
  if (run === '') return;
  const access = open(inputs, context, context.signal);
  const { images } = readImages(inputs.images);
  for (const { end } of await settlePromotions(
    images.map(({ image }) => image),
    access,
    run,
  )) {
    if (end.kind === 'taken-back' && end.left.length > 0) {
      throw new DeployError('revert_failed', `Not all tags could be put back: ${end.left.join('; ')}`, {
        remedy: 'Run the step again: it ends the promotion.',
      });
    }
  }
}

function open(inputs: Inputs, context: Context, signal: AbortSignal): PromotionAccess {
  const options = registryAccess(inputs, context);
  const { runUrl, runId } = context.facts;
  return {
    registries: openRegistries(options),
    back: openRegistries({ ...options, signal }),
    log: context.log,
    run: runUrl || runId || 'local',
  };
}

async function promoteImages(
  inputs: Inputs,
  context: Context,
  access: PromotionAccess,
): Promise<Outcome<Outputs>> {
  const { images } = readImages(inputs.images);
  const { registries } = access;
  await requireScanned(registries, images, inputs);
  const candidates = candidatesOf(images, inputs, context);
  const repositories = images.map(({ image }) => image);
  if (inputs['dry-run']) {
    const plan = await planPromotion(registries, candidates);
    return showPlanned(plan, (await readJournals(registries, repositories)).length, inputs, context);
  }
  const settled = await settlePromotions(repositories, access);
  const failed = settled.find(({ end }) => end.kind === 'taken-back' && end.left.length > 0);
  if (failed?.end.kind === 'taken-back') return takenBack(failed.end, { images: [], tags: [] }, context);
  const plan = await planPromotion(registries, candidates);
  context.remember(memory, access.run);
  const end = await carryOut(plan, access);
  // What could not be put back now, the post step tries once more.
  if (end.kind === 'promoted' || end.left.length === 0) context.remember(memory, '');
  if (end.kind === 'taken-back') return takenBack(end, plan, context);
  return promoted(plan, settled, context);
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
  if (tags.length === 0) {
    throw new DeployError(
      'invalid_input',
      `No tag follows from \`tags: ${inputs.tags.join(', ')}\` for ${ref || 'a run without a reference'}.`,
      { remedy: 'Give `version`, run it for a git tag or a branch, or name tags themselves.' },
    );
  }
  const built = readPlatforms(inputs.details ?? {});
  return images.map(({ name, image, digest }) => ({
    name,
    image,
    digest,
    platforms: [...new Set([...(built?.get(name) ?? []), ...(inputs.platforms ?? [])])],
    tags,
  }));
}

const short = (digest: string | null) => (digest === null ? '' : digest.replace('sha256:', '').slice(0, 12));

function change({ kind, before, later }: PlannedTag): string {
  switch (kind) {
    case 'new':
      return 'new';
    case 'moved':
      return `moves from ${short(before)}`;
    case 'current':
      return 'is so already';
    case 'kept':
      return `stays: ${later} is later`;
  }
}

function tableOf(plan: PromotionPlan): { header: string[]; rows: string[][] } {
  return {
    header: ['Image', 'Tag', 'Digest', 'Change'],
    rows: plan.tags.map((tag) => [
      escapeMarkdown(tag.name),
      `\`${tag.tag}\``,
      `\`${short(tag.kind === 'kept' ? tag.before : tag.after)}\``,
      change(tag),
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
  const before =
    unfinished === 0 ? '' : ' A promotion that an earlier run did not end would be ended before.';
  return {
    result: 'planned',
    reasonCode: 'dry_run',
    message: `${length === 0 ? 'All tags are as they should be' : `${count(length, 'tag')} would be set`}; nothing was written.${before}`,
    outputs: outputsOf(plan, 0, (tag) => tag.kind === 'current'),
    report: { plan },
  };
}

function promoted(plan: PromotionPlan, settled: readonly Settled[], context: Context): Outcome<Outputs> {
  const { header, rows } = tableOf(plan);
  context.summary.table(header, rows);
  const { length } = changesOf(plan);
  const finished = settled.filter(({ end }) => end.kind === 'promoted').length;
  const kept = plan.tags.filter(({ kind }) => kind === 'kept');
  const stayed =
    kept.length === 0
      ? ''
      : ` ${[...new Set(kept.map(({ tag, later }) => `${tag} stays at ${later}`))].join(', ')}.`;
  const what =
    length === 0
      ? `All tags of ${count(plan.images.length, 'image')} were as they should be.`
      : `${count(length, 'tag')} of ${count(plan.images.length, 'image')} set and verified.`;
  const resumed = length === 0 && finished > 0;
  return {
    result: length === 0 && finished === 0 ? 'unchanged' : 'succeeded',
    reasonCode: resumed ? 'resumed' : length === 0 ? 'already_current' : 'ok',
    message: `${finished > 0 ? 'A promotion that an earlier run did not end was finished. ' : ''}${what}${stayed}`,
    outputs: outputsOf(plan, length, ({ kind }) => kind !== 'kept'),
    report: { plan, settled },
  };
}

function takenBack(
  end: Extract<PromotionEnd, { kind: 'taken-back' }>,
  plan: PromotionPlan,
  context: Context,
): Outcome<Outputs> {
  const { why, left } = end;
  const cause = why instanceof DeployError ? why : undefined;
  if (left.length > 0) context.summary.list(left.map(escapeMarkdown));
  const outputs = outputsOf(plan, 0, ({ kind }) => kind === 'current');
  const report = { plan, left, details: [...(cause?.details ?? []), ...left] };
  if (left.length > 0) {
    return {
      result: 'failed',
      reasonCode: 'revert_failed',
      message: `${why.message} Not all tags could be put back: ${left.join('; ')}`,
      remedy: `${cause?.remedy ?? ''} Then run the step again: it ends the promotion.`.trim(),
      outputs,
      report,
    };
  }
  const isCancelled = cause?.reasonCode === 'cancelled';
  return {
    result: isCancelled ? 'cancelled' : 'rolled-back',
    reasonCode: isCancelled ? 'cancelled' : 'reverted',
    message: `${why.message} All tags are what they were.`,
    remedy: cause?.remedy,
    outputs,
    report,
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

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
