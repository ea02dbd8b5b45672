import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  cancelled,
  DeployError,
  digestOf,
  orUndefinedIfMissing,
  parseImageReference,
} from '@deploy-actions/core';
import { outsideSources } from '@deploy-actions/dockerfile';
import type { BuildSpec } from './build-spec.ts';
import { type ContextFacts, hashContext } from './context-hash.ts';

/** What an image is made of, as one hash; or why nobody can tell beforehand. */
export interface BuildInputs {
  /** `sha256:…`; null where something that the build reads cannot be told: then it is built. */
  hash: string | null;
  /** In words, why there is no hash. */
  unknown: string[];
  context: ContextFacts;
  /** The Dockerfile's text. */
  dockerfile: string;
  /** What outside images point at, by reference. */
  bases: Record<string, string>;
  /** The registries of all outside images, of those that could not be asked, too. */
  registries: string[];
  /** What it is built for, with the builder's own where the image says none. */
  platforms: string[];
}

/**
 * Whether the builder has to ask registries for bases: where there is a hash it has what their tags point at there. One by digest is what
 * it is wherever it comes from.
 */
export function namesBasesByTag({ hash, bases }: BuildInputs): boolean {
  return hash !== null && Object.keys(bases).some((image) => !image.includes('@'));
}

export interface HashOptions {
  workspace: string;
  /** Arguments that the run gives the build, beside the image's own, which win: `namingArguments`. */
  args: Readonly<Record<string, string>>;
  /** The names of those that are no part of what the image is made of. A base that is named by one is. */
  unhashed: readonly string[];
  provenance: string;
  /** What is built for where an image does not say it. */
  builderPlatform: string;
  signal: AbortSignal;
  /** What an image outside points at now: a digest, or undefined where it cannot be told. */
  resolve(image: string): Promise<string | undefined>;
}

/** Changes when the hash is made of other things, so that no image of an older way is taken for one of this. */
const version = 2;

/**
 * The hash of a build's inputs: context, Dockerfile, arguments, digests of what it starts from, stage, platforms, labels, which secrets
 * it reads. What secrets hold is not in it, nor is what a RUN fetches from the network. Throws `not_found` where the Dockerfile or
 * the stage is not there.
 */
export async function hashInputs(spec: BuildSpec, options: HashOptions): Promise<BuildInputs> {
  const { workspace, signal, provenance } = options;
  const file = join(workspace, spec.dockerfile);
  const text = await orUndefinedIfMissing(readFile(file, 'utf8'));
  if (text === undefined) {
    throw new DeployError('not_found', `${spec.name}: there is no Dockerfile at ${spec.dockerfile}.`, {
      remedy:
        'Correct `dockerfile`, which is relative to the workspace, or check the repository out in a step before.',
    });
  }
  const given = { ...options.args, ...spec.args };
  const args = Object.fromEntries(
    Object.entries(given).filter(
      ([name]) => Object.hasOwn(spec.args, name) || !options.unhashed.includes(name),
    ),
  );
  const platforms = spec.platforms.length === 0 ? [options.builderPlatform] : spec.platforms;
  const sources = outsideSources(text, { args: given, target: spec.target ?? undefined });
  if (sources === undefined) {
    throw new DeployError(
      'not_found',
      spec.target === null
        ? `${spec.name}: ${spec.dockerfile} has no FROM.`
        : `${spec.name}: ${spec.dockerfile} has no stage ${spec.target}.`,
      { remedy: 'Correct the Dockerfile, or `target`.' },
    );
  }
  try {
    const context = await hashContext(join(workspace, spec.context), file, signal);
    const unknown = [...sources.unknown];
    const bases: Record<string, string> = {};
    for (const { image, line } of sources.images) {
      const digest = bases[image] ?? (await options.resolve(image));
      if (digest === undefined) unknown.push(`line ${line}: ${image} is at no registry that can be asked`);
      else bases[image] = digest;
    }
    const registries = sources.images.flatMap(({ image }) => parseImageReference(image)?.registry ?? []);
    const hash =
      unknown.length > 0
        ? null
        : digestOf({
            version,
            context: context.hash,
            dockerfile: text,
            args,
            bases,
            target: spec.target,
            platforms: platforms.toSorted(),
            labels: spec.labels,
            secrets: Object.keys(spec.secrets).toSorted(),
            provenance,
          });
    return { hash, unknown, context, dockerfile: text, bases, registries, platforms };
  } catch (thrown) {
    if (signal.aborted) throw cancelled(`reading the context of ${spec.name}`);
    throw thrown;
  }
}
