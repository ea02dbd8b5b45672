import { posix } from 'node:path';
import type { Target } from '@deploy-actions/findings';
import { scanKinds, type ScanKind, type ScanTarget } from './run.ts';

/** What a list of targets may say, for messages. */
export const targetForm = scanKinds.map((kind) => `\`${kind}:…\``).join(', ');

/**
 * Reads `image:ghcr.io/acme/backend:1.4.2`, `archive:backend.tar`, `fs:.`, `repo:.`, `config:k8s`, `sbom:backend.cdx.json`. A problem in
 * words for what is none.
 */
export function parseScanTarget(text: string): ScanTarget | string {
  const [, kind = '', what = ''] = /^([a-z]+):(.+)$/.exec(text.trim()) ?? [];
  const known = scanKinds.find((each) => each === kind);
  if (known === undefined || what.trim() === '') return `is not a target; allowed are ${targetForm}`;
  // What begins with a hyphen would be an option of the program.
  if (what.startsWith('-')) return 'begins with a hyphen, which neither an image nor a path may';
  return { kind: known, what, target: targetOf(known, what), prefix: prefixOf(known, what) };
}

function targetOf(kind: ScanKind, what: string): Target | null {
  switch (kind) {
    case 'image':
      return { kind: 'image', ...splitReference(what) };
    case 'archive':
    case 'sbom':
      return { kind: 'image', name: posix.basename(what), version: null };
    case 'fs':
    case 'repo':
    case 'config':
      return null;
  }
}

/** The repository, and the tag or digest: a colon after the last slash is not a port. */
function splitReference(reference: string): { name: string; version: string | null } {
  const [tagged = '', digest] = reference.split('@');
  const colon = tagged.indexOf(':', tagged.lastIndexOf('/') + 1);
  const name = colon < 0 ? tagged : tagged.slice(0, colon);
  return { name, version: digest ?? (colon < 0 ? null : tagged.slice(colon + 1)) };
}

/** The scanned folder relative to where the action runs; files of a repository that was fetched are not those of this one. */
function prefixOf(kind: ScanKind, what: string): string {
  if (kind === 'image' || kind === 'archive' || kind === 'sbom' || what.includes('://')) return '';
  const path = posix.normalize(what).replace(/\/$/, '');
  return path === '.' ? '' : path;
}

/** A folder without what it is compared with: a checkout of the base branch has to lie in the workspace, too. */
export function withoutBaseline(scanned: ScanTarget, baseline: ScanTarget | undefined): ScanTarget {
  const folders: readonly ScanKind[] = ['fs', 'repo', 'config'];
  const areFolders = [scanned, baseline].every(
    (each) => each !== undefined && folders.includes(each.kind) && !each.what.includes('://'),
  );
  if (baseline === undefined || !areFolders) return scanned;
  const inside = posix.relative(scanned.what, baseline.what);
  return inside === '' || inside.startsWith('..') || posix.isAbsolute(inside)
    ? scanned
    : { ...scanned, without: [inside] };
}
