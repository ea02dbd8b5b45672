import { breakable, DeployError, inertMarkdown } from '@deploy-actions/core';
import { describeTarget, isWebAddress, repositoryPath, type Finding, type Rule } from './model.ts';
import { bySeverity, cutAfter, describeCut, type Cut } from './order.ts';
import { clip } from './text.ts';

/** GitHub refuses a longer comment, in characters; here UTF-16 code units, of which there are never fewer. */
export const commentLimit = 65_536;

export interface CommentOptions {
  /** What the comment is for, of letters, digits and `-`: one comment a purpose is found again by its marker. */
  purpose: string;
  /** The heading; plain text. */
  title: string;
  /** What stands below it: the verdict's message; plain text. */
  message: string;
  /** Findings before the fold; default 20. */
  open?: number;
}

export interface Comment {
  /** Markdown; starts with the marker. */
  body: string;
  cut: Cut;
  /** What was cut, in words; empty when nothing was. It is part of the body. */
  notice: string;
}

/** The hidden first line by which a comment of this purpose is found again. Throws `invalid_input`. */
export function commentMarker(purpose: string): string {
  if (!/^[a-z0-9]+(?:-[a-z0-9]+)*$/i.test(purpose)) {
    throw new DeployError(
      'invalid_input',
      `The purpose of a comment may not be ${JSON.stringify(purpose)}.`,
      {
        remedy: 'Use letters and digits, with single dashes between them.',
      },
    );
  }
  return `<!-- deploy-actions:${purpose} -->`;
}

/**
 * One table, the most severe findings first, the rest folded, as many as fit. Everything that findings say is inert: it
 * makes no markup, notifies nobody and leaves no trace in what it names. The same findings give the same text.
 */
export function writeComment(findings: readonly Finding[], options: CommentOptions): Comment {
  const { open = 20 } = options;
  const ordered = bySeverity(findings);
  const head = [
    commentMarker(options.purpose),
    `### ${cell(options.title, 200)}`,
    '',
    cell(options.message, 1_000),
    '',
  ].join('\n');
  const rows: string[] = [];
  for (let room = commentLimit; room > 0 && rows.length < ordered.length;) {
    const row = rowOf(ordered[rows.length]!);
    rows.push(row);
    room -= row.length;
  }

  const bodyOf = (kept: number) => {
    const notice = describeCut(cutAfter(ordered, kept), ordered.length);
    const shown = rows.slice(0, kept);
    const folded = shown.slice(open);
    return [
      head,
      ...(shown.length === 0 ? [] : [tableHeader, ...shown.slice(0, open), '']),
      ...(folded.length === 0
        ? []
        : [
            `<details><summary>${folded.length} more</summary>`,
            '',
            tableHeader,
            ...folded,
            '',
            '</details>',
            '',
          ]),
      ...(notice === '' ? [] : [`_${notice}_`, '']),
    ].join('\n');
  };

  // A row is longer than what the notice can lose by it, so length grows with the rows and can be halved.
  let kept = rows.length;
  if (bodyOf(kept).length > commentLimit) {
    let tooMany = kept;
    kept = 0;
    while (tooMany - kept > 1) {
      const middle = Math.floor((kept + tooMany) / 2);
      if (bodyOf(middle).length <= commentLimit) kept = middle;
      else tooMany = middle;
    }
  }
  const cut = cutAfter(ordered, kept);
  return { body: bodyOf(kept), cut, notice: describeCut(cut, ordered.length) };
}

/** Three columns, for a phone has no room for more. */
const tableHeader = '| Severity | Finding | Where |\n| --- | --- | --- |';

function rowOf(finding: Finding): string {
  const { rule, severity, known } = finding;
  const subject = subjectOf(finding);
  const cells = [
    known === false ? `${severity}, new` : severity,
    `${linked(rule)}: ${cell(finding.message.trim() || rule.title, 300)}${subject === '' ? '' : `<br>${subject}`}`,
    cell(placeOf(finding), 250),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** `libssl1.1 1.1.1c-r0, fixed in 1.1.1d-r0`. */
function subjectOf({ subject }: Finding): string {
  if (subject === null) return '';
  const { name, version, fixedVersion } = subject;
  const fixed = fixedVersion === null ? '' : `, fixed in ${cell(fixedVersion, 100)}`;
  return `${cell(`${name} ${version ?? ''}`, 150)}${fixed}`;
}

function linked({ id, link }: Rule): string {
  const text = cell(id, 100);
  if (!isWebAddress(link) || link.length > 300) return text;
  // Renderers differ in whether an escaped bracket ends the text of a link; a reference to its character does not.
  return `[${text.replaceAll('\\[', '&#91;').replaceAll('\\]', '&#93;')}](<${link}>)`;
}

/** The line in the repository where it can be told, else the target, its digest shortened, and the path in it. */
function placeOf({ target, subject, location }: Finding): string {
  if (location !== null) {
    const line = location.startLine === null ? '' : `:${location.startLine}`;
    return `${repositoryPath(location.file) ?? location.file}${line}`;
  }
  const path = subject?.path ?? null;
  const where = describeTarget(target).replace(/(@sha256:[0-9a-f]{12})[0-9a-f]{52}$/, '$1…');
  return path === null ? where : `${where}, ${path}`;
}

/** One line, whatever the text: a table has no others. */
function cell(text: string, limit: number): string {
  return breakable(inertMarkdown(clip(text.trim(), limit)));
}
