import { type BuiltImage, cachedOf, secondsOf } from './summary.ts';

/** What other actions take. */
export function outputsOf(images: readonly BuiltImage[]) {
  const there = images.filter(({ reference }) => reference !== '');
  return {
    images: there.map(({ name, reference }) => `${name}=${reference}`).join('\n'),
    details: JSON.stringify(
      Object.fromEntries(
        images.map((image) => [
          image.name,
          {
            digest: image.digest,
            reference: image.reference,
            platforms: image.platforms,
            size: image.size,
            cached: cachedOf(image),
            seconds: secondsOf(image.build),
            tags: image.tags,
          },
        ]),
      ),
    ),
    targets: there.map(({ reference }) => `image:${reference}`).join(','),
  };
}
