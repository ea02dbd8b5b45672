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

/** Whether a container of the pod has an image of the same repository. */
function usesRepository({ containers, initContainers = [] }: PodImages, image: string): boolean {
  const repository = repositoryOf(imageReference(image));
  return [...containers, ...initContainers].some((container) => {
    const parsed = parseImageReference(container.image ?? '');
    return parsed !== undefined && repositoryOf(parsed) === repository;
  });
}

/**
 * The same for pod templates that are released as one, in their order: each gets those of the images that it has a
 * container for. Every image has to go somewhere, and every template has to get one: what no image is named for would stay
 * at whatever this colour had before. Throws as {@link substituteImages}.
 */
export function substituteImagesAcross(
  pods: readonly { where: string; pod: PodImages }[],
  images: string[],
  container: string | undefined,
): Substitution[][] {
  const isOne = pods.length === 1 || container !== undefined;
  const all = pods.flatMap(({ where, pod }) =>
    [...(pod.initContainers ?? []), ...pod.containers].map(
      ({ name, image }) => `${where} ${name}: ${image ?? 'no image'}`,
    ),
  );
  const unused = isOne
    ? undefined
    : images.find((image) => !pods.some(({ pod }) => usesRepository(pod, image)));
  if (unused !== undefined) {
    throw new DeployError('not_found', `No container has an image of the repository of ${unused}.`, {
      remedy: `There are ${all.join(', ')}. Give images of these repositories.`,
    });
  }
  return pods.map(({ where, pod }) => {
    const own = isOne ? images : images.filter((image) => usesRepository(pod, image));
    if (own.length > 0) return substituteImages(pod, own, { where, container });
    throw new DeployError('not_found', `${where} is released with the others, and no image is for it.`, {
      remedy: `Name its image, too, also where it stays the same (\`image: one,another\`). There are ${all.join(', ')}.`,
    });
  });
}

/** What tells the images of a pod template apart from others: the substituted ones, in one spelling and order. */
export function imagesKey(images: string[]): string {
  return images.map(canonicalImage).toSorted().join(' ');
}
