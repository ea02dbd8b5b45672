import { posix } from 'node:path';
import { pathBelow } from '@deploy-actions/core';
import type { Target } from '@deploy-actions/findings';
import { scanKinds, type ScanKind, type ScanTarget } from './run.ts';

/** What a list of targets may say, for messages. */
export const targetForm = scanKinds.map((kind) => `\`${kind}:…\``).join(', ');

/**
 * Reads `image:ghcr.io/acme/backend:1.4.2`, `archive:backend.tar`, `fs:.`, `repo:.`, `config:k8s`, `sbom:backend.cdx.json`. A problem in
 * words for what is none. Folders are relative to the workspace; an absolute path below it is made so, where the workspace is told.
 */
export function parseScanTarget(text: string, workspace?: string): ScanTarget | string {
  const [, kind = '', said = ''] = /^([a-z]+):(.+)$/.exec(text.trim()) ?? [];
  const known = scanKinds.find((each) => each === kind);
  if (known === undefined || said.trim() === '') return `is not a target; allowed are ${targetForm}`;
  // What begins with a hyphen would be an option of the program.
  if (said.startsWith('-')) return 'begins with a hyphen, which neither an image nor a path may';
  const what = workspace !== undefined && isFolder(known, said) ? withinWorkspace(said, workspace) : said;
  return { kind: known, what, target: targetOf(known, what), prefix: prefixOf(known, what) };
}

const isFolder = (kind: ScanKind, what: string): boolean =>
  ['fs', 'repo', 'config'].includes(kind) && !what.includes('://');

/** `.` for the workspace itself; a path outside of it stays absolute. */
function withinWorkspace(path: string, workspace: string): string {
  return posix.isAbsolute(path) ? (pathBelow(workspace, path) ?? path) || '.' : path;
}

/** An address without who logs in there. */
const withoutUser = (address: string): string => address.replace(/:\/\/[^/@]*@/, '://');

function targetOf(kind: ScanKind, what: string): Target | null {
  switch (kind) {
    case 'image':
      return { kind: 'image', ...splitReference(what) };
    case 'archive':
    case 'sbom':
      return { kind: 'image', name: posix.basename(what), version: null };
    case 'fs':
    case 'repo':
    case 'config': {
      // Its files are not those of this repository, though they may be named like them.
      const elsewhere = !isFolder(kind, what) || posix.isAbsolute(what) || pathBelow('.', what) === undefined;
      return elsewhere ? { kind: 'files', name: withoutUser(what), version: null } : null;
    }
  }
}

/** The repository, and the tag or digest: a colon after the last slash is not a port. */
function splitReference(reference: string): { name: string; version: string | null } {
  const [tagged = '', digest] = reference.split('@');
  const colon = tagged.indexOf(':', tagged.lastIndexOf('/') + 1);
  const name = colon < 0 ? tagged : tagged.slice(0, colon);
  return { name, version: digest ?? (colon < 0 ? null : tagged.slice(colon + 1)) };
}

/** The scanned folder relative to the workspace; what is no folder of it has none. */
function prefixOf(kind: ScanKind, what: string): string {
  if (targetOf(kind, what) !== null) return '';
  const path = posix.normalize(what).replace(/\/$/, '');
  return path === '.' ? '' : path;
}

/** A folder without what it is compared with: a checkout of the base branch has to lie in the workspace, too. */
export function withoutBaseline(scanned: ScanTarget, baseline: ScanTarget | undefined): ScanTarget {
  const areFolders = [scanned, baseline].every(
    (each) => each !== undefined && isFolder(each.kind, each.what),
  );
  if (baseline === undefined || !areFolders) return scanned;
  const inside = pathBelow(scanned.what, baseline.what) ?? '';
  return inside === '' ? scanned : { ...scanned, without: [inside] };
}
