import { isAbsolute, join, posix } from 'node:path';
import { parseImageReference } from '@deploy-actions/core';
import type { BuildSpec } from './build-spec.ts';

/** What a run adds to what its images say. */
export interface BuildRun {
  /** The tag that is pushed or loaded. */
  tag: string;
  output: 'push' | 'load' | 'none';
  version: string;
  /** Undefined: no argument ENVIRONMENT is given. */
  environment: string | undefined;
  /** The page of the repository; empty where it is not known. */
  source: string;
  /** The commit. */
  revision: string;
  /** Seconds since 1970 of the commit, by which every time in the image is set; null: the builder takes its own. */
  epoch: number | null;
  provenance: 'none' | 'min' | 'max';
  /** Registries that are spoken to over plain HTTP. Those on this machine are so for the builder without a word. */
  insecure: readonly string[];
  /** Folder of `cache: local`. */
  cacheDirectory: string;
  /** Whether caches get the layers of all stages or of the last one. */
  cacheMode: 'min' | 'max';
  /** Tells the caches of native runners apart, which build parts of the same images: `-linux-arm64`; empty where one builds all. */
  cachePart: string;
  /** By image: the hash of its inputs; absent where it is not known. */
  hashes: ReadonlyMap<string, string>;
  /** The images with a hash that names a base by tag: it has what the tag points at in the registry, and so must the build. */
  pulls: ReadonlySet<string>;
  /** Folder for relative paths of secrets, and for those that begin with `~/`. */
  workspace: string;
  home: string;
  /** Whether the builder can set the times of files to the commit's; old engines cannot. */
  rewriteTimestamps: boolean;
  /** Whether it can give the steps of an image a weight of their own. */
  weighsSteps: boolean;
}

export interface BakeTarget {
  context: string;
  dockerfile: string;
  target?: string;
  args: Record<string, string>;
  labels: Record<string, string>;
  tags: string[];
  platforms?: string[];
  pull?: true;
  secret?: string[];
  network?: string;
  resources?: { 'cpu-shares': number };
  'cache-from'?: string[];
  'cache-to'?: string[];
  attest: string[];
  output: string[];
}

export interface BakeDefinition {
  group: { default: { targets: string[] } };
  target: Record<string, BakeTarget>;
}

/** The label with the hash of what the image was made of. */
export const inputsLabel = 'dev.deploy-actions.inputs';

/** Where a secret lies. */
export function secretFile(file: string, { workspace, home }: Pick<BuildRun, 'workspace' | 'home'>): string {
  if (file.startsWith('~/')) return join(home, file.slice(2));
  return isAbsolute(file) ? file : join(workspace, file);
}

/**
 * The arguments that say what is built. They name the image and are no part of what it is made of, but for the environment. An image
 * that says one itself has its own.
 */
export function namingArguments({
  version,
  environment,
  epoch,
}: Pick<BuildRun, 'version' | 'environment' | 'epoch'>): Record<string, string> {
  return {
    VERSION: version,
    ...(environment === undefined ? {} : { ENVIRONMENT: environment }),
    ...(epoch === null ? {} : { SOURCE_DATE_EPOCH: String(epoch) }),
  };
}

function labelsOf(spec: BuildSpec, run: BuildRun): Record<string, string> {
  const hash = run.hashes.get(spec.name);
  const labels: Record<string, string> = {
    'org.opencontainers.image.title': spec.name,
    'org.opencontainers.image.version': run.version,
    'org.opencontainers.image.revision': run.revision,
    'org.opencontainers.image.source': run.source,
    'org.opencontainers.image.created':
      run.epoch === null ? '' : new Date(run.epoch * 1_000).toISOString().replace('.000Z', 'Z'),
    ...(hash === undefined ? {} : { [inputsLabel]: hash }),
    ...spec.labels,
  };
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''));
}

/** What has BuildKit speak plain HTTP to the registry of an image, where it pushes and where it keeps a cache. */
function plainly({ repository }: BuildSpec, { insecure }: BuildRun): string {
  const registry = parseImageReference(repository)?.registry;
  return registry !== undefined && insecure.includes(registry) ? ',registry.insecure=true' : '';
}

