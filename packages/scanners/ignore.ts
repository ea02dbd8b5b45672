import { DeployError, isRecord, parseYaml } from '@deploy-actions/core';
import type { FindingClass, Scanned } from './model.ts';

/** A decision to live with a finding for a time. */
export interface Ignore {
  id: string;
  /** The class it is for; null for any. */
  class: FindingClass | null;
  /** Paths that it is limited to, with `*` and `**`; none for all. */
  paths: string[];
  /** Package URLs that it is limited to, with or without a version; none for all. */
  purls: string[];
  /** The last day that it holds, `2026-03-31`; null when it does not say. */
  until: string | null;
  /** Why, in the words of whoever decided it. */
  statement: string;
  /** `.trivyignore:12`, for messages. */
  where: string;
}

/**
 * Reads an ignore file in Trivy's plain form: an id a line, with `exp:2026-03-31` behind it, and `#` before comments; the comment lines
 * right above an id are its statement. Throws `invalid_config` with every problem at once.
 */
export function parseIgnoreLines(text: string, file: string): Ignore[] {
  const ignores: Ignore[] = [];
  const problems: string[] = [];
  let comments: string[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const where = `${file}:${index + 1}`;
    const [, said = '', comment] = /^([^#]*)(?:#(.*))?$/.exec(raw) ?? [];
    const [id = '', ...rest] = said.trim().split(/\s+/);
    if (id === '') {
      comments = comment === undefined ? [] : [...comments, comment.trim()];
      continue;
    }
    let until: string | null = null;
    for (const word of rest) {
      const day = /^exp:(.*)$/.exec(word)?.[1];
      if (day === undefined) problems.push(`${where}: ${JSON.stringify(word)} is not known behind an id`);
      else if (!isDay(day)) problems.push(`${where}: ${JSON.stringify(day)} is no date such as 2026-03-31`);
      else until = day;
    }
    const statement = [...comments, comment?.trim() ?? ''].join(' ').trim();
    ignores.push({ id, class: null, paths: [], purls: [], until, statement, where });
    comments = [];
  }
  if (problems.length > 0) throw unreadable(problems);
  return ignores;
}

const sections: Record<string, FindingClass> = {
  vulnerabilities: 'vulnerability',
  misconfigurations: 'misconfiguration',
  secrets: 'secret',
  licenses: 'licence',
};

/**
 * Reads an ignore file in Trivy's YAML form: sections by class, with entries of `id`, `paths`, `purls`, `expired_at` and `statement`.
 * Throws `invalid_config` with every problem at once.
 */
export async function parseIgnoreYaml(text: string, file: string): Promise<Ignore[]> {
  const document = await parseYaml(text).catch((thrown: unknown) => {
    throw unreadable([`${file}: ${String(thrown instanceof Error ? thrown.message : thrown)}`]);
  });
  if (document === null) return [];
  if (!isRecord(document)) throw unreadable([`${file} must be a mapping`]);
  const ignores: Ignore[] = [];
  const problems: string[] = [];
  for (const [section, entries] of Object.entries(document)) {
    const findingClass = sections[section];
    if (findingClass === undefined) {
      problems.push(`${file}: ${section} is not known; known are ${Object.keys(sections).join(', ')}`);
    } else if (!Array.isArray(entries)) problems.push(`${file}: ${section} must be a list`);
    else {
      for (const [index, entry] of entries.entries()) {
        const where = `${file}: ${section}[${index}]`;
        const made = ignoreOf(entry, findingClass, where);
        if (typeof made === 'string') problems.push(`${where} ${made}`);
        else ignores.push(made);
      }
    }
  }
  if (problems.length > 0) throw unreadable(problems);
  return ignores;
}

function ignoreOf(entry: unknown, findingClass: FindingClass, where: string): Ignore | string {
  if (!isRecord(entry)) return 'must be a mapping';
  const { id, paths = [], purls = [], expired_at: until = null, statement = '', ...rest } = entry;
  const unknown = Object.keys(rest);
  if (unknown.length > 0)
    return `has ${unknown.join(', ')}; known are id, paths, purls, expired_at, statement`;
  if (typeof id !== 'string' || id === '') return 'has no id';
  if (!isTexts(paths) || !isTexts(purls)) return 'has paths or purls that are no list of texts';
  if (until !== null && !(typeof until === 'string' && isDay(until)))
    return 'has an expired_at that is no date such as 2026-03-31';
  if (typeof statement !== 'string') return 'has a statement that is no text';
  return { id, class: findingClass, paths, purls, until, statement, where };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function isDay(text: string): boolean {
  return (
    /^\d{4}-\d{2}-\d{2}$/.test(text) &&
    !Number.isNaN(Date.parse(text)) &&
    new Date(text).toISOString().startsWith(text)
  );
}

function unreadable(problems: string[]): DeployError {
  return new DeployError(
    'invalid_config',
    `The ignore file cannot be used.\n${problems.map((each) => `- ${each}`).join('\n')}`,
    {
      remedy: 'Correct it; an ignore file that is half understood hides what nobody decided to hide.',
    },
  );
}

/** What ignore files made of findings. */
export interface Sorted {
  kept: Scanned[];
  ignored: { finding: Scanned; by: Ignore }[];
  /** Entries that no longer hold: what they name counts again. */
  expired: Ignore[];
  /** Entries that named nothing that was found: they can go. */
  unused: Ignore[];
}

/** Takes out what is ignored on this day (`2026-03-31`, UTC). An entry holds to the end of its last day. */
export function applyIgnores(
  findings: readonly Scanned[],
  ignores: readonly Ignore[],
  today: string,
): Sorted {
  const holding = ignores.filter(({ until }) => until === null || until >= today);
  const used = new Set<Ignore>();
  const sorted: Sorted = {
    kept: [],
    ignored: [],
    expired: ignores.filter((each) => !holding.includes(each)),
    unused: [],
  };
  for (const finding of findings) {
    const by = holding.find((ignore) => names(ignore, finding));
    if (by === undefined) sorted.kept.push(finding);
    else {
      used.add(by);
      sorted.ignored.push({ finding, by });
    }
  }
  sorted.unused = holding.filter((each) => !used.has(each));
  return sorted;
}

function names(ignore: Ignore, finding: Scanned): boolean {
  if (ignore.id !== finding.rule.id && finding.aliases?.includes(ignore.id) !== true) return false;
  if (ignore.class !== null && ignore.class !== finding.class) return false;
  if (ignore.purls.length > 0 && !ignore.purls.some((purl) => isPurlOf(purl, finding.purl))) return false;
  if (ignore.paths.length === 0) return true;
  const path = finding.location?.file ?? finding.subject?.path ?? finding.target.name;
  return ignore.paths.some((pattern) => globOf(pattern).test(path.replace(/^\//, '')));
}

/** A package URL without a version, or without qualifiers, stands for all of them. */
function isPurlOf(wanted: string, purl: string | null): boolean {
  if (purl === null) return false;
  return purl === wanted || purl.startsWith(`${wanted}@`) || purl.startsWith(`${wanted}?`);
}

function globOf(pattern: string): RegExp {
  const source = pattern
    .replace(/^\//, '')
    .split(/(\*\*\/|\*\*|\*|\?)/)
    .map((part) => {
      switch (part) {
        case '**/':
          return '(?:.*/)?';
        case '**':
          return '.*';
        case '*':
          return '[^/]*';
        case '?':
          return '[^/]';
        default:
          return RegExp.escape(part);
      }
    });
  return new RegExp(`^${source.join('')}$`);
}
