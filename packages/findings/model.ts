/* What every check of the suite says it found, whatever the check: one shape from the scanner to the reports. */

/** From the most to the least severe. `unknown`: the source rates it later, or not at all. */
export const severities = ['critical', 'high', 'medium', 'low', 'unknown'] as const;

export type Severity = (typeof severities)[number];

/** A number for each severity. */
export type Counts = Record<Severity, number>;

const words: Record<string, Severity> = {
  critical: 'critical',
  high: 'high',
  error: 'high',
  important: 'high',
  medium: 'medium',
  moderate: 'medium',
  warning: 'medium',
  low: 'low',
  minor: 'low',
  negligible: 'low',
  note: 'low',
  info: 'low',
  style: 'low',
};

/**
 * The severity that a tool's word stands for, in any case: Trivy's and npm's ratings, linters' levels (`error` is high,
 * `warning` is medium, `info` is low). A word that nobody knows is `unknown`.
 */
export function severityOf(word: string): Severity {
  const key = word.trim().toLowerCase();
  return Object.hasOwn(words, key) ? words[key]! : 'unknown';
}

/** What is wrong wherever it is found. Two findings of one tool with the same rule id have the same rule. */
export interface Rule {
  /** Stable over versions of the tool: `CVE-2019-14235`, `drop-column`, `DS002`. */
  id: string;
  /** One line. */
  title: string;
  /** What to do about it. Plain text; it is escaped where Markdown is written. */
  help: string;
  /** `https:` address with more of it. */
  link: string | null;
  /** Words to filter by. With `security` among them, code scanning shows it as a vulnerability with its severity. */
  tags: string[];
}

/** What was looked at. */
export interface Target {
  kind: 'image' | 'manifest' | 'lock-file' | 'dockerfile' | 'database' | 'files' | 'host';
  /** Its name, the same for every version of it: `ghcr.io/acme/backend`, `uv.lock`, `shop.0042_drop_email`. */
  name: string;
  /** Which version of it: a tag or a digest. */
  version: string | null;
}

/** The part of the target that it is about: a package, a container, a column. */
export interface Subject {
  name: string;
  version: string | null;
  /** The version, or versions, that end the finding; null when there is none yet. */
  fixedVersion: string | null;
  /** Where in the target it lies, when that is not a file of the repository: `usr/lib/app.jar`. */
  path: string | null;
}

/** Lines of a file of the repository. What lies inside an image has a `Subject.path` instead. */
export interface Location {
  /** Relative to the repository's root. */
  file: string;
  /** First and last line, from 1; null when it is about the whole file. */
  startLine: number | null;
  endLine: number | null;
}

/** A finding as a check reports it. */
export interface Draft {
  rule: Rule;
  severity: Severity;
  /** This occurrence in one or two sentences; plain text. */
  message: string;
  target: Target;
  subject: Subject | null;
  location: Location | null;
  /** Text that tells it from others of the same rule and stays when lines move: the line, the statement. */
  context: string | null;
}

/** A finding with an identity that survives line shifts and new versions of its target. */
export interface Finding extends Draft {
  fingerprint: string;
  /** Whether it was there before; null when nothing was compared. */
  known: boolean | null;
}

export function noCounts(): Counts {
  return { critical: 0, high: 0, medium: 0, low: 0, unknown: 0 };
}

export function countBySeverity(findings: readonly { severity: Severity }[]): Counts {
  const counts = noCounts();
  for (const { severity } of findings) counts[severity] += 1;
  return counts;
}

/** `2 critical, 6 high`: the severities that there are; `none` when there is nothing. */
export function describeCounts(counts: Counts): string {
  const there = severities.filter((severity) => counts[severity] > 0);
  return there.length === 0 ? 'none' : there.map((severity) => `${counts[severity]} ${severity}`).join(', ');
}

/** `image ghcr.io/acme/backend:1.4.2`. */
export function describeTarget({ kind, name, version }: Target): string {
  if (version === null) return `${kind} ${name}`;
  return `${kind} ${name}${version.startsWith('sha256:') ? '@' : ':'}${version}`;
}

/**
 * The path as GitHub writes it: relative to the repository, with slashes, without `.` and `..`. Null when it leads out
 * of the repository.
 */
export function repositoryPath(file: string): string | null {
  const slashed = file.replaceAll('\\', '/');
  if (/^(?:\/|[a-z]:)/i.test(slashed) || slashed.includes('\0')) return null;
  const parts: string[] = [];
  for (const part of slashed.split('/')) {
    if (part === '..') {
      if (parts.pop() === undefined) return null;
    } else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.length === 0 ? null : parts.join('/');
}

/** The lines of a location as every report accepts them: whole numbers from 1, the last not before the first. */
export function linesOf({ startLine, endLine }: Location): { start: number; end: number } {
  const start = lineFrom(1, startLine);
  return { start, end: lineFrom(start, endLine) };
}

function lineFrom(least: number, line: number | null): number {
  return line !== null && Number.isSafeInteger(line) ? Math.max(least, line) : least;
}

/** Whether it is an address to link to: `http:` or `https:`, of characters that no markup takes for its own. */
export function isWebAddress(link: string | null): link is string {
  return link !== null && /^https?:\/\/[!#-;=?-Z_a-z~]+$/.test(link) && URL.canParse(link);
}