/** One destination an image: builds that write to one at the same time were seen to take each other's place, and to fail. */
function cacheOf(spec: BuildSpec, run: BuildRun): Pick<BakeTarget, 'cache-from' | 'cache-to'> {
  const { cache, name, repository } = spec;
  const mode = `mode=${run.cacheMode}`;
  const scope = `${name}${run.cachePart}`;
  const reference = `${repository}:buildcache${run.cachePart}${plainly(spec, run)}`;
  switch (cache) {
    case 'none':
      return {};
    case 'gha':
      return {
        'cache-from': [`type=gha,scope=${scope}`],
        'cache-to': [`type=gha,scope=${scope},${mode},ignore-error=true`],
      };
    case 'registry':
      return {
        'cache-from': [`type=registry,ref=${reference}`],
        // Without a push nothing is written to the registry.
        ...(run.output === 'push'
          ? {
              'cache-to': [
                `type=registry,ref=${reference},${mode},image-manifest=true,oci-mediatypes=true,ignore-error=true`,
              ],
            }
          : {}),
      };
    case 'local': {
      const folder = join(run.cacheDirectory, scope);
      return {
        'cache-from': [`type=local,src=${folder}`],
        'cache-to': [`type=local,dest=${folder},${mode}`],
      };
    }
  }
}

function outputOf(spec: BuildSpec, run: BuildRun): string {
  const times = run.rewriteTimestamps && run.epoch !== null ? ',rewrite-timestamp=true' : '';
  switch (run.output) {
    case 'push':
      return `type=registry${plainly(spec, run)}${times}`;
    case 'load':
      return 'type=docker';
    case 'none':
      return 'type=cacheonly';
  }
}

/** A text in which bake finds nothing to fill in. */
const literal = (text: string) => text.replace(/([$%])\{/g, '$1$1{');

function literalTexts(texts: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(texts).map(([key, value]) => [key, literal(value)]));
}

/**
 * The definition that `docker buildx bake` builds from, in the workspace: the same images and run give the same one. No secret is in
 * it, only where the files of secrets lie.
 */
export function bakeDefinition(specs: readonly BuildSpec[], run: BuildRun): BakeDefinition {
  const target = Object.fromEntries(
    specs.map((spec): [string, BakeTarget] => [
      spec.name,
      {
        context: spec.context,
        // Bake reads it from the context.
        dockerfile: posix.relative(spec.context, spec.dockerfile),
        ...(spec.target === null ? {} : { target: spec.target }),
        args: literalTexts({ ...namingArguments(run), ...spec.args }),
        labels: literalTexts(labelsOf(spec, run)),
        tags: [`${spec.repository}:${run.tag}`],
        ...(spec.platforms.length === 0 ? {} : { platforms: spec.platforms }),
        // Else the engine's own builder takes a copy of the base that it has, however old.
        ...(run.pulls.has(spec.name) ? { pull: true } : {}),
        ...(Object.keys(spec.secrets).length === 0
          ? {}
          : {
              secret: Object.entries(spec.secrets).map(
                ([id, file]) => `id=${id},src=${literal(secretFile(file, run))}`,
              ),
            }),
        ...(spec.hostNetwork ? { network: 'host' } : {}),
        ...(spec.cpuShares !== null && run.weighsSteps
          ? { resources: { 'cpu-shares': spec.cpuShares } }
          : {}),
        ...cacheOf(spec, run),
        attest: [
          run.provenance === 'none'
            ? 'type=provenance,disabled=true'
            : `type=provenance,mode=${run.provenance}`,
        ],
        output: [outputOf(spec, run)],
      },
    ]),
  );
  return { group: { default: { targets: specs.map(({ name }) => name) } }, target };
}

/** What a definition may do that bake asks for beforehand: `--allow` of each. */
export function allowances(specs: readonly BuildSpec[], run: BuildRun): string[] {
  const secrets = specs.flatMap((spec) =>
    Object.values(spec.secrets).map((file) => `fs.read=${secretFile(file, run)}`),
  );
  const caches = specs.some(({ cache }) => cache === 'local') ? [`fs=${run.cacheDirectory}`] : [];
  const network = specs.some(({ hostNetwork }) => hostNetwork) ? ['network.host'] : [];
  return [...new Set([...network, ...secrets, ...caches])];
}
