import {
  canonicalImage,
  DeployError,
  imageReference,
  parseImageReference,
  repositoryOf,
} from '@deploy-actions/core';

/** A container of a pod template, as far as images go. */
export interface NamedImage {
  name: string;
  image?: string | undefined;
}

export interface PodImages {
  containers: NamedImage[];
  initContainers?: NamedImage[] | undefined;
}

/** An image that takes another's place. */
export interface Substitution {
  list: 'containers' | 'initContainers';
  container: string;
  from: string;
  to: string;
}

/**
 * Which containers of a pod template get which image: those, init containers too, whose image is of the same
 * repository — registry, port and path, all of them. `container` narrows it to one container, whose repository may
 * then be another. Nothing else changes. What has the image already is listed, too, with `from` equal to `to`.
 *
 * Throws `invalid_input` for what is no reference and for two images of one repository, `not_found`, with what is
 * there, where an image has no container to go to.
 */
export function substituteImages(
  pod: PodImages,
  images: string[],
  options: { where: string; container?: string | undefined },
): Substitution[] {
  const there = [
    ...(pod.initContainers ?? []).map((container) => ({ list: 'initContainers' as const, container })),
    ...pod.containers.map((container) => ({ list: 'containers' as const, container })),
  ];
  const found: Substitution[] = [];
  const taken = new Map<string, string>();
  for (const image of images) {
    const repository = repositoryOf(imageReference(image));
    const other = taken.get(repository);
    if (other !== undefined) {
      throw new DeployError('invalid_input', `${image} and ${other} are of one repository, ${repository}.`, {
        remedy: 'Give one image for each repository.',
      });
    }
    taken.set(repository, image);
    const matches = there.filter(({ container }) => {
      if (options.container !== undefined) return container.name === options.container;
      const parsed = parseImageReference(container.image ?? '');
      return parsed !== undefined && repositoryOf(parsed) === repository;
    });
    if (matches.length === 0) {
      const wanted =
        options.container === undefined ? `of the repository ${repository}` : `named ${options.container}`;
      const list = there.map(({ list: kind, container }) => {
        const init = kind === 'initContainers' ? ' (init)' : '';
        return `${container.name}${init}: ${container.image ?? 'no image'}`;
      });
      throw new DeployError('not_found', `${options.where} has no container ${wanted}.`, {
        remedy: `It has ${list.join(', ')}. Give an image of one of these repositories, or name the container (\`container\`).`,
      });
    }
    for (const { list, container } of matches) {
      found.push({ list, container: container.name, from: container.image ?? '', to: image });
    }
  }
  return found;
}

/** What tells the images of a pod template apart from others: the substituted ones, in one spelling and order. */
export function imagesKey(images: string[]): string {
  return images.map(canonicalImage).toSorted().join(' ');
}
