import { gzipSync } from 'node:zlib';
import { escapeMarkdown, printable } from '@deploy-actions/core';
import { isWebAddress, linesOf, repositoryPath, type Finding, type Severity, type Target } from './model.ts';
import { bySeverity, cutAfter, describeCut, type Cut } from './order.ts';
import { clip } from './text.ts';

/*
 * SARIF 2.1.0 (OASIS, https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html), with what GitHub reads of it:
 * https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
 */

/**
 * What code scanning takes, from its table "Validating your SARIF file": 10 MB of gzip; 25,000 results in a run, of
 * which it keeps 5,000; 25,000 rules in a run (never more than results here); 1,000 locations in a result, of which it
 * reads the first (one is written); 20 tags in a rule, of which it keeps 10; 20 runs in a file, of different categories. `name`
 * is limited to 255 characters, the descriptions of a rule to 1,024. So that it is known what is missing, and that it
 * is the least severe, no more is written than it keeps.
 */
export const sarifLimits = {
  results: 5_000,
  gzipBytes: 10_000_000,
  runs: 20,
  tags: 10,
  description: 1_024,
  /** Not GitHub's: they keep one text from using up the file. */
  message: 4_096,
  help: 16_384,
};

/** One tool's findings in one target: a run of a file, and a category of code scanning. */
export interface Analysis {
  tool: { name: string; version: string | null; link: string | null };
  /** Tells it from other analyses of the tool at the same commit; a new upload replaces the one of this category. */
  category: string;
  /** May be empty: that closes the alerts of the one before. */
  findings: readonly Finding[];
}

export interface SarifFile {
  category: string;
  /** The JSON text. */
  text: string;
  /** `text` as it is uploaded, before base64. */
  gzip: Buffer;
  /** The JSON text of its one run. */
  run: string;
  cut: Cut;
  /** What was cut, in words; empty when nothing was. */
  notice: string;
}

/** The category of a target: `trivy-scan/image/ghcr.io/acme/backend`. */
export function categoryOf(action: string, { kind, name }: Target): string {
  return `${action}/${kind}/${name}`;
}

/** Writes an analysis, the most severe findings first, as many as fit. The same findings give the same bytes. */
export function writeSarif(analysis: Analysis, limits: Partial<typeof sarifLimits> = {}): SarifFile {
  const { results, gzipBytes } = { ...sarifLimits, ...limits };
  const ordered = bySeverity(analysis.findings);
  let kept = Math.min(ordered.length, results);
  for (;;) {
    const cut = cutAfter(ordered, kept);
    const notice = describeCut(cut, ordered.length);
    const run = JSON.stringify(runOf(analysis, ordered.slice(0, kept), notice));
    const text = logOf([run]);
    const gzip = gzipSync(text);
    if (gzip.length <= gzipBytes || kept === 0) {
      return { category: analysis.category, text, gzip, run, cut, notice };
    }
    // Compressed size is nearly proportional to the number of results; a little less ends the search soon.
    kept = Math.min(kept - 1, Math.floor(((kept * gzipBytes) / gzip.length) * 0.97));
  }
}

/** Several analyses in one file, which is one upload and one wait for GitHub to process it. */
export interface SarifBundle {
  categories: string[];
  gzip: Buffer;
}

/** As few files as their limits allow; the order is kept. Categories have to differ. */
export function bundleSarif(
  files: readonly SarifFile[],
  limits: Partial<typeof sarifLimits> = {},
): SarifBundle[] {
  const { runs, gzipBytes } = { ...sarifLimits, ...limits };
  const groups: { files: SarifFile[]; bytes: number }[] = [];
  for (const file of files) {
    const last = groups.at(-1);
    // Together they are hardly ever larger than one by one; a tenth is left for when they are.
    const fits = last !== undefined && last.bytes + file.gzip.length <= gzipBytes * 0.9;
    if (fits && last.files.length < runs) {
      last.files.push(file);
      last.bytes += file.gzip.length;
    } else groups.push({ files: [file], bytes: file.gzip.length });
  }
  return groups.map(({ files: own }) => {
    const [first] = own;
    return {
      categories: own.map(({ category }) => category),
      gzip: own.length === 1 && first !== undefined ? first.gzip : gzipSync(logOf(own.map(({ run }) => run))),
    };
  });
}

function logOf(runs: readonly string[]): string {
  const $schema =
    'https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json';
  return `{"$schema":${JSON.stringify($schema)},"version":"2.1.0","runs":[${runs.join(',')}]}`;
}

