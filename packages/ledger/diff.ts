import type { LedgerEntry } from './ledger.ts';

/** One thing in which two releases differ; null where one does not have it. */
export interface Difference {
  what: string;
  left: string | null;
  right: string | null;
}

/** What may differ, by name. When, by whom and with which strategy is not what is deployed. */
function contentsOf(entry: LedgerEntry | undefined): Map<string, string> {
  if (entry === undefined) return new Map();
  const { version, sha, migration, platform, router } = entry;
  const named = (kind: string, values: Record<string, string>) =>
    Object.entries(values).map(([name, value]): [string, string] => [`${kind} ${name}`, value]);
  const all: [string, string][] = [
    ['version', version],
    ['commit', sha],
    ...named('image', entry.images),
    ['migration', migration],
    ['platform', platform],
    ['router', router],
    ...named('note', entry.notes),
  ];
  return new Map(all.filter(([, value]) => value !== ''));
}

/** In what two environments differ, by what serves in each; undefined: nothing does. */
export function diffReleases(left: LedgerEntry | undefined, right: LedgerEntry | undefined): Difference[] {
  const [of, against] = [contentsOf(left), contentsOf(right)];
  return [...new Set([...of.keys(), ...against.keys()])]
    .map((what) => ({ what, left: of.get(what) ?? null, right: against.get(what) ?? null }))
    .filter((difference) => difference.left !== difference.right);
}
