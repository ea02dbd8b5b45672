import {
  cancelled,
  DeployError,
  type ImageReference,
  imageReference,
  messageOf,
  parseImageReference,
} from '@deploy-actions/core';
import {
  type BuildInputs,
  type BuildSpec,
  findUnchanged,
  hashInputs,
  openRegistries,
  type PushedImage,
  type Registries,
  type RegistryOptions,
} from '@deploy-actions/images';
import type { Context } from '@deploy-actions/action-kit';

/** An image, what it is made of, and whether it is there already. */
export interface PlannedImage {
  spec: BuildSpec;
  image: ImageReference;
  inputs: BuildInputs;
  /** The image of the same inputs at the registry; undefined: it is built. */
  unchanged: PushedImage | undefined;
  /** Why it is built, in words; empty for one that is not. */
  why: string;
}

export interface PlanOptions {
  workspace: string;
  access: RegistryOptions;
  registries: Registries;
  /** Whether all are built, whatever is there. */
  all: boolean;
  /** Arguments that the run gives every build. */
  args: Record<string, string>;
  /** The names of those that are no part of what is built. */
  unhashed: string[];
  provenance: string;
  /** What is built for where an image does not say it. */
  builderPlatform: string;
  /** Whether a registry that cannot be asked means that all is built. */
  mayBeUnreachable: boolean;
}

/** A base that does not answer at once is one that nobody can tell: then the image is built, and the builder asks for it. */
const briefly = { attempts: 2, total: 8_000, pause: 500 };

/** Says for a base what it points at now; asks once for each. */
function baseResolver(access: RegistryOptions, context: Context) {
  const registries = openRegistries({ ...access, patience: briefly, timeout: 8_000 });
  const asked = new Map<string, Promise<string | undefined>>();
  const resolve = async (text: string): Promise<string | undefined> => {
    const reference = parseImageReference(text);
    if (reference === undefined) return undefined;
    if (reference.digest !== null) return reference.digest;
    try {
      return (await registries.resolve(reference, reference.tag ?? 'latest'))?.digest;
    } catch (thrown) {
      if (context.signal.aborted) throw cancelled(`asking for the base ${text}`);
      context.log.debug(`The base ${text} cannot be asked for: ${messageOf(thrown)}`);
      return undefined;
    }
  };
  return (text: string) => {
    const found = asked.get(text) ?? resolve(text);
    asked.set(text, found);
    return found;
  };
}

/** What of the images has to be built, and why. */
export async function planImages(
  specs: readonly BuildSpec[],
  context: Context,
  options: PlanOptions,
): Promise<PlannedImage[]> {
  const resolve = baseResolver(options.access, context);
  return Promise.all(
    specs.map(async (spec): Promise<PlannedImage> => {
      const inputs = await hashInputs(spec, { ...options, signal: context.signal, resolve });
      const image = imageReference(spec.repository, spec.name);
      if (inputs.context.hasGit) {
        context.log.warning(
          `${spec.name}: the folder .git is in its context, so that every commit builds it anew. Add it to the ignore file.`,
        );
      }
      const planned = { spec, image, inputs, unchanged: undefined };
      if (options.all) return { ...planned, why: 'all images are built' };
      if (inputs.hash === null)
        return { ...planned, why: `it cannot be told whether it changed: ${inputs.unknown.join('; ')}` };
      try {
        const wanted = { name: spec.name, platforms: inputs.platforms };
        const unchanged = await findUnchanged(options.registries, image, wanted, inputs.hash, context.log);
        return { ...planned, unchanged, why: unchanged === undefined ? 'its inputs changed' : '' };
      } catch (thrown) {
        if (
          !options.mayBeUnreachable ||
          !(thrown instanceof DeployError) ||
          thrown.reasonCode === 'cancelled'
        )
          throw thrown;
        context.log.warning(`${spec.name}: ${thrown.message} It is built.`);
        return { ...planned, why: 'its registry cannot be asked' };
      }
    }),
  );
}
