import { appendFileSync, statSync } from 'node:fs';
import { breakable, cutMarkdown, escapeHtml, escapeMarkdown } from '@deploy-actions/core';

export { escapeMarkdown };

/** GitHub refuses a step's summary above this. */
export const summaryLimit = 1024 * 1024;
const cutNotice =
  '\n\n_The summary was cut here: GitHub shows at most 1 MiB. The report file has everything._\n';

/** A job summary in the making: pieces of Markdown, in order. */
export interface Summary {
  heading(text: string, level?: 1 | 2 | 3): void;
  paragraph(markdown: string): void;
  table(header: string[], rows: string[][]): void;
  list(items: string[]): void;
  /** A Mermaid chart; GitHub draws it. */
  chart(mermaid: string): void;
  /** A block that is folded until it is clicked. */
  details(title: string, text: string): void;
  text(): string;
}

/** A fenced block whose fence is longer than any in the text. */
export function codeBlock(text: string, language = ''): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), (run) => run[0].length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text.replace(/\n?$/, '\n')}${fence}`;
}

/** Cells with links or code stay as they are. */
function narrow(cell: string): string {
  return /\]\(|(?<!\\)`|<a /.test(cell) ? cell : breakable(cell);
}

export function createSummary(): Summary {
  const pieces: string[] = [];
  const add = (piece: string) => {
    pieces.push(`${piece}\n\n`);
  };
  return {
    heading: (text, level = 2) => add(`${'#'.repeat(level)} ${text}`),
    paragraph: add,
    table: (header, rows) =>
      add(
        [header, header.map(() => '---'), ...rows.map((cells) => cells.map(narrow))]
          .map((cells) => `| ${cells.join(' | ')} |`)
          .join('\n'),
      ),
    list: (items) => add(items.map((item) => `- ${item}`).join('\n')),
    chart: (mermaid) => add(codeBlock(mermaid, 'mermaid')),
    details: (title, text) =>
      // One HTML block up to the blank line: Markdown's escapes would be shown as they are.
      add(`<details><summary>${escapeHtml(title)}</summary>\n\n${codeBlock(text)}\n\n</details>`),
    text: () => pieces.join(''),
  };
}

/** Cuts at a line's end so that it stays within `limit` bytes, and says that it was cut. */
export function withinLimit(markdown: string, limit: number): string {
  return cutMarkdown(markdown, limit, cutNotice);
}

/**
 * Appends to the step's summary file; what other code of the step wrote there counts against the limit. Throws when it
 * cannot be written.
 */
export function writeSummary(summary: Summary, file: string | undefined): void {
  if (file === undefined || file === '') return;
  const used = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  appendFileSync(file, withinLimit(summary.text(), summaryLimit - used));
}