function runOf({ tool, category }: Analysis, findings: readonly Finding[], notice: string) {
  const rules = new Map<string, { descriptor: ReturnType<typeof ruleOf>; index: number }>();
  const results = findings.map((finding) => {
    let rule = rules.get(finding.rule.id);
    if (rule === undefined) {
      // The first is the most severe of its rule, and code scanning rates all of a rule by one number.
      rule = { descriptor: ruleOf(finding), index: rules.size };
      rules.set(finding.rule.id, rule);
    }
    return resultOf(finding, rule.index);
  });
  return {
    tool: {
      driver: {
        name: plain(tool.name, 255, 'deploy-actions'),
        ...(tool.version === null ? {} : { version: plain(tool.version, 255, '0') }),
        ...(isWebAddress(tool.link) ? { informationUri: tool.link } : {}),
        rules: Array.from(rules.values(), ({ descriptor }) => descriptor),
      },
    },
    // What stands before the last slash is the category, what follows it names the run.
    automationDetails: { id: `${printable(category)}/` },
    invocations: [
      {
        executionSuccessful: true,
        ...(notice === ''
          ? {}
          : {
              toolExecutionNotifications: [
                { descriptor: { id: 'findings-cut' }, level: 'warning', message: { text: notice } },
              ],
            }),
      },
    ],
    originalUriBaseIds: { [root]: { description: { text: 'The root of the repository.' } } },
    columnKind: 'utf16CodeUnits',
    results,
  };
}

const root = '%SRCROOT%';

const levels: Record<Severity, 'error' | 'warning' | 'note'> = {
  critical: 'error',
  high: 'error',
  medium: 'warning',
  low: 'note',
  unknown: 'note',
};

/** GitHub shows over 9.0 as critical, from 7.0 as high, from 4.0 as medium, from 0.1 as low, and 0.0 as not rated. */
const securitySeverity: Record<Severity, string> = {
  critical: '9.5',
  high: '8.0',
  medium: '5.5',
  low: '2.0',
  unknown: '0.0',
};

/** For findings that are about quality and not about security. */
const problemSeverity = { error: 'error', warning: 'warning', note: 'recommendation' } as const;

function ruleOf({ rule, severity }: Finding) {
  const title = plain(rule.title, sarifLimits.description, rule.id);
  const help = plain(rule.help, sarifLimits.help, title);
  const link = isWebAddress(rule.link) ? rule.link : null;
  const tags = [...new Set(rule.tags.map(printable))].slice(0, sarifLimits.tags);
  return {
    id: printable(rule.id),
    shortDescription: { text: title },
    fullDescription: { text: clip(help, sarifLimits.description) },
    ...(link === null ? {} : { helpUri: link }),
    help: {
      text: link === null ? help : `${help}\n${link}`,
      markdown: link === null ? escapeMarkdown(help) : `${escapeMarkdown(help)}\n\n<${link}>`,
    },
    defaultConfiguration: { level: levels[severity] },
    properties: {
      tags,
      precision: 'very-high',
      ...(rule.tags.includes('security')
        ? { 'security-severity': securitySeverity[severity] }
        : { 'problem.severity': problemSeverity[levels[severity]] }),
    },
  };
}

function resultOf(finding: Finding, ruleIndex: number) {
  const { rule, severity, target, location, fingerprint, known } = finding;
  const file = location === null ? null : repositoryPath(location.file);
  const { start, end } = location === null || file === null ? { start: 1, end: 1 } : linesOf(location);
  return {
    ruleId: printable(rule.id),
    ruleIndex,
    level: levels[severity],
    message: {
      text: unlinked(plain(finding.message, sarifLimits.message, plain(rule.title, 1_024, rule.id))),
    },
    locations: [
      {
        physicalLocation: {
          // Without a file in the repository it is shown under the target's name: no alert is shown without a place.
          artifactLocation: { uri: uriPath(file ?? target.name), uriBaseId: root },
          region: { startLine: start, endLine: end },
        },
      },
    ],
    // The one key that code scanning reads.
    partialFingerprints: { primaryLocationLineHash: fingerprint },
    ...(known === null ? {} : { baselineState: known ? 'unchanged' : 'new' }),
  };
}

/** Text that is not empty, since code scanning takes no empty one where one is required. */
function plain(text: string, limit: number, otherwise: string): string {
  const shown = clip(printable(text).trim(), limit);
  return shown === '' ? printable(otherwise) : shown;
}

/** `[text](target)` in a message is a link (SARIF 2.1.0, 3.11.6); a text that others wrote makes none. */
function unlinked(text: string): string {
  return text.replaceAll('](', '] (');
}

/** A relative reference (RFC 3986) that stays below its base. */
function uriPath(path: string): string {
  const parts = path.toWellFormed().split('/');
  const inside = parts.filter((part) => !['', '.', '..'].includes(part));
  return inside.length === 0 ? 'unnamed' : inside.map(encodeURIComponent).join('/');
}
