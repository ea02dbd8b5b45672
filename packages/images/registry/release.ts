import { DeployError } from '@deploy-actions/core';
import { openRegistries, type Repository } from './client.ts';
import {
  type Candidate,
  carryOut,
  changesOf,
  planPromotion,
  type PlannedTag,
  type PromotionAccess,
  type PromotionEnd,
  type PromotionPlan,
  type Settled,
  settlePromotions,
} from './promotion.ts';
import { abandonRemedy } from './promotion-journal.ts';
import type { RegistryOptions } from './transport.ts';

/** Of the 7.5 s that a cancelled run has left, milliseconds for putting tags back. */
export const timeToPutBack = 6_000;

/** What a step leaves for its post step while it gives images their tags: the run by which its note is known. */
export const releaseMemory = 'promoting';

/** Registries for a promotion. `back`: ends later than the step's own signal, so that what was written can be put back. */
export function openPromotion(
  options: RegistryOptions,
  back: AbortSignal,
  { runUrl, runId }: { runUrl: string; runId: string },
): PromotionAccess {
  return {
    registries: openRegistries(options),
    back: openRegistries({ ...options, signal: back }),
    log: options.log,
    run: runUrl || runId || 'local',
  };
}

/** What became of a release. */
export interface Release {
  /** Empty where an earlier promotion is in the way. */
  plan: PromotionPlan;
  /** The promotions of earlier runs that were ended before. */
  settled: Settled[];
  end: PromotionEnd;
}

/**
 * Ends what earlier runs left unfinished, then gives the images their tags: all of them, or none. `remember` keeps a text for the post
 * step of a run that is ended in between (takeBackRelease). Throws what planPromotion throws.
 */
export async function release(
  candidates: readonly Candidate[],
  access: PromotionAccess,
  remember: (name: string, value: string) => void,
): Promise<Release> {
  const repositories = candidates.map(({ image }) => image);
  const settled = await settlePromotions(repositories, access);
  const inTheWay = settled.find(({ end }) => end.kind === 'taken-back' && end.left.length > 0);
  if (inTheWay !== undefined) return { plan: { images: [], tags: [] }, settled, end: inTheWay.end };
  const plan = await planPromotion(access.registries, candidates);
  remember(releaseMemory, access.run);
  const end = await carryOut(plan, access);
  // What could not be put back now, the post step tries once more.
  if (end.kind === 'promoted' || end.left.length === 0) remember(releaseMemory, '');
  return { plan, settled, end };
}

/** Puts back what a main step left that was ended in the middle; `run` is what it remembered. Throws `revert_failed`. */
export async function takeBackRelease(
  images: readonly Repository[],
  access: PromotionAccess,
  run: string,
): Promise<void> {
  for (const { end } of await settlePromotions(images, access, run)) {
    if (end.kind === 'taken-back' && end.left.length > 0) {
      throw new DeployError('revert_failed', `Not all tags could be put back: ${end.left.join('; ')}`, {
        remedy: `Run the step again: it ends the promotion. ${abandonRemedy}`,
      });
    }
  }
}

/** How a release ended that was taken back. */
export interface TakenBack {
  result: 'failed' | 'cancelled' | 'rolled-back';
  reasonCode: 'revert_failed' | 'cancelled' | 'reverted';
  message: string;
  remedy: string | undefined;
  details: string[];
}

export function describeTakenBack({ why, left }: Extract<PromotionEnd, { kind: 'taken-back' }>): TakenBack {
  const cause = why instanceof DeployError ? why : undefined;
  const details = [...(cause?.details ?? []), ...left];
  if (left.length > 0) {
    return {
      result: 'failed',
      reasonCode: 'revert_failed',
      message: `${why.message} Not all tags could be put back: ${left.join('; ')}`,
      remedy:
        `${cause?.remedy ?? ''} Then run the step again: it ends the promotion. ${abandonRemedy}`.trim(),
      details,
    };
  }
  const isCancelled = cause?.reasonCode === 'cancelled';
  return {
    result: isCancelled ? 'cancelled' : 'rolled-back',
    reasonCode: isCancelled ? 'cancelled' : 'reverted',
    message: `${why.message} All tags are what they were.`,
    remedy: cause?.remedy,
    details,
  };
}

/** How a release ended that was not taken back, in words. */
export function describeRelease({ plan, settled }: Release): {
  result: 'succeeded' | 'unchanged';
  reasonCode: 'ok' | 'resumed' | 'already_current' | 'tag_immutable';
  message: string;
} {
  const { length } = changesOf(plan);
  const finished = settled.some(({ end }) => end.kind === 'promoted');
  const kept = plan.tags.filter(({ kind }) => kind === 'kept');
  const stayed = [...new Set(kept.map(({ tag, why }) => `${tag} stays: ${why}`))];
  const untagged = plan.images.map(({ name }) => name).filter((name) => tagsAfter(plan, name).length === 0);
  const [reasonCode, what] =
    length > 0
      ? ([
          'ok',
          `${count(length, 'tag')} of ${count(plan.images.length, 'image')} set and verified.`,
        ] as const)
      : untagged.length > 0
        ? ([finished ? 'resumed' : 'tag_immutable', 'Of this release no tag was set.'] as const)
        : ([
            finished ? 'resumed' : 'already_current',
            `All tags of ${count(plan.images.length, 'image')} were as they should be.`,
          ] as const);
  const sentences = [
    ...(finished ? ['A promotion that an earlier run did not end was finished.'] : []),
    what,
    ...(stayed.length > 0 ? [`${stayed.join(', ')}.`] : []),
    ...(untagged.length > 0
      ? [
          `No tag of this release points at ${untagged.join(', ')}; one that moves would, such as that of a branch or an environment, or a new version.`,
        ]
      : []),
  ];
  return {
    result: length === 0 && !finished ? 'unchanged' : 'succeeded',
    reasonCode,
    message: sentences.join(' '),
  };
}

/** The tags of a plan that point at an image when it is carried out. */
export function tagsAfter(plan: PromotionPlan, name: string): string[] {
  return plan.tags.filter((tag) => tag.name === name && tag.kind !== 'kept').map(({ tag }) => tag);
}

/** What becomes of a tag, in words. */
export function describeTag({ kind, before, why }: PlannedTag): string {
  switch (kind) {
    case 'new':
      return 'new';
    case 'moved':
      return `moves from ${shortDigest(before)}`;
    case 'current':
      return 'is so already';
    case 'kept':
      return `${before === null ? 'is not set' : 'stays'}: ${why}`;
  }
}

/** The first digits of a digest; empty where there is none. */
export function shortDigest(digest: string | null): string {
  return digest === null ? '' : digest.replace('sha256:', '').slice(0, 12);
}

export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
