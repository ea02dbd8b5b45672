import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, DeployError, type Json, messageOf } from '@deploy-actions/core';

export const configFile = '.github/deploy.yml';

/** What deploy.yml says at a dotted path for the environment, and where: `.github/deploy.yml:14:7 health.timeout`. */
export type Lookup = (path: string) => { value: Json; where: string } | undefined;

/**
 * The text of a deploy.yml; undefined when there is none. `name`: how messages call the file. Throws when it cannot be
 * read or is not UTF-8, because a broken character in a path or a command is found too late.
 */
export function readConfigText(path: string, name = configFile): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(path));
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    const reason = thrown instanceof TypeError ? 'it is not UTF-8' : messageOf(thrown);
    throw new DeployError('invalid_config', `${name}:1:1: The file cannot be read: ${reason}.`);
  }
}

/** Parses the text of a deploy.yml for one environment; '' means that none was named. Throws with all that is wrong. */
export async function parseConfig(text: string, environment: string, file = configFile): Promise<Lookup> {
  // Not before there is a file: most of what a run without one would load is for this.
  const [{ readConfig, unknownEnvironment }, { configError }] = await Promise.all([
    import('./document.ts'),
    import('./problems.ts'),
  ]);
  const document = await readConfig(text, { file });
  if (document.problems.length > 0) throw configError(file, document.problems);
  const unknown = unknownEnvironment(document, environment);
  if (unknown !== undefined) throw configError(file, [unknown]);
  return (path) => {
    const found = document.find(environment, path);
    return found.state === 'set' ? { value: found.value, where: found.origin.where } : undefined;
  };
}

/** Reads the workspace's deploy.yml; without one, every path is unset. */
export async function loadConfig(workspace: string, environment: string): Promise<Lookup> {
  const text = readConfigText(join(workspace, configFile));
  return text === undefined ? () => undefined : parseConfig(text, environment);
}
