import type { Context } from '@deploy-actions/action-kit';
import {
  annotate,
  annotationCommands,
  bundleSarif,
  categoryOf,
  commentMarker,
  type Finding,
  type Target,
  type Verdict,
  writeComment,
  writeSarif,
} from '@deploy-actions/findings';
import { redacted } from '@deploy-actions/github';
import { harmless, purposeOf } from './harmless.ts';
import type { Reporting } from './reporting.ts';

export interface FindingsReport {
  /** What was looked for, of letters, digits and `-`: one comment, one check and one category of SARIF a purpose. */
  purpose: string;
  /** The heading, and the name of the check; plain text. */
  title: string;
  findings: readonly Finding[];
  verdict: Pick<Verdict, 'passed' | 'message'>;
  /** Markdown that stands below the findings in the summary and in the comment, such as the plan that was looked at. */
  more?: string;
  /**
   * Asks for code scanning, with what was looked at: a target without findings closes its alerts. Each target is a category; with `files`,
   * all that lies in files of the repository is in that one: a file that is not there any more closes its alerts, too.
   */
  sarif?: { tool: string; targets: readonly Target[]; files?: Target | undefined };
}

/**
 * Says what was found: in the summary; as a check with annotations on the lines, which are workflow commands where no
 * check can be written; in one comment of the pull request; and, when asked for, in code scanning. What does not fit is
 * cut by severity, and said. Changes no outcome and does not throw.
 */
export function publishFindings(
  reporting: Reporting,
  context: Context,
  report: FindingsReport,
): Promise<void> {
  const purpose = purposeOf(report.purpose);
  return harmless(context, report.title, () => publish(reporting, context, { ...report, purpose }));
}

async function publish(reporting: Reporting, context: Context, report: FindingsReport): Promise<void> {
  const { purpose, title, verdict } = report;
  const findings = redacted(report.findings, context.redact);
  const { quiet, pullRequest, headSha, runKey } = reporting;
  const marker = commentMarker(purpose);
  const table = writeComment(findings, { purpose, title, message: verdict.message }).body;
  const shown = table.slice(marker.length).trim();
  const body = report.more === undefined ? table : `${table.trimEnd()}\n\n${report.more}`;
  context.summary.paragraph(body.slice(marker.length).trim());

  const annotations = annotate(findings);
  const notices = [annotations.notice].filter((notice) => notice !== '');
  const check = quiet.check({
    name: title,
    sha: headSha,
    key: `${runKey}/${purpose}`,
    conclusion: verdict.passed ? 'success' : 'failure',
    title: verdict.passed ? `${findings.length} findings` : `Not passed: ${findings.length} findings`,
    summary: [shown, ...notices].join('\n\n'),
    annotations: annotations.items.flat(),
  });
  if ((await reporting.settle(`The check «${title}»`, check)) === undefined) asCommands(context, findings);

  if (pullRequest !== undefined) {
    await reporting.settle(`The comment «${title}»`, quiet.comment({ pullRequest, marker, body }));
  }
  if (report.sarif !== undefined) await upload(reporting, context, { ...report, findings }, report.sarif);
}

/** Annotations that need no permission. A step shows 10 of each level; the rest is in the summary. */
function asCommands(context: Context, findings: readonly Finding[]): void {
  const { items, notice } = annotationCommands(findings);
  for (const { level, message, properties } of items) {
    // The one error of a step is that it failed.
    context.annotate(level === 'error' ? 'warning' : level, message, properties);
  }
  if (notice !== '') context.log.info(`Annotations: ${notice}`);
}

async function upload(
  reporting: Reporting,
  context: Context,
  { purpose, findings }: FindingsReport,
  { tool, targets, files: inFiles }: NonNullable<FindingsReport['sarif']>,
): Promise<void> {
  const { facts, log } = context;
  const byCategory = new Map<string, Finding[]>(
    [...targets, ...(inFiles === undefined ? [] : [inFiles])].map((target) => [
      categoryOf(purpose, target),
      [],
    ]),
  );
  for (const finding of findings) {
    const target = inFiles !== undefined && finding.location !== null ? inFiles : finding.target;
    const category = categoryOf(purpose, target);
    const own = byCategory.get(category);
    if (own === undefined) byCategory.set(category, [finding]);
    else own.push(finding);
  }
  const files = Array.from(byCategory, ([category, own]) =>
    writeSarif({ tool: { name: tool, version: null, link: null }, category, findings: own }),
  );
  for (const { category, notice } of files)
    if (notice !== '') log.info(`Code scanning, ${category}: ${notice}`);
  // GitHub takes seconds to process an upload: as few as can be, and waited for together.
  const uploads = bundleSarif(files).map(({ categories, gzip }) => ({
    what:
      categories.length === 1
        ? `The analysis ${categories[0] ?? ''} for code scanning`
        : `The analyses for code scanning of ${categories[0] ?? ''} and ${categories.length - 1} more`,
    sent: reporting.quiet.sarif({ gzip, sha: facts.sha, ref: facts.ref }),
  }));
  for (const { what, sent } of uploads) await reporting.settle(what, sent);
}
