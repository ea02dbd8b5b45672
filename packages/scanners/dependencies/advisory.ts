import type { Scanned } from '../model.ts';
import type { Severity } from '@deploy-actions/findings';

/** One vulnerability of one package in a lock file, whatever tool found it. */
export interface Advisory {
  ecosystem: 'pypi' | 'npm';
  /** Its names, the most widely used first: CVE, GHSA, the database's own. */
  ids: string[];
  title: string;
  severity: Severity;
  link: string | null;
  package: string;
  version: string | null;
  /** The least version that ends it; null when there is none, or when it is not said. */
  fixedVersion: string | null;
  fixable: boolean;
  /** Whether the project asks for the package by itself. */
  direct: boolean | null;
  /** What a fix would change, in a sentence without its end; null when nothing is known. */
  fix: string | null;
  /** Line of the package in the lock file. */
  line: number | null;
}

const rank = (id: string) => (id.startsWith('CVE-') ? 0 : id.startsWith('GHSA-') ? 1 : 2);

/** Without repetition, the most widely used first. */
export function sortedIds(ids: readonly string[]): string[] {
  return [...new Set(ids)].filter((id) => id !== '').toSorted((a, b) => rank(a) - rank(b));
}

/** As a finding on the lock file's line. */
export function findingOf(advisory: Advisory, lockFile: string): Scanned {
  const { ids, title, link, version, fix, line } = advisory;
  const [id = 'unknown', ...aliases] = ids;
  const name = `${advisory.package}${version === null ? '' : ` ${version}`}`;
  const how = advisory.direct === null ? '' : advisory.direct ? ' (direct)' : ' (transitive)';
  const ends = fix ?? 'No fixed version is known';
  return {
    class: 'vulnerability',
    rule: {
      id,
      title,
      help: `Update ${advisory.package} to a version that is not affected.`,
      link,
      tags: ['security', 'vulnerability', 'dependency'],
    },
    severity: advisory.severity,
    message: `${name}${how}: ${title}${/[.!?]$/.test(title) ? '' : '.'} ${ends}.`,
    target: { kind: 'lock-file', name: lockFile, version: null },
    subject: { name: advisory.package, version, fixedVersion: advisory.fixedVersion, path: null },
    location: { file: lockFile, startLine: line, endLine: line },
    context: null,
    aliases,
    purl: `pkg:${advisory.ecosystem}/${advisory.package.replace('@', '%40')}${version === null ? '' : `@${version}`}`,
    fixable: advisory.fixable,
  };
}

/** By the numbers in them, so that 1.10 comes after 1.9. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(/[^0-9]+/).map(Number)) as [number[], number[]];
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The least version that ends all findings of a package. */
export interface Change {
  lockFile: string;
  package: string;
  from: string | null;
  /** Null when one of its findings has no known fixed version. */
  to: string | null;
  /** How many findings it ends. */
  ends: number;
}

/** What fixes would change, a line a package. */
export function changesOf(findings: readonly Scanned[]): Change[] {
  const changes = new Map<string, Change>();
  for (const { target, subject, fixable } of findings) {
    if (subject === null || !fixable) continue;
    const key = JSON.stringify([target.name, subject.name, subject.version]);
    const change = changes.get(key) ?? {
      lockFile: target.name,
      package: subject.name,
      from: subject.version,
      to: subject.fixedVersion,
      ends: 0,
    };
    const { fixedVersion } = subject;
    change.ends += 1;
    if (fixedVersion === null) change.to = null;
    else if (change.to !== null && compareVersions(fixedVersion, change.to) > 0) change.to = fixedVersion;
    changes.set(key, change);
  }
  return [...changes.values()];
}
