import { posix } from 'node:path';
import { isRecord, type Json, nearest, parseImageReference } from '@deploy-actions/core';

export const cacheKinds = ['none', 'gha', 'registry', 'local'] as const;
export type CacheKind = (typeof cacheKinds)[number];

/** One image and how it is built. Paths are relative to the workspace, with slashes. */
export interface BuildSpec {
  /** What it is called here, and in every output: `backend`. */
  name: string;
  /** Where it is pushed to, without a tag: `ghcr.io/acme/helpdesk-backend`. */
  repository: string;
  context: string;
  dockerfile: string;
  /** Null: the last stage. */
  target: string | null;
  args: Record<string, string>;
  labels: Record<string, string>;
  /** Files that a `RUN --mount=type=secret` may read, by id. `~/` is the home folder of whoever runs the build. */
  secrets: Record<string, string>;
  /** Empty: that of the builder. */
  platforms: string[];
  cache: CacheKind;
  /** Whether RUN has the network of the builder's host. */
  hostNetwork: boolean;
  /** The weight of each RUN against those of other images, where processors are short (cgroup CPU shares); null: that of the builder. */
  cpuShares: number | null;
}

/** What holds for every image that does not say otherwise. */
export interface BuildDefaults {
  /** What the name of a repository begins with: `ghcr.io/acme/helpdesk-`. */
  prefix: string | undefined;
  args: Readonly<Record<string, string>>;
  platforms: readonly string[];
  /** Whether `platforms` win over those that an image says: a native runner builds what it is told to. */
  part?: boolean;
  cache: CacheKind;
}

const fields = [
  'name',
  'repository',
  'context',
  'dockerfile',
  'target',
  'args',
  'labels',
  'secrets',
  'platforms',
  'cache',
  'network',
  'cpu-shares',
];
/** What Linux takes for CPU shares; 1024 is the usual. */
const [leastShares, mostShares] = [2, 262_144];
/** Also what bake takes for the name of a target. */
const namePattern = /^[a-z0-9][a-z0-9_-]{0,62}$/;
export const platformPattern = /^[a-z0-9]+\/[a-z0-9_]+(?:\/[a-z0-9]+)?$/;
const argumentPattern = /^[A-Za-z_]\w*$/;

/** A path below the workspace, as it is written in a definition; undefined for one that leaves it. */
function inside(path: string): string | undefined {
  const normal = posix.normalize(path.replaceAll('\\', '/')).replace(/\/$/, '');
  return posix.isAbsolute(normal) || normal === '..' || normal.startsWith('../') ? undefined : normal || '.';
}

function readTexts(value: Json | undefined): Record<string, string> | undefined {
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) return undefined;
  const texts: Record<string, string> = {};
  for (const [key, item] of Object.entries(value)) {
    if (typeof item === 'boolean' || (typeof item === 'number' && Number.isSafeInteger(item)))
      texts[key] = String(item);
    else if (typeof item === 'string') texts[key] = item;
    else return undefined;
  }
  return texts;
}

function readList(value: Json | undefined): string[] | undefined {
  if (value === undefined || value === null) return [];
  const list = typeof value === 'string' ? value.split(',') : value;
  if (!Array.isArray(list) || !list.every((item) => typeof item === 'string')) return undefined;
  return list.map((item) => item.trim()).filter((item) => item !== '');
}

/**
 * Reads what a user wrote for images: a mapping of names to settings, or a list of settings with names. `problems` are all that is
 * wrong, in words, each with what is allowed.
 */
export function readBuildSpecs(
  value: Json,
  defaults: BuildDefaults,
): { specs: BuildSpec[]; problems: string[] } {
  const problems: string[] = [];
  const entries: [string, Json][] = isRecord(value)
    ? Object.entries(value)
    : Array.isArray(value)
      ? value.map((item) => [isRecord(item) && typeof item['name'] === 'string' ? item['name'] : '', item])
      : [];
  if (entries.length === 0) {
    problems.push(
      'is not allowed: it has no image; allowed is a mapping such as `backend: { context: . }`, or a list of such with `name`',
    );
  }
  const specs: BuildSpec[] = [];
  for (const [name, item] of entries) {
    const wrong = (what: string) => void problems.push(`${name || 'an image'}: ${what}`);
    if (!namePattern.test(name)) {
      wrong('has no allowed name; allowed are small letters, digits, - and _, up to 63');
      continue;
    }
    if (specs.some((other) => other.name === name)) wrong('is there twice; allowed is each name once');
    // `backend:` alone has nothing to say but its name.
    const settings: Record<string, Json> | undefined = item === null ? {} : isRecord(item) ? item : undefined;
    if (settings === undefined) {
      wrong('is no mapping of settings; allowed is such as { context: . }');
      continue;
    }
    specs.push(readOne(name, settings, defaults, wrong));
  }
  const repositories = Map.groupBy(specs, ({ repository }) => repository);
  for (const [repository, same] of repositories) {
    if (repository !== '' && same.length > 1) {
      problems.push(
        `${same.map(({ name }) => name).join(' and ')} have the same repository ${repository}; allowed is one for each image, because their tags would take each other's place`,
      );
    }
  }
  return { specs, problems };
}

