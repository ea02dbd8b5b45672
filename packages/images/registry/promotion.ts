import { asError, DeployError, type Log, messageOf } from '@deploy-actions/core';
import { missing, type Registries, type Repository, tombstoneOf } from './client.ts';
import { type ImageFacts, inspectImage } from './inspect.ts';
import { sha256Of } from './manifest.ts';
import {
  abandonRemedy,
  nameOf,
  type PromotionJournal,
  readJournals,
  repositoriesOf,
  stateIn,
  type TagChange,
  writeJournal,
  writeJournalIfTaken,
} from './promotion-journal.ts';
import { isPreRelease, laterRelease, releasedVersion, type ReleaseTag } from './release-tags.ts';

/** An image that is to be released. */
export interface Candidate {
  name: string;
  image: Repository;
  digest: string;
  /** Platforms that it has to have; empty: those that it has. */
  platforms: readonly string[];
  tags: readonly ReleaseTag[];
}

export interface PlannedTag extends TagChange {
  /** The name of the image. */
  name: string;
  /** `current`: it is so already. `kept`: it stays where it is. */
  kind: 'new' | 'moved' | 'current' | 'kept';
  /** Why it is kept, in words. */
  why?: string;
  /** The tag of the later release, where it is kept for one. */
  later?: string;
}

export interface PromotionPlan {
  images: { name: string; facts: ImageFacts }[];
  tags: PlannedTag[];
}

export interface PromotionAccess {
  registries: Registries;
  /** For putting back: works on for a while after a cancel. */
  back: Registries;
  log: Log;
  /** The page of the run. */
  run: string;
}

export type PromotionEnd =
  | { kind: 'promoted' }
  /** `left`: what could not be put back, in words. */
  | { kind: 'taken-back'; why: Error; left: string[] };

const shown = ({ registry, path, tag }: TagChange) => `${registry}/${path}:${tag}`;

/**
 * Reads all that a promotion needs, and writes nothing: every image with all its platforms, every tag with what it points at, and
 * whether that could be put back. Throws `tag_immutable` when a tag that names one image for ever points at another one, and what
 * inspectImage throws.
 */
export async function planPromotion(
  registries: Registries,
  candidates: readonly Candidate[],
): Promise<PromotionPlan> {
  const plan: PromotionPlan = { images: [], tags: [] };
  const immovable: TagChange[] = [];
  for (const { name, image, digest, platforms, tags } of candidates) {
    const { registry, path } = image;
    const { facts } = await inspectImage(registries, image, digest, platforms);
    plan.images.push({ name, facts });
    const version = releasedVersion(tags);
    const follows = version !== undefined && tags.some((each) => each.follows === 'versions');
    const existing = follows ? await registries.tags(image) : [];
    for (const { tag, moves, isOfCommit, follows: followed } of tags) {
      const before = await digestAt(registries, image, tag);
      const change = { name, registry, path, tag, before, after: digest };
      const later = followed === 'versions' ? laterRelease(tag, version, existing) : undefined;
      if (before === digest) plan.tags.push({ ...change, kind: 'current' });
      else if (before !== null && isOfCommit)
        plan.tags.push({ ...change, kind: 'kept', why: 'it names the first image of this commit' });
      else if (before !== null && !moves) immovable.push(change);
      else if (later !== undefined)
        plan.tags.push({ ...change, kind: 'kept', why: `${later} is later`, later });
      else if (tag === 'latest' && followed === 'versions' && isPreRelease(version))
        plan.tags.push({ ...change, kind: 'kept', why: `${version} is a pre-release` });
      else plan.tags.push({ ...change, kind: before === null ? 'new' : 'moved' });
      // Before anything is replaced, it is known that it could be put back.
      if (before !== null && before !== digest) await manifestOf(registries, change, before);
    }
  }
  if (immovable.length > 0) {
    throw new DeployError(
      'tag_immutable',
      `${immovable.map((change) => `${shown(change)} is ${change.before}, and not ${change.after}`).join('; ')}. Nothing was written.`,
      { remedy: 'Release it under a new version. What was published under a version stays what it is.' },
    );
  }
  // What names one image for ever comes first: should it be refused, no tag that is followed has moved.
  const moves = ({ kind, tag }: PlannedTag) =>
    kind !== 'new' || candidates.some(({ tags }) => tags.some((each) => each.tag === tag && each.moves));
  plan.tags = [...plan.tags.filter((tag) => !moves(tag)), ...plan.tags.filter(moves)];
  return plan;
}

/** What a plan writes, in its order. */
export function changesOf(plan: PromotionPlan): TagChange[] {
  return plan.tags
    .filter(({ kind }) => kind === 'new' || kind === 'moved')
    .map(({ registry, path, tag, before, after }) => ({ registry, path, tag, before, after }));
}

/**
 * Writes all tags of the plan, and looks afterwards whether all of it is so. When anything fails, what was written is put back. A registry
 * cannot write two tags at once; so what is about to be done is noted there first, and a run that finds the note of one that was
 * killed finishes its work (settlePromotions).
 */
