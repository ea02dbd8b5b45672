import { readFile } from 'node:fs/promises';
import { dirname, join, parse } from 'node:path';
import {
  DeployError,
  isRecord,
  messageOf,
  orUndefinedIfMissing,
  parseYaml,
  pathBelow,
} from '@deploy-actions/core';
import type { NodeTool } from './node-locks.ts';

// Ignore lists of pnpm and yarn: what they name is missing in the answer, without a last day, a reason, or a word about it.

/** A setting that hides findings. */
interface OwnIgnore {
  file: string;
  key: string;
  entries: string[];
}

/**
 * Settings of the tools that come by the environment; yarn and pnpm read the names in any case. By NODE_ENV npm leaves out what is for
 * development.
 */
const hidingVariables = new Set([
  'node_env',
  'yarn_npm_audit_ignore_advisories',
  'yarn_npm_audit_exclude_packages',
  'pnpm_config_audit_config',
  'npm_config_audit_config',
]);

/** An environment in which no variable leaves anything out of an audit. */
export function withoutHiding(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !hidingVariables.has(name.toLowerCase())),
  );
}

/**
 * What the tool would leave out of its answer about a lock in `folder`, by the settings that it reads. Throws `scan_failed` for a file of
 * settings that cannot be read.
 */
export async function ownIgnores(
  tool: NodeTool,
  folder: string,
  environment: NodeJS.ProcessEnv,
): Promise<OwnIgnore[]> {
  switch (tool) {
    case 'yarn':
      return ignoresOfYarn(folder, environment);
    case 'pnpm':
      return ignoresOfPnpm(folder);
    case 'npm':
    case 'yarn-classic':
      return [];
  }
}

/** In words: `npmAuditIgnoreAdvisories` in .yarnrc.yml (1179). */
export function describeOwnIgnores(ignores: readonly OwnIgnore[], root: string): string {
  return ignores
    .map(({ file, key, entries }) => {
      const name = pathBelow(root, file) ?? file;
      const more = entries.length > 5 ? ' and more' : '';
      return `\`${key}\` in ${name} (${entries.slice(0, 5).join(', ')}${more})`;
    })
    .join(', ');
}

/** The folder and all above it, the nearest first. */
function foldersFrom(folder: string): string[] {
  return folder === parse(folder).root ? [folder] : [folder, ...foldersFrom(dirname(folder))];
}

/** Yarn merges the settings of all folders above, and those of the home. */
async function ignoresOfYarn(folder: string, environment: NodeJS.ProcessEnv): Promise<OwnIgnore[]> {
  const { YARN_RC_FILENAME: name = '.yarnrc.yml', HOME: home } = environment;
  const folders = new Set([...foldersFrom(folder), ...(home === undefined ? [] : [home])]);
  const found = await Promise.all(
    Array.from(folders, async (each): Promise<OwnIgnore[]> => {
      const file = join(each, name);
      const settings = await settingsIn(file);
      return ['npmAuditIgnoreAdvisories', 'npmAuditExcludePackages'].map((key) => ({
        file,
        key,
        // That a package was given up by its makers is no finding, so nothing is hidden by not hearing it.
        entries: entriesOf(settings[key]).filter((entry) => !entry.endsWith('(deprecation)')),
      }));
    }),
  );
  return found.flat().filter(({ entries }) => entries.length > 0);
}

/** Pnpm takes them from the package.json of the lock's folder, and from pnpm-workspace.yaml: the nearest, with the package.json beside it. */
async function ignoresOfPnpm(folder: string): Promise<OwnIgnore[]> {
  const files = [join(folder, 'package.json')];
  for (const each of foldersFrom(folder)) {
    const file = join(each, 'pnpm-workspace.yaml');
    if ((await orUndefinedIfMissing(readFile(file))) === undefined) continue;
    files.push(file, join(each, 'package.json'));
    break;
  }
  const found = await Promise.all(
    [...new Set(files)].map(async (file): Promise<OwnIgnore[]> => {
      const settings = await settingsIn(file);
      const own = file.endsWith('.json') ? settings['pnpm'] : settings;
      const config = isRecord(own) ? own['auditConfig'] : undefined;
      const above = file.endsWith('.json') ? 'pnpm.auditConfig' : 'auditConfig';
      return Object.entries(isRecord(config) ? config : {})
        .filter(([key]) => key.startsWith('ignore'))
        .map(([key, value]) => ({ file, key: `${above}.${key}`, entries: entriesOf(value) }));
    }),
  );
  return found.flat().filter(({ entries }) => entries.length > 0);
}

/** Nothing where there is no file. */
async function settingsIn(file: string): Promise<Record<string, unknown>> {
  const text = await orUndefinedIfMissing(readFile(file, 'utf8'));
  if (text === undefined) return {};
  try {
    const settings: unknown = file.endsWith('.json') ? JSON.parse(text) : await parseYaml(text);
    return isRecord(settings) ? settings : {};
  } catch (cause) {
    throw new DeployError('scan_failed', `The settings ${file} cannot be read: ${messageOf(cause)}.`, {
      remedy: 'Correct the file: whether it hides findings has to be known.',
      cause,
    });
  }
}

/** A list, one value, or yarn's way to say how a value is merged: an object with `value`. */
function entriesOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(String).filter((entry) => entry.trim() !== '');
  if (isRecord(value)) return entriesOf(value['value']);
  if (typeof value === 'string') return entriesOf(value.split(','));
  return typeof value === 'number' || value === true ? [String(value)] : [];
}
