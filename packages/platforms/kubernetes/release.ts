import {
  DeployError,
  imageReference,
  isRecord,
  parseImageReference,
  repositoryOf,
  versionOfImage,
} from '@deploy-actions/core';
import {
  type Deployment,
  imagesKey,
  type KubernetesObject,
  type PodSpec,
  releaseAnnotation,
} from '@deploy-actions/kubernetes';
import type { Release } from '@deploy-actions/release-engine';

/** A version on Kubernetes: the images that its pods run. Everything else of a pod is what the manifests say. */
export interface KubernetesRelease extends Release {
  /** At least one; each takes the place of the image of its repository. */
  images: string[];
  /** The one container whose image is replaced, whatever its repository; null: those of the same repository. */
  container: string | null;
  /** Pods wanted; null: as many as the slot that serves has, and no fewer than are there. */
  replicas: number | null;
}

/** Throws `invalid_input`. */
export function checkRelease({ version, images, replicas }: KubernetesRelease): void {
  const problems: string[] = [];
  if (version === '') problems.push('version is empty');
  if (images.length === 0) problems.push('there is no image');
  if (replicas !== null && (!Number.isInteger(replicas) || replicas < 1)) {
    problems.push(`replicas is ${replicas}, allowed are integers from 1`);
  }
  if (problems.length > 0) {
    throw new DeployError('invalid_input', `The release cannot be deployed: ${problems.join('; ')}.`, {
      remedy: 'Correct the release. Nothing was touched.',
    });
  }
  for (const image of images) imageReference(image);
}

/** What tells releases apart: their images, in one spelling. */
export function revisionOf({ images }: KubernetesRelease): string {
  return imagesKey(images);
}

/** The release that an object was given, as it says itself; undefined when it is none of ours. */
export function annotatedRelease({ metadata }: KubernetesObject): KubernetesRelease | undefined {
  const text = metadata.annotations?.[releaseAnnotation];
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || typeof value['version'] !== 'string' || !Array.isArray(value['images'])) {
    return undefined;
  }
  const images = value['images'].filter((image): image is string => typeof image === 'string');
  const container = typeof value['container'] === 'string' ? value['container'] : null;
  const replicas = typeof value['replicas'] === 'number' ? value['replicas'] : null;
  return { version: value['version'], images, container, replicas };
}

/** Which containers of a pod a release is about. */
export interface Scope {
  images: string[];
  container: string | null;
}

/** The images that the pod runs where a release of this scope would put its own; every one where it would put none. */
function imagesWithin({ containers, initContainers = [] }: PodSpec, scope: Scope | undefined): string[] {
  const all = [...containers, ...initContainers];
  const repositories = new Set((scope?.images ?? []).map((image) => repositoryOf(imageReference(image))));
  const inScope = all.filter(({ name, image }) => {
    if (scope?.container !== undefined && scope.container !== null) return name === scope.container;
    const parsed = parseImageReference(image ?? '');
    return parsed !== undefined && repositories.has(repositoryOf(parsed));
  });
  const chosen = inScope.length === 0 ? all : inScope;
  return [...new Set(chosen.map(({ image }) => image ?? ''))].filter((image) => image !== '');
}

/**
 * The release that Deployments hold together, which are released as one: the one that they were given while the images of
 * all are still those, else what their images say.
 */
export function releaseAcross(
  deployments: readonly Deployment[],
  scope: Scope | undefined,
): KubernetesRelease {
  const given = deployments.map(annotatedRelease).find((release) => release !== undefined);
  const images = [
    ...new Set(deployments.flatMap(({ spec }) => imagesWithin(spec.template.spec, given ?? scope))),
  ];
  if (given !== undefined && imagesKey(images) === imagesKey(given.images)) return given;
  const [first = ''] = images;
  return {
    version: versionOfImage(first),
    images,
    container: given?.container ?? scope?.container ?? null,
    replicas: null,
  };
}

/** The revision that a Deployment was given, while its images are of it; undefined otherwise. */
export function revisionGivenTo(deployment: Deployment): string | undefined {
  const given = annotatedRelease(deployment);
  if (given === undefined) return undefined;
  const known = new Set(given.images.map((image) => imagesKey([image])));
  const own = imagesWithin(deployment.spec.template.spec, given);
  return own.every((image) => known.has(imagesKey([image]))) ? revisionOf(given) : undefined;
}

/**
 * The release that a Deployment holds: the one that it was given while its images are still those, else what its
 * images say. `scope` says which of the images count where nothing was ever deployed by this suite.
 */
export function releaseIn(deployment: Deployment, scope: Scope | undefined): KubernetesRelease {
  return releaseAcross([deployment], scope);
}
