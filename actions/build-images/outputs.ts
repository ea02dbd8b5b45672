import { definition } from './definition.ts';
import { type BuiltImage, cachedOf, secondsOf } from './summary.ts';

type Outputs = (typeof definition)['outputs'];

/** No output at all. */
export const nothing = Object.fromEntries(
  Object.keys(definition.outputs).map((name) => [name, undefined]),
) as { [name in keyof Outputs]: undefined };

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
