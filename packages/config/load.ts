import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, DeployError, isRecord, type Json, messageOf, parseYaml } from '@deploy-actions/core';
import { knownPaths } from './known-paths.ts';

export const configFile = '.github/deploy.yml';

/** What deploy.yml says at a dotted path for the environment, and where it says so. */
export type Lookup = (path: string) => { value: Json; where: string } | undefined;

function invalid(message: string, remedy?: string): DeployError {
  return new DeployError('invalid_config', message, { remedy });
}

/** Refuses keys that nothing reads: a misspelt key that is silently ignored is the worst kind of setting. */
function refuseUnknownKeys(node: unknown, prefix: string, where: string): void {
  if (!isRecord(node)) return;
  for (const [key, value] of Object.entries(node)) {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    const isLeaf = knownPaths.includes(path);
    const isBranch = knownPaths.some((known) => known.startsWith(`${path}.`));
    if (!isLeaf && !isBranch) {
      const siblings = new Set(
        knownPaths
          .filter((known) => prefix === '' || known.startsWith(`${prefix}.`))
          .map((known) => known.slice(prefix === '' ? 0 : prefix.length + 1).split('.')[0]),
      );
      throw invalid(
        `${configFile}: ${where}${path} is not a known key.`,
        `Known ${prefix === '' ? 'keys' : `keys below ${prefix}`} are ${[...siblings].join(', ')}.`,
      );
    }
    if (!isLeaf) refuseUnknownKeys(value, path, where);
  }
}

function at(node: unknown, path: string): Json | undefined {
  let current: unknown = node;
  for (const key of path.split('.')) {
    if (!isRecord(current)) return undefined;
    current = current[key];
  }
  return current === undefined || current === null ? undefined : (current as Json);
}

/** Parses the text of a deploy.yml for one environment; '' means that none was named. */
export async function parseConfig(text: string, environment: string): Promise<Lookup> {
  let document: unknown;
  try {
    document = await parseYaml(text, configFile);
  } catch (thrown) {
    throw invalid(`${configFile} is not valid YAML: ${messageOf(thrown).split('\n')[0]}.`);
  }
  if (document === null) return () => undefined;
  if (!isRecord(document)) throw invalid(`${configFile} must be a mapping of settings.`);
  const { environments: byName, ...shared } = document;
  const environments = byName ?? {};
  if (!isRecord(environments)) throw invalid(`${configFile}: environments must be a mapping by name.`);
  refuseUnknownKeys(shared, '', '');
  for (const [name, settings] of Object.entries(environments)) {
    if (settings !== null && !isRecord(settings)) {
      throw invalid(`${configFile}: environments.${name} must be a mapping of settings.`);
    }
    refuseUnknownKeys(settings, '', `environments.${name}.`);
  }
  const names = Object.keys(environments);
  if (environment !== '' && names.length > 0 && !names.includes(environment)) {
    throw invalid(
      `${configFile} has no environment ${JSON.stringify(environment)}.`,
      `It has ${names.join(', ')}. Use one of these, or add it.`,
    );
  }
  return (path) => {
    const own = at(environments[environment], path);
    if (own !== undefined) return { value: own, where: `${configFile} environments.${environment}.${path}` };
    const common = at(shared, path);
    return common === undefined ? undefined : { value: common, where: `${configFile} ${path}` };
  };
}

/** Reads the workspace's deploy.yml; without one, every path is unset. */
export async function loadConfig(workspace: string, environment: string): Promise<Lookup> {
  let text: string;
  try {
    text = readFileSync(join(workspace, configFile), 'utf8');
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return () => undefined;
    throw invalid(`${configFile} cannot be read: ${messageOf(thrown)}.`);
  }
  return parseConfig(text, environment);
}