export async function carryOut(plan: PromotionPlan, access: PromotionAccess): Promise<PromotionEnd> {
  const changes = changesOf(plan);
  if (changes.length === 0) return { kind: 'promoted' };
  const journal: PromotionJournal = { schema: 1, state: 'writing', run: access.run, changes };
  return finish(journal, access, { changes, images: plan.images.map(({ facts }) => facts), isNew: true });
}

async function finish(
  journal: PromotionJournal,
  access: PromotionAccess,
  /** `isNew`: no run before has written a tag of it. */
  todo: { changes: readonly TagChange[]; images: readonly ImageFacts[]; isNew: boolean },
): Promise<PromotionEnd> {
  const { registries, log } = access;
  let noted = true;
  try {
    noted = await writeJournalIfTaken(registries, journal, log);
  } catch (thrown) {
    if (todo.isNew) {
      await forget(journal, access);
      throw thrown;
    }
    return { kind: 'taken-back', why: asError(thrown), left: await takeBack(journal, access, true) };
  }
  try {
    for (const change of todo.changes) {
      await write(registries, change);
      log.info(`${shown(change)} is ${change.after}.`);
    }
    for (const change of todo.changes) await verify(registries, change);
    for (const { digest, platforms, ...image } of todo.images)
      await inspectImage(
        registries,
        image,
        digest,
        platforms.map(({ platform }) => platform),
      );
  } catch (thrown) {
    log.warning(`The promotion failed, and is taken back: ${messageOf(thrown)}`);
    return { kind: 'taken-back', why: asError(thrown), left: await takeBack(journal, access, noted) };
  }
  // Every tag is where it should be; a cancel that comes now has nothing to end.
  if (noted) await close(journal, repositoriesOf(journal.changes), access.back, log);
  return { kind: 'promoted' };
}

/** Closes the note of a promotion of which no tag was written: all is as it was, and nothing is left for the next run. */
async function forget(journal: PromotionJournal, { back, log }: PromotionAccess): Promise<void> {
  for (const image of repositoriesOf(journal.changes)) {
    try {
      if ((await stateIn(back, image, journal)) !== undefined) await close(journal, [image], back, log);
    } catch (thrown) {
      log.debug(`Whether ${nameOf(image)} has the note of the promotion is not known: ${messageOf(thrown)}`);
    }
  }
}

/** The work is done then, one way or the other: a note that cannot be closed is no reason to undo it. */
async function close(
  journal: PromotionJournal,
  images: readonly Repository[],
  back: Registries,
  log: Log,
): Promise<void> {
  for (const [name, why] of await writeJournal(back, { ...journal, state: 'over' }, images)) {
    log.warning(
      `The note of the promotion stays open in ${name}; the next run closes it: ${why.message} ${abandonRemedy}`,
    );
  }
}

async function write(registries: Registries, change: TagChange): Promise<void> {
  const now = await digestAt(registries, change, change.tag);
  if (now === change.after) return;
  if (now !== change.before) throw moved(change, now);
  const { descriptor, body } = await manifestOf(registries, change, change.after);
  await registries.putManifest(change, change.tag, { mediaType: descriptor.mediaType, body });
}

async function verify(registries: Registries, change: TagChange): Promise<void> {
  const now = await digestAt(registries, change, change.tag);
  if (now !== change.after) throw moved(change, now);
}

function moved(change: TagChange, now: string | null): DeployError {
  return new DeployError(
    'state_conflict',
    `${shown(change)} is ${now ?? 'not there'}, which is neither what it was nor what it is to be: somebody else writes it.`,
    { remedy: 'Let only one job at a time promote (`concurrency:` of the workflow), then run this again.' },
  );
}

const isTombstone = (digest: string, tag: string) => digest === sha256Of(tombstoneOf(tag));

/** What a tag points at; null where it is not there, or was interrupted while it was removed. */
async function digestAt(registries: Registries, image: Repository, tag: string): Promise<string | null> {
  const digest = (await registries.resolve(image, tag))?.digest ?? null;
  return digest === null || isTombstone(digest, tag) ? null : digest;
}

async function manifestOf(registries: Registries, image: Repository, digest: string) {
  const manifest = await registries.manifest(image, digest);
  if (manifest === undefined) throw missing(`${image.registry}/${image.path}@${digest}`);
  return manifest;
}

/**
 * Puts every tag back that is where this promotion has put it, the last one first. What it could not put back is answered, in
 * words; then the journal stays as it is, and the next run tries again. A repository that cannot be written keeps none of the others
 * from it.
 */
