import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isRecord, orUndefinedIfMissing } from '@deploy-actions/core';
import { type LockedPackage, type LockFile, readToml, unreadable } from './lock-files.ts';

/** A name as indexes compare it (https://packaging.python.org/en/latest/specifications/name-normalization/). */
export function pythonName(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, '-');
}

/** A requirement of a requirements file. */
export interface Requirement {
  name: string;
  /** What it is pinned to by `==`; null for a range. */
  version: string | null;
  hashed: boolean;
  line: number;
}

export interface Requirements {
  packages: Requirement[];
  /** Everything is pinned with hashes and nothing is included: what is installed is exactly this. */
  complete: boolean;
}

/**
 * The requirements of a requirements file, with their lines. What it includes (`-r`), editable ones and addresses are not listed; then
 * it is not complete. It is pip-audit that judges whether the file is well-formed.
 */
export function readRequirements(text: string): Requirements {
  const packages: Requirement[] = [];
  let complete = true;
  let start = 0;
  let logical = '';
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.replace(/(?:^|\s)#.*$/, '');
    if (logical === '') start = index + 1;
    logical += ` ${line.replace(/\\$/, '')}`;
    if (line.endsWith('\\')) continue;
    const said = logical.trim();
    logical = '';
    if (said === '') continue;
    const [, name, version] =
      /^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\s*\[[^\]]*\])?\s*(?:={2,3}\s*([^\s;,*]+)(?=\s|;|$))?/.exec(said) ??
      [];
    if (name === undefined || said.startsWith('-') || /^[^\s;]*:\/\//.test(said)) {
      // Options about where packages come from change nothing about which they are.
      if (
        !/^--(?:index-url|extra-index-url|find-links|trusted-host|require-hashes|only-binary|no-binary|pre)\b|^-i\b/.test(
          said,
        )
      )
        complete = false;
      continue;
    }
    const hashed = said.includes('--hash=') || said.includes('--hash ');
    packages.push({ name: pythonName(name), version: version ?? null, hashed, line: start });
    if (version === undefined || !hashed) complete = false;
  }
  return { packages, complete: complete && packages.length > 0 };
}

/** The packages of poetry.lock or uv.lock. Throws `scan_failed` for a file that is none. */
export async function readPythonLock(root: string, { kind, path }: LockFile): Promise<LockedPackage[]> {
  const file = join(root, path);
  const lock = await readToml(file, path);
  const packages = lock['package'];
  if (kind === 'uv' ? typeof lock['version'] !== 'number' : !isRecord(lock['metadata'])) {
    throw unreadable(path, `it has no ${kind === 'uv' ? '`version`' : '`[metadata]`'}`);
  }
  if (packages === undefined) return [];
  if (!Array.isArray(packages)) throw unreadable(path, 'its `package` is no list');
  const lines = linesOfPackages(await readFile(file, 'utf8'));
  const direct = kind === 'uv' ? directOfUv(packages) : await directOfPoetry(dirname(file), dirname(path));
  return packages.map((entry: unknown, index) => {
    if (!isRecord(entry) || typeof entry['name'] !== 'string')
      throw unreadable(path, `its package ${index + 1} has no name`);
    const name = pythonName(entry['name']);
    const from = sourceOf(entry['source']);
    const version = entry['version'];
    if (typeof version !== 'string' && from !== 'own') throw unreadable(path, `its ${name} has no version`);
    return {
      name,
      version: typeof version === 'string' ? version : '',
      line: lines[index] ?? 1,
      direct: direct?.has(name) ?? null,
      from,
    };
  });
}

/** poetry says `type`, and nothing for the index; uv has a key of the kind. */
function sourceOf(source: unknown): LockedPackage['from'] {
  if (!isRecord(source)) return 'index';
  const kind = typeof source['type'] === 'string' ? source['type'] : (Object.keys(source)[0] ?? '');
  if (['registry', 'legacy'].includes(kind)) return 'index';
  return ['virtual', 'editable', 'directory'].includes(kind) ? 'own' : 'other';
}

/** In the order of the text, the line with the name of each `[[package]]`. */
function linesOfPackages(text: string): number[] {
  const lines: number[] = [];
  let wanted = false;
  for (const [index, line] of text.split('\n').entries()) {
    if (/^\s*\[\[\s*package\s*\]\]/.test(line)) {
      lines.push(index + 1);
      wanted = true;
    } else if (/^\s*\[/.test(line)) wanted = false;
    else if (wanted && /^\s*name\s*=/.test(line)) {
      lines[lines.length - 1] = index + 1;
      wanted = false;
    }
  }
  return lines;
}

function directOfUv(packages: readonly unknown[]): Set<string> {
  const direct = new Set<string>();
  for (const entry of packages) {
    if (!isRecord(entry) || sourceOf(entry['source']) !== 'own') continue;
    const groups = [
      entry['dependencies'],
      ...['optional-dependencies', 'dev-dependencies'].flatMap((key) => {
        const group = entry[key];
        return isRecord(group) ? Object.values(group) : [];
      }),
    ];
    for (const each of groups.flat()) {
      if (isRecord(each) && typeof each['name'] === 'string') direct.add(pythonName(each['name']));
    }
  }
  return direct;
}

/** From the pyproject.toml beside it; null where there is none. */
async function directOfPoetry(folder: string, path: string): Promise<Set<string> | null> {
  const file = join(folder, 'pyproject.toml');
  if ((await orUndefinedIfMissing(readFile(file))) === undefined) return null;
  const { project, tool } = await readToml(file, join(path, 'pyproject.toml'));
  const poetry = isRecord(tool) && isRecord(tool['poetry']) ? tool['poetry'] : {};
  const groups = isRecord(poetry['group']) ? Object.values(poetry['group']) : [];
  const tables = [poetry['dependencies'], poetry['dev-dependencies']].concat(
    groups.map((group) => (isRecord(group) ? group['dependencies'] : undefined)),
  );
  const listed = isRecord(project) && Array.isArray(project['dependencies']) ? project['dependencies'] : [];
  return new Set(
    [
      ...tables.flatMap((table) => (isRecord(table) ? Object.keys(table) : [])),
      ...listed.map((each: unknown) => /^[\w.-]+/.exec(String(each))?.[0] ?? ''),
    ].map(pythonName),
  );
}
