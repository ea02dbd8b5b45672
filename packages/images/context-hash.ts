import { createHash } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { lstat, readdir, readFile, readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DeployError, orUndefinedIfMissing } from '@deploy-actions/core';
import { type FolderMatches, isIgnored, mayTakeBack, readIgnoreRules } from '@deploy-actions/dockerfile';

export interface ContextFacts {
  /** `sha256:…` of every name, kind, mode and content; times and owners are no part of it, as for the builder's cache. */
  hash: string;
  files: number;
  bytes: number;
  /** Whether a `.git` folder is in it: then every commit makes it another context. */
  hasGit: boolean;
}

/** The ignore file that holds for a Dockerfile: its own beside it, else that of the context. */
async function ignoreFileFor(
  context: string,
  dockerfile: string,
): Promise<{ text: string; name: string } | undefined> {
  for (const file of [`${dockerfile}.dockerignore`, join(context, '.dockerignore')]) {
    const text = await orUndefinedIfMissing(readFile(file, 'utf8'));
    if (text !== undefined) return { text, name: file };
  }
  return undefined;
}

async function fileDigest(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/** A file, folder or link of a context. */
export interface ContextEntry {
  /** Relative to the context, with slashes. */
  path: string;
  file: string;
  stats: Stats;
}

/**
 * All that a builder may be sent as the context, in one order. Symbolic links are not followed. Throws `not_found` where there is no
 * such folder, `invalid_config` for an ignore file that cannot be read.
 */
export async function contextEntries(
  context: string,
  dockerfile: string,
  signal: AbortSignal,
): Promise<ContextEntry[]> {
  const there = await orUndefinedIfMissing(stat(context));
  if (there?.isDirectory() !== true) {
    throw new DeployError('not_found', `The context ${context} is no folder.`, {
      remedy: 'Correct `context`, or check the repository out in a step before.',
    });
  }
  const ignore = await ignoreFileFor(context, dockerfile);
  const rules = readIgnoreRules(ignore?.text ?? '', ignore?.name);
  const found: ContextEntry[] = [];

  /** Whether anything was taken of it. */
  async function walk(folder: string, below: string, parent: FolderMatches | undefined): Promise<boolean> {
    const entries = await readdir(folder, { withFileTypes: true });
    const before = found.length;
    for (const { name } of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      signal.throwIfAborted();
      const path = below === '' ? name : `${below}/${name}`;
      const file = join(folder, name);
      const stats = await lstat(file);
      const { ignored, matches } = isIgnored(rules, path, parent);
      const at = found.length;
      if (!ignored) found.push({ path, file, stats });
      if (!stats.isDirectory() || (ignored && !mayTakeBack(rules, path))) continue;
      // A folder that is left out comes along with what is taken back in it.
      if ((await walk(file, path, matches)) && ignored) found.splice(at, 0, { path, file, stats });
    }
    return found.length > before;
  }

  await walk(context, '', undefined);
  return found;
}

/** What a builder is sent as the context, as one hash. Throws as `contextEntries`. */
export async function hashContext(
  context: string,
  dockerfile: string,
  signal: AbortSignal,
): Promise<ContextFacts> {
  const total = createHash('sha256');
  const facts = { files: 0, bytes: 0, hasGit: false };
  for (const { path, file, stats } of await contextEntries(context, dockerfile, signal)) {
    signal.throwIfAborted();
    const mode = (stats.mode & 0o7777).toString(8);
    const say = (kind: string, content: string) =>
      void total.update(`${kind}\0${mode}\0${path}\0${content}\0`);
    if (stats.isDirectory()) say('folder', '');
    else if (stats.isSymbolicLink()) say('link', await readlink(file));
    else if (stats.isFile()) {
      facts.files += 1;
      facts.bytes += stats.size;
      say('file', await fileDigest(file));
    } else say('other', '');
    if (/(?:^|\/)\.git$/.test(path)) facts.hasGit = true;
  }
  return { hash: `sha256:${total.digest('hex')}`, ...facts };
}
