import { type Context, escapeMarkdown, type Outcome } from '@deploy-actions/action-kit';
import { delayedSignal, DeployError, imageReference } from '@deploy-actions/core';
import {
  type Candidate,
  describeRelease,
  describeTakenBack,
  openPromotion,
  registryAccess,
  release,
  type ReleaseTag,
  tagsAfter,
  takeBackRelease,
  timeToPutBack,
} from '@deploy-actions/images';
import { specsOf } from './definition.ts';
import type { Inputs } from './work.ts';

/** What became of the tags of a release. */
export interface Released {
  /** Of every image by its name, those that point at it now. */
  tags: Map<string, string[]>;
  ended: Pick<Outcome, 'result' | 'reasonCode' | 'message' | 'remedy'>;
  report: Record<string, unknown>;
}

/**
 * The second phase of `push: tags`: gives the images, which are verified and under their candidate tag, the tags of the release as
 * promote-images does. A release is all of its images, so either all tags are set, or all are what they were.
 */
export async function releaseImages(
  images: readonly Omit<Candidate, 'tags'>[],
  tags: readonly ReleaseTag[],
  inputs: Inputs,
  context: Context,
): Promise<Released> {
  const back = delayedSignal(context.signal, timeToPutBack);
  const none = new Map<string, string[]>();
  try {
    const access = openPromotion(registryAccess(inputs, context), back.signal, context.facts);
    const candidates = images.map((image) => ({ ...image, tags }));
    const released = await release(candidates, access, (name, value) => context.remember(name, value));
    const { plan, settled, end } = released;
    if (end.kind === 'taken-back') {
      const { details, ...ended } = describeTakenBack(end);
      return { tags: none, ended, report: { plan, details } };
    }
    const { result, reasonCode, message } = describeRelease(released);
    const isSet = reasonCode !== 'tag_immutable';
    return {
      tags: new Map(images.map(({ name }) => [name, tagsAfter(plan, name)])),
      ended: {
        ...(isSet ? { result: 'succeeded', reasonCode: 'ok' } : { result, reasonCode }),
        message,
        remedy: undefined,
      },
      report: { plan, settled },
    };
  } catch (thrown) {
    if (!(thrown instanceof DeployError) || thrown.reasonCode !== 'tag_immutable') throw thrown;
    const { reasonCode, message, remedy, details } = thrown;
    return { tags: none, ended: { result: 'refused', reasonCode, message, remedy }, report: { details } };
  } finally {
    back.clear();
  }
}

/** The end of a step that was to set tags, after what it did before. */
export function withRelease<T extends Outcome>(outcome: T, released: Released | undefined): T {
  if (released === undefined) return outcome;
  const { ended, report } = released;
  const left =
    ended.result === 'succeeded' ? '' : ' The images of this run are verified, under their candidate tag.';
  return {
    ...outcome,
    ...ended,
    message: `${outcome.message} ${ended.message}${left}`,
    report: { ...outcome.report, release: report },
  };
}

/** Puts back what a main step left that was ended while it set tags. */
export async function takeBackTags(inputs: Inputs, context: Context, run: string): Promise<void> {
  const images = specsOf(inputs).specs.map(({ name, repository }) => imageReference(repository, name));
  const access = openPromotion(registryAccess(inputs, context), context.signal, context.facts);
  await takeBackRelease(images, access, run);
}

/** What the tags of a release came to, for the summary, as Markdown. */
export function releaseFacts(released: Released | undefined): string[] {
  if (released === undefined) return [];
  const set = [...new Set([...released.tags.values()].flat())];
  return [
    ...(set.length > 0 ? [`tagged ${escapeMarkdown(set.join(', '))}`] : []),
    escapeMarkdown(released.ended.message),
  ];
}
