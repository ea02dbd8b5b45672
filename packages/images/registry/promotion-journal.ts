import { asError, canonicalJson, DeployError, digestOf, isRecord, type Log } from '@deploy-actions/core';
import { emptyBlob, type Registries, type Repository } from './client.ts';
import { mediaTypes } from './manifest.ts';

/** One tag of a promotion. */
export interface TagChange {
  registry: string;
  path: string;
  tag: string;
  /** What it pointed at before; null where it was not there. */
  before: string | null;
  after: string;
}

/** What a promotion is about to do, kept in every repository that it writes to until it is over. */
export interface PromotionJournal {
  schema: 1;
  /** `reverting`: it failed, and what was written is put back. */
  state: 'writing' | 'reverting' | 'over';
  /** The page of the run, for people. */
  run: string;
  changes: TagChange[];
}

/** A registry has no place for notes but a tag. */
export const journalTag = 'deploy-actions-promotion';

const artifactType = 'application/vnd.deploy-actions.promotion.v1+json';
const annotation = 'dev.deploy-actions.promotion';

/** Tells promotions apart: the same changes are the same promotion. */
export function idOf({ changes }: PromotionJournal): string {
  return digestOf(changes);
}

/** For what cannot be ended: the one way out that is left, in words. */
export const abandonRemedy = `Where a repository of it cannot be written any more, delete the tag \`${journalTag}\` in the others: then the promotion is forgotten, and their tags stay as they are.`;

export const nameOf = ({ registry, path }: Repository) => `${registry}/${path}`;

export function repositoriesOf(changes: readonly TagChange[]): Repository[] {
  const all = changes.map(({ registry, path }) => [`${registry}/${path}`, { registry, path }] as const);
  return [...new Map(all).values()];
}

/** Writes it in every repository, whatever becomes of the others. By the name of the repository: why it was not written there. */
export async function writeJournal(
  registries: Registries,
  journal: PromotionJournal,
  images: readonly Repository[] = repositoriesOf(journal.changes),
): Promise<Map<string, Error>> {
  const failures = new Map<string, Error>();
  for (const image of images) {
    try {
      await writeTo(registries, image, journal);
    } catch (thrown) {
      failures.set(nameOf(image), asError(thrown));
    }
  }
  return failures;
}

/** The state in which a repository has it; undefined where it is over there, or was never written. */
export async function stateIn(
  registries: Registries,
  image: Repository,
  journal: PromotionJournal,
): Promise<PromotionJournal['state'] | undefined> {
  return (await readJournals(registries, [image])).find((other) => idOf(other) === idOf(journal))?.state;
}

/**
 * An artifact of the image specification (https://github.com/opencontainers/image-spec/blob/main/manifest.md#guidelines-for-artifact-usage)
 * whose text is an annotation, so that it has no blob of its own but the two bytes of an empty configuration.
 */
async function writeTo(registries: Registries, image: Repository, journal: PromotionJournal): Promise<void> {
  const config = await registries.putBlob(image, emptyBlob);
  const descriptor = { digest: config.digest, size: config.size };
  const body = canonicalJson({
    schemaVersion: 2,
    mediaType: mediaTypes.image,
    artifactType,
    config: { mediaType: artifactType, ...descriptor },
    layers: [{ mediaType: 'application/vnd.oci.empty.v1+json', ...descriptor }],
    annotations: { [annotation]: JSON.stringify(journal) },
  });
  await registries.putManifest(image, journalTag, { mediaType: mediaTypes.image, body: Buffer.from(body) });
}

/** The journals that say of a promotion that it is not over, each once. Throws `state_too_new`, `state_corrupt`. */
export async function readJournals(
  registries: Registries,
  images: readonly Repository[],
): Promise<PromotionJournal[]> {
  const open = new Map<string, PromotionJournal>();
  for (const image of images) {
    const manifest = await registries.manifest(image, journalTag);
    if (manifest === undefined) continue;
    const journal = parseJournal(manifest.body, `${image.registry}/${image.path}:${journalTag}`);
    // Killed while it was written to one repository after the other, the journal may still say in one what was then.
    if (journal.state !== 'over' && open.get(idOf(journal))?.state !== 'reverting')
      open.set(idOf(journal), journal);
  }
  return [...open.values()];
}

function parseJournal(body: Buffer, where: string): PromotionJournal {
  const corrupt = () =>
    new DeployError('state_corrupt', `${where} is no journal of a promotion.`, {
      remedy: 'See with which tags the last promotion ended, then delete this tag.',
    });
  let journal: unknown;
  try {
    const { annotations } = JSON.parse(body.toString('utf8')) as { annotations?: Record<string, string> };
    journal = JSON.parse(annotations?.[annotation] ?? '');
  } catch {
    throw corrupt();
  }
  if (!isRecord(journal)) throw corrupt();
  if (journal['schema'] !== 1) {
    throw new DeployError('state_too_new', `${where} was written by a newer version of the suite.`, {
      remedy: 'Use that version, or a newer one, here too.',
    });
  }
  const { changes, state } = journal;
  const right =
    typeof state === 'string' &&
    ['writing', 'reverting', 'over'].includes(state) &&
    Array.isArray(changes) &&
    changes.every(
      (change) =>
        isRecord(change) &&
        ['registry', 'path', 'tag', 'after'].every((key) => typeof change[key] === 'string') &&
        (change['before'] === null || typeof change['before'] === 'string'),
    );
  if (!right) throw corrupt();
  return journal as unknown as PromotionJournal;
}

/**
 * False where a registry takes images alone, or a tag only once: then a promotion that is killed is finished by the same step alone. What
 * another registry took is closed again, or a run that finds it would write what this one may have put back.
 */
export async function writeJournalIfTaken(
  registries: Registries,
  journal: PromotionJournal,
  log: Log,
): Promise<boolean> {
  const over: PromotionJournal = { ...journal, state: 'over' };
  // Other bytes than those that close it: at a registry whose answers are a moment behind, they would be taken for written already.
  const before: PromotionJournal = { ...over, changes: [] };
  const taken: Repository[] = [];
  for (const image of repositoriesOf(journal.changes)) {
    try {
      // A note that could not be replaced would stand for ever, and stop every later promotion: so one that is over goes first. One
      // that is open already is of a run that was ended, and never gone from there before its work is done.
      if ((await stateIn(registries, image, journal)) !== journal.state)
        await writeTo(registries, image, before);
      await writeTo(registries, image, journal);
      taken.push(image);
    } catch (thrown) {
      if (!(thrown instanceof DeployError)) throw thrown;
      // Some say of a tag that is there, and may be taken once, that nobody may write it.
      const isRefused =
        thrown.reasonCode === 'registry_rejected' ||
        (thrown.reasonCode === 'permission_denied' &&
          (await registries.resolve(image, journalTag)) !== undefined);
      if (!isRefused) throw thrown;
      log.warning(
        `${nameOf(image)} does not take the note of the promotion, or does not let it be replaced. If this step is killed, run it again with the same images. ${thrown.message}`,
      );
      for (const other of taken) await writeTo(registries, other, over);
      return false;
    }
  }
  return true;
}
