import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isRecord, messageOf, orUndefinedIfMissing, parseYaml } from '@deploy-actions/core';
import { type LockFile, unreadable } from './lock-files.ts';

export type NodeTool = 'npm' | 'pnpm' | 'yarn' | 'yarn-classic';

/** A lock file of Node that was seen to be whole. */
export interface NodeLock {
  tool: NodeTool;
  /** The line of a package; of one of its versions, or of one of its folders (`node_modules/a/node_modules/b`), where that is given. */
  lineOf(name: string, version: string | null, folder?: string): number | null;
  /** The version in a folder, where the lock has folders. */
  versionIn(folder: string): string | null;
  /** Whether the project asks for it by itself; null where that is not known. */
  isDirect(name: string): boolean | null;
}

/** Reads it as far as its packages are to be found in it. Throws `scan_failed` for a file that is none. */
export async function readNodeLock(root: string, { kind, path }: LockFile): Promise<NodeLock> {
  const text = await readFile(join(root, path), 'utf8');
  const asked = await askedFor(
    join(root, dirname(path), 'package.json'),
    join(dirname(path), 'package.json'),
  );
  const isDirect = (name: string) => (asked === null ? null : asked.has(name));
  const lines = text.split('\n');
  const lineWith = (...starts: string[]): number | null => {
    for (const start of starts) {
      const index = lines.findIndex((line) => line.trimStart().startsWith(start));
      if (index >= 0) return index + 1;
    }
    return null;
  };
  if (kind === 'npm') {
    const packages = packagesOfNpm(text, path);
    return {
      tool: 'npm',
      lineOf: (name, _version, folder) => lineWith(`"${folder ?? `node_modules/${name}`}":`, `"${name}": {`),
      versionIn: (folder) => {
        const entry = packages[folder];
        return isRecord(entry) && typeof entry['version'] === 'string' ? entry['version'] : null;
      },
      isDirect,
    };
  }
  const versionIn = () => null;
  if (kind === 'pnpm') {
    const document = await yamlOf(text, path);
    if (!isRecord(document) || document['lockfileVersion'] === undefined)
      throw unreadable(path, 'it has no `lockfileVersion`');
    return {
      tool: 'pnpm',
      lineOf: (name, version) => {
        const at = [`${name}@${version ?? ''}`, `/${name}@${version ?? ''}`, `/${name}/${version ?? ''}`];
        return lineWith(...at.flatMap((each) => [each, `'${each}`]));
      },
      versionIn,
      isDirect,
    };
  }
  const classic = /^# yarn lockfile v1\s*$/m.test(text);
  if (!classic) {
    const document = await yamlOf(text, path);
    if (!isRecord(document) || !isRecord(document['__metadata']))
      throw unreadable(path, 'it is neither of yarn 1 nor of a later yarn');
  } else checkClassic(lines, path);
  return {
    tool: classic ? 'yarn-classic' : 'yarn',
    lineOf: (name, version) => {
      const heads = lines.flatMap((line, index) =>
        line.startsWith(`${name}@`) || line.startsWith(`"${name}@`) ? [index] : [],
      );
      const own = heads.find((index) =>
        new RegExp(`^\\s+version:? "?${RegExp.escape(version ?? '')}"?$`).test(lines[index + 1] ?? ''),
      );
      const found = own ?? heads[0];
      return found === undefined ? null : found + 1;
    },
    versionIn,
    isDirect,
  };
}

function packagesOfNpm(text: string, path: string): Record<string, unknown> {
  let lock: unknown;
  try {
    lock = JSON.parse(text);
  } catch (cause) {
    throw unreadable(path, 'it is not JSON', cause);
  }
  if (!isRecord(lock) || typeof lock['lockfileVersion'] !== 'number')
    throw unreadable(path, 'it has no `lockfileVersion`');
  if (!isRecord(lock['packages']) && !isRecord(lock['dependencies']) && lock['lockfileVersion'] > 1)
    throw unreadable(path, 'it has no `packages`');
  return isRecord(lock['packages']) ? lock['packages'] : {};
}

async function yamlOf(text: string, path: string): Promise<unknown> {
  return parseYaml(text).catch((cause: unknown) => {
    throw unreadable(path, messageOf(cause), cause);
  });
}

/** Every package has its version in the next line; a merge that was not settled has not. */
function checkClassic(lines: readonly string[], path: string): void {
  for (const [index, line] of lines.entries()) {
    if (/^(?:<{7}|={7}|>{7})/.test(line)) throw unreadable(path, `line ${index + 1} is left of a merge`);
    if (/^[^\s#].*:$/.test(line) && !/^\s+version "/.test(lines[index + 1] ?? ''))
      throw unreadable(path, `line ${index + 1} names a package, and no version follows`);
    if (/^[^\s#]/.test(line) && !line.trimEnd().endsWith(':'))
      throw unreadable(path, `line ${index + 1} is not understood`);
  }
}

/** The names in package.json; null where there is none. */
async function askedFor(file: string, path: string): Promise<Set<string> | null> {
  const text = await orUndefinedIfMissing(readFile(file, 'utf8'));
  if (text === undefined) return null;
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch (cause) {
    throw unreadable(path, 'it is not JSON', cause);
  }
  const of = (key: string) =>
    isRecord(manifest) && isRecord(manifest[key]) ? Object.keys(manifest[key]) : [];
  return new Set(['dependencies', 'devDependencies', 'optionalDependencies'].flatMap(of));
}