async function takeBack(
  journal: PromotionJournal,
  { back, log }: PromotionAccess,
  noted: boolean,
): Promise<string[]> {
  const left: string[] = [];
  // First of all: what is put back without it would be written again by a run that finds the journal.
  const unnoted = noted
    ? await writeJournal(back, { ...journal, state: 'reverting' })
    : new Map<string, Error>();
  let settled = true;
  for (const change of journal.changes.toReversed()) {
    const refusal = unnoted.get(nameOf(change));
    try {
      // Nobody waits for such a registry once more for each of its tags.
      if (refusal !== undefined && isSilence(refusal)) throw refusal;
      const now = (await back.resolve(change, change.tag))?.digest ?? null;
      const isOwn = now === change.after || (now !== null && isTombstone(now, change.tag));
      if (now === change.before || !isOwn) continue;
      if (refusal !== undefined) throw refusal;
      if (change.before === null) {
        if ((await back.removeTag(change, change.tag)) === 'unsupported') {
          left.push(
            `${shown(change)} is new and stays: the registry does not let tags be deleted. Delete it there.`,
          );
          continue;
        }
      } else {
        const { descriptor, body } = await manifestOf(back, change, change.before);
        await back.putManifest(change, change.tag, { mediaType: descriptor.mediaType, body });
      }
      log.info(`${shown(change)} is ${change.before ?? 'not there'} again.`);
    } catch (thrown) {
      settled = false;
      left.push(`${shown(change)}: ${messageOf(thrown)}`);
    }
  }
  if (!noted) return left;
  const repositories = repositoriesOf(journal.changes);
  for (const image of repositories) {
    // There it may still say that it is being written: the others have to say otherwise until it does not.
    const refusal = unnoted.get(nameOf(image));
    if (refusal !== undefined && (await mayBeOpen(journal, image, refusal, back))) settled = false;
  }
  const others = repositories.filter((image) => !unnoted.has(nameOf(image)));
  if (settled) await close(journal, others, back, log);
  return left;
}

const isSilence = (thrown: Error) =>
  thrown instanceof DeployError && ['unreachable', 'cancelled'].includes(thrown.reasonCode);

async function mayBeOpen(
  journal: PromotionJournal,
  image: Repository,
  refusal: Error,
  back: Registries,
): Promise<boolean> {
  if (isSilence(refusal)) return true;
  try {
    return (await stateIn(back, image, journal)) !== undefined;
  } catch {
    return true;
  }
}

export interface Settled {
  changes: TagChange[];
  end: PromotionEnd;
}

/**
 * Ends the promotions that earlier runs left unfinished in these repositories: one that was writing is finished, because everything that
 * it needs is at the registry and was judged; one that was being taken back is taken back. Tags that somebody else has moved since stay.
 * `takeBackOf` names a run whose promotion is taken back in any case; those of others are left alone then.
 */
export async function settlePromotions(
  images: readonly Repository[],
  access: PromotionAccess,
  takeBackOf?: string,
): Promise<Settled[]> {
  const settled: Settled[] = [];
  for (const journal of await readJournals(access.registries, images)) {
    if (takeBackOf !== undefined && takeBackOf !== journal.run) continue;
    try {
      const end = await settle(journal, access, takeBackOf === undefined);
      settled.push({ changes: journal.changes, end });
    } catch (thrown) {
      if (!(thrown instanceof DeployError) || thrown.reasonCode === 'cancelled') throw thrown;
      const { reasonCode, message, remedy = '', details } = thrown;
      throw new DeployError(
        reasonCode,
        `The promotion of ${journal.changes.map(shown).join(', ')}, which an earlier run did not end, cannot be ended: ${message}`,
        { remedy: `${remedy} ${abandonRemedy}`.trim(), details, cause: thrown },
      );
    }
  }
  return settled;
}

async function settle(
  journal: PromotionJournal,
  access: PromotionAccess,
  mayGoOn: boolean,
): Promise<PromotionEnd> {
  const { changes, run, state } = journal;
  const { registries, log } = access;
  let goesOn = mayGoOn && state === 'writing';
  // Another repository of it may say that it was being taken back when this one could not be written.
  for (const image of goesOn ? repositoriesOf(changes) : [])
    if ((await stateIn(registries, image, journal)) === 'reverting') goesOn = false;
  log.warning(
    `A promotion was not ended${run === '' ? '' : ` by ${run}`}: ${changes.map(shown).join(', ')}. It is ${goesOn ? 'finished' : 'taken back'} now.`,
  );
  if (goesOn) {
    const own = await stillOwn(changes, access);
    return finish(journal, access, { changes: own, images: [], isNew: false });
  }
  const why = new DeployError('reverted', 'It was interrupted.');
  return { kind: 'taken-back', why, left: await takeBack(journal, access, true) };
}

/** Those that are where the promotion found them, or where it puts them. */
async function stillOwn(changes: readonly TagChange[], access: PromotionAccess): Promise<TagChange[]> {
  const own: TagChange[] = [];
  for (const change of changes) {
    const now = await digestAt(access.registries, change, change.tag);
    if (now === change.before || now === change.after) own.push(change);
    else access.log.warning(`${shown(change)} was moved by somebody else since, and stays.`);
  }
  return own;
}
