import { printable } from '@deploy-actions/core';
import { linesOf, repositoryPath, type Finding, type Severity } from './model.ts';
import { bySeverity, cutAfter, describeCut, type Cut } from './order.ts';
import { clip, clipBytes } from './text.ts';

/**
 * For check runs: https://docs.github.com/en/rest/checks/runs (50 annotations a request, a title of 255 characters, a
 * message and details of 64 KB each). For workflow commands: a step shows 10 of each level. GitHub names no limit for
 * the annotations of one check run; `total` is ours, ten requests.
 */
export const annotationLimits = {
  batch: 50,
  total: 500,
  title: 255,
  messageBytes: 64 * 1024,
  commandsPerLevel: 10,
};

/** An annotation as `POST /repos/{owner}/{repo}/check-runs` takes it. */
export interface Annotation {
  path: string;
  start_line: number;
  end_line: number;
  annotation_level: 'failure' | 'warning' | 'notice';
  title: string;
  message: string;
  raw_details?: string;
}

/** A workflow command (`::error file=…,line=…::…`), before the runner's escaping. */
export interface Command {
  level: 'error' | 'warning' | 'notice';
  message: string;
  properties: { file: string; startLine: number; endLine: number; title: string };
}

export interface Annotations<Item> {
  items: Item[];
  /** Findings that have no place in the repository; these are for the comment and the summary. */
  elsewhere: number;
  /** Of those that have one. */
  cut: Cut;
  /** What was cut, in words; empty when nothing was. */
  notice: string;
}

const levels: Record<Severity, Annotation['annotation_level']> = {
  critical: 'failure',
  high: 'failure',
  medium: 'warning',
  low: 'notice',
  unknown: 'notice',
};

/** Annotations of a check run, the most severe first, in batches of what one request takes. */
export function annotate(
  findings: readonly Finding[],
  total = annotationLimits.total,
): Annotations<Annotation[]> {
  const { placed, elsewhere } = inRepository(findings);
  const kept = placed.slice(0, total).map(annotationOf);
  const batches: Annotation[][] = [];
  for (let start = 0; start < kept.length; start += annotationLimits.batch) {
    batches.push(kept.slice(start, start + annotationLimits.batch));
  }
  return { items: batches, elsewhere, ...cutOf(placed, kept.length) };
}

/** The same as workflow commands, for runs whose token may not write checks. */
export function annotationCommands(findings: readonly Finding[]): Annotations<Command> {
  const { placed, elsewhere } = inRepository(findings);
  const used = { failure: 0, warning: 0, notice: 0 };
  const shown: Placed[] = [];
  const left: Placed[] = [];
  for (const each of placed) {
    const level = levels[each.finding.severity];
    used[level] += 1;
    (used[level] <= annotationLimits.commandsPerLevel ? shown : left).push(each);
  }
  const items = shown.map((each) => {
    const { path, start_line, end_line, annotation_level, title, message } = annotationOf(each);
    return {
      level: annotation_level === 'failure' ? ('error' as const) : annotation_level,
      message,
      properties: { file: path, startLine: start_line, endLine: end_line, title },
    };
  });
  return { items, elsewhere, ...cutOf([...shown, ...left], shown.length) };
}

interface Placed {
  finding: Finding;
  path: string;
  lines: { start: number; end: number };
}

function inRepository(findings: readonly Finding[]): { placed: Placed[]; elsewhere: number } {
  const placed = bySeverity(findings).flatMap((finding) => {
    const path = finding.location === null ? null : repositoryPath(finding.location.file);
    return path === null ? [] : [{ finding, path, lines: linesOf(finding.location!) }];
  });
  return { placed, elsewhere: findings.length - placed.length };
}

function annotationOf({ finding, path, lines }: Placed): Annotation {
  const { rule, severity } = finding;
  const details = clipBytes(
    printable([rule.help, rule.link ?? ''].join('\n').trim()),
    annotationLimits.messageBytes,
  );
  return {
    path: printable(path),
    start_line: lines.start,
    end_line: lines.end,
    annotation_level: levels[severity],
    title: clip(
      printable(`${severity} ${rule.id}: ${rule.title}`).replaceAll('\n', ' '),
      annotationLimits.title,
    ),
    message: clipBytes(
      printable(finding.message.trim() || rule.title.trim() || rule.id),
      annotationLimits.messageBytes,
    ),
    ...(details === '' ? {} : { raw_details: details }),
  };
}

function cutOf(placed: readonly Placed[], kept: number): { cut: Cut; notice: string } {
  const cut = cutAfter(
    placed.map(({ finding }) => finding),
    kept,
  );
  return { cut, notice: describeCut(cut, placed.length) };
}