function readOne(
  name: string,
  settings: Record<string, Json>,
  defaults: BuildDefaults,
  wrong: (what: string) => void,
): BuildSpec {
  for (const key of Object.keys(settings)) {
    if (fields.includes(key)) continue;
    const meant = nearest(key, fields);
    wrong(
      `\`${key}\` is not a setting${meant === undefined ? '' : `, did you mean \`${meant}\`?`}; allowed are ${fields.join(', ')}`,
    );
  }
  const text = (key: string): string | undefined => {
    const value = settings[key];
    if (value === undefined || value === null) return undefined;
    if (typeof value === 'string' && value.trim() !== '') return value.trim();
    wrong(`\`${key}\` is no text; allowed is text, in quotes where it looks like a number`);
    return undefined;
  };
  const path = (key: string, otherwise: string): string => {
    const written = text(key) ?? otherwise;
    const below = inside(written);
    if (below === undefined) wrong(`\`${key}\` leaves the workspace; allowed is a path inside it`);
    return below ?? otherwise;
  };
  const texts = (key: string, pattern: RegExp, allowed: string): Record<string, string> => {
    const read = readTexts(settings[key]);
    const odd = Object.keys(read ?? {}).find((each) => !pattern.test(each));
    if (read === undefined) wrong(`\`${key}\` is no mapping of names to texts; allowed is one`);
    else if (odd !== undefined) wrong(`\`${key}\` has the name "${odd}"; allowed are ${allowed}`);
    return read ?? {};
  };
  const context = path('context', '.');
  const platforms = readList(settings['platforms']);
  const partWins = defaults.part === true && defaults.platforms.length > 0;
  const own = (platforms?.length ?? 0) > 0 && !partWins;
  const oddPlatform = platforms?.find((platform) => !platformPattern.test(platform));
  if (platforms === undefined || oddPlatform !== undefined)
    wrong(`\`platforms\` is not allowed; allowed is a list such as [linux/amd64, linux/arm64]`);
  const cache = text('cache') ?? defaults.cache;
  const isCache = (kind: string): kind is CacheKind => (cacheKinds as readonly string[]).includes(kind);
  if (!isCache(cache))
    wrong(
      `\`cache\` "${cache}" is not known; allowed are ${cacheKinds.map((kind) => `\`${kind}\``).join(', ')}`,
    );
  const network = text('network') ?? 'default';
  if (network !== 'default' && network !== 'host')
    wrong(`\`network\` "${network}" is not allowed; allowed are \`default\` and \`host\``);
  const cpuShares = settings['cpu-shares'] ?? null;
  const areShares = typeof cpuShares === 'number' && Number.isInteger(cpuShares);
  if (cpuShares !== null && !(areShares && cpuShares >= leastShares && cpuShares <= mostShares))
    wrong(
      `\`cpu-shares\` is not allowed; allowed is a whole number from ${leastShares} to ${mostShares}; 1024 is what a step has otherwise`,
    );
  const secrets = texts('secrets', /^[\w.-]+$/, 'letters, digits and . - _');
  // A definition has them in a line of its own, divided by commas.
  const oddFile = Object.values(secrets).find((file) => file === '' || /[,"]/.test(file));
  if (oddFile !== undefined)
    wrong(`\`secrets\` has the file "${oddFile}"; allowed are paths without commas and quotes`);
  const repository =
    text('repository') ?? (defaults.prefix === undefined ? undefined : `${defaults.prefix}${name}`);
  if (repository === undefined) wrong('has no repository; allowed is `repository`, or the input `prefix`');
  else {
    const parsed = parseImageReference(repository);
    if (parsed === undefined || parsed.tag !== null || parsed.digest !== null)
      wrong(`the repository "${repository}" is not allowed; allowed is registry[:port]/path without a tag`);
  }
  return {
    name,
    repository: repository ?? '',
    context,
    dockerfile: path('dockerfile', posix.join(context, 'Dockerfile')),
    target: text('target') ?? null,
    args: { ...defaults.args, ...texts('args', argumentPattern, 'letters, digits and _') },
    labels: texts('labels', /^[\w./-]+$/, 'letters, digits and . / - _'),
    secrets,
    platforms: [...new Set(own ? platforms : defaults.platforms)],
    cache: isCache(cache) ? cache : 'none',
    hostNetwork: network === 'host',
    cpuShares: areShares ? cpuShares : null,
  };
}
