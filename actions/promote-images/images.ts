import { imageReferenceForm, isRecord, type Json, parseImageReference } from '@deploy-actions/core';
import { isDigest, type Repository } from '@deploy-actions/images';

export interface GivenImage {
  name: string;
  image: Repository;
  digest: string;
}

/** The images of the input; `problems` are all that is wrong, in words, each with what is allowed. */
export function readImages(list: readonly string[]): { images: GivenImage[]; problems: string[] } {
  const images: GivenImage[] = [];
  const problems: string[] = [];
  for (const text of list) {
    const [, said = '', reference = ''] = /^(?:([^=@:/]+)=)?(.*)$/.exec(text) ?? [];
    const parsed = parseImageReference(reference.trim());
    if (parsed === undefined || parsed.digest === null || !isDigest(parsed.digest)) {
      problems.push(
        `has ${JSON.stringify(reference)}, which is no image by digest; allowed is ${imageReferenceForm.replace('[@digest]', '@digest')}`,
      );
      continue;
    }
    const { registry, path, digest } = parsed;
    const name = said.trim() || (path.split('/').at(-1) ?? path);
    const same = images.find(({ image }) => image.registry === registry && image.path === path);
    if (same !== undefined) problems.push(`has ${registry}/${path} twice; allowed is one image a repository`);
    else if (images.some((other) => other.name === name))
      problems.push(`has ${name} twice; allowed is each name once`);
    images.push({ name, image: { registry, path }, digest });
  }
  return { images, problems };
}

/** The platforms of each image by its name; undefined when it is no such object. */
export function readPlatforms(details: Json): Map<string, string[]> | undefined {
  if (!isRecord(details)) return undefined;
  const platforms = new Map<string, string[]>();
  for (const [name, entry] of Object.entries(details)) {
    const list: unknown = isRecord(entry) ? entry['platforms'] : undefined;
    if (!Array.isArray(list) || !list.every((each) => typeof each === 'string')) return undefined;
    platforms.set(name, list);
  }
  return platforms;
}

/** The digests among what was scanned; undefined when it is neither a list of texts nor an object. */
export function readScanned(scanned: Json): Set<string> | undefined {
  const names = Array.isArray(scanned) ? scanned : isRecord(scanned) ? Object.keys(scanned) : undefined;
  if (names === undefined || !names.every((name) => typeof name === 'string')) return undefined;
  return new Set(names.flatMap((name) => /(?:^|@)(sha256:[0-9a-f]{64})$/.exec(name)?.[1] ?? []));
}
