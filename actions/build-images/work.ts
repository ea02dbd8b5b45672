import { join } from 'node:path';
import type { Context, InputValues } from '@deploy-actions/action-kit';
import {
  bakeDefinition,
  type BuildRun,
  type BuildSpec,
  candidateTag,
  commitTime,
  namesBasesByTag,
  namingArguments,
  nativePlatform,
  openRegistries,
  type Origin,
  registryAccess,
  type RegistryOptions,
  type Registries,
  releaseTags,
  type ReleaseTag,
  requireReleaseTags,
  tagsByRule,
  versionOf,
} from '@deploy-actions/images';
import type { definition } from './definition.ts';
import { type PlannedImage, planImages } from './plan.ts';

export type Inputs = InputValues<(typeof definition)['inputs']>;

/** All that is known before anything is built. */
export interface Work {
  origin: Origin;
  /** The tags of the release. */
  release: ReleaseTag[];
  run: BuildRun;
  plan: PlannedImage[];
  access: RegistryOptions;
  registries: Registries;
  /** Folder for the definition and what the builder says. */
  folder: string;
}

export function originOf(inputs: Inputs, { facts }: Context): Origin {
  const run = facts.runId === '' ? '' : `${facts.runId}-${facts.runAttempt}`;
  return { ref: facts.ref, sha: facts.sha, run, version: inputs.version };
}

/** The tags of the release. Throws `invalid_input` where they are to be set, and none of them says what runs. */
export function releaseOf(inputs: Inputs, origin: Origin): ReleaseTag[] {
  const release = releaseTags(inputs.tags, origin, inputs.environment);
  if (inputs.push === 'tags') requireReleaseTags(release, inputs.tags, origin);
  return release;
}

export const namesOf = (release: readonly ReleaseTag[]) => release.map(({ tag }) => tag);

/** The page of the repository; empty outside of a workflow. */
function sourceOf({ facts }: Context): string {
  return facts.runUrl.replace(/\/actions\/runs\/.*$/, '');
}

/** All platforms of a part. */
const partOf = (specs: readonly BuildSpec[]) => [...new Set(specs.flatMap(({ platforms }) => platforms))];

/** Tags whose image the new one is compared with, unless the user says others. */
export function comparedTags(inputs: Inputs, origin: Origin): string[] {
  return inputs['compare-with'] ?? [...tagsByRule(['branch'], origin), 'latest'];
}

/** What is built for where an image does not say it. Where all do, nobody is asked. */
async function builderPlatform(
  { builder }: Inputs,
  { environment, signal, facts }: Context,
  specs: readonly BuildSpec[],
): Promise<string> {
  if (specs.every(({ platforms }) => platforms.length > 0)) return '';
  return nativePlatform(builder, { environment, signal, directory: facts.workspace });
}

/** Reads what images are made of, and asks their registries which are there already. */
export async function prepareWork(
  inputs: Inputs,
  context: Context,
  specs: readonly BuildSpec[],
): Promise<Work> {
  const { facts, environment, log } = context;
  const origin = originOf(inputs, context);
  const release = releaseOf(inputs, origin);
  const version = versionOf(origin);
  const epoch = await commitTime({ ...context, directory: facts.workspace });
  if (epoch === null) {
    log.warning(
      'The time of the commit is not known (no git, no SOURCE_DATE_EPOCH): images have no time of creation, and are not the same when they are built again.',
    );
  }
  const part = inputs.part ? partOf(specs) : [];
  const access = registryAccess(inputs, context);
  const registries = openRegistries(access);
  const plan = await planImages(specs, context, {
    workspace: facts.workspace,
    access,
    registries,
    all: inputs.rebuild === 'all',
    args: namingArguments({ version, environment: inputs.environment, epoch }),
    unhashed: ['SOURCE_DATE_EPOCH', ...(inputs['rebuild-for-version'] ? [] : ['VERSION'])],
    provenance: inputs.provenance,
    builderPlatform: await builderPlatform(inputs, context, specs),
    mayBeUnreachable: inputs.push === 'load' || inputs.push === 'none' || inputs['dry-run'],
  });
  const hashes = plan.flatMap(({ spec, inputs: { hash } }): [string, string][] =>
    hash === null ? [] : [[spec.name, hash]],
  );
  return {
    origin,
    release,
    plan,
    access,
    registries,
    folder: inputs['output-directory'] ?? join(facts.temp, 'deploy-actions', 'build'),
    run: {
      tag: candidateTag(origin, part),
      output: inputs.push === 'load' || inputs.push === 'none' ? inputs.push : 'push',
      version,
      environment: inputs.environment,
      source: sourceOf(context),
      revision: origin.sha,
      epoch,
      provenance: inputs.provenance,
      insecure: inputs['insecure-registries'] ?? [],
      cacheDirectory: inputs['cache-directory'] ?? join(facts.temp, 'deploy-actions', 'build-cache'),
      cacheMode: inputs['cache-mode'],
      cachePart: part.map((platform) => `-${platform.replaceAll('/', '-')}`).join(''),
      hashes: new Map(hashes),
      pulls: new Set(plan.flatMap(({ spec, inputs: made }) => (namesBasesByTag(made) ? [spec.name] : []))),
      workspace: facts.workspace,
      home: environment['HOME'] ?? '/',
      // Until a builder is known that can.
      rewriteTimestamps: false,
      weighsSteps: false,
    },
  };
}

/** What has to be built, and the definition for it. */
export function toBuild({ plan, run }: Pick<Work, 'plan' | 'run'>) {
  const specs = plan.filter(({ unchanged }) => unchanged === undefined).map(({ spec }) => spec);
  return { specs, definition: bakeDefinition(specs, run) };
}

/** An image of a plan, for the report. */
export function describePlanned({ spec, inputs, unchanged, why }: PlannedImage) {
  const { hash, unknown, context, bases } = inputs;
  return { spec, hash, unknown, context, bases, unchanged: unchanged?.facts.digest ?? null, why };
}
