import { escapeMarkdown, type Summary } from '@deploy-actions/action-kit';
import { describePlace, type Parity, type ParityRow } from '@deploy-actions/config';
import type { Hint, Mistake } from './check.ts';

/** How many rows a table of the summary has; the report has all. */
const rowLimit = 200;
const shownLength = 80;

function cut(text: string): string {
  const characters = Array.from(text);
  return characters.length <= shownLength ? text : `${characters.slice(0, shownLength).join('')}…`;
}

function table(summary: Summary, header: string[], rows: string[][]): void {
  summary.table(header, rows.slice(0, rowLimit));
  if (rows.length > rowLimit) {
    summary.paragraph(`_${rows.length - rowLimit} more rows are in the report file._`);
  }
}

export function mistakesTable(summary: Summary, file: string, mistakes: readonly Mistake[]): void {
  if (mistakes.length === 0) return;
  summary.heading('Problems', 3);
  table(
    summary,
    ['Where', 'Problem', 'Environments'],
    mistakes.map(({ place, message, remedy, environments }) => [
      escapeMarkdown(describePlace(file, place)),
      escapeMarkdown([message, ...(remedy === undefined ? [] : [remedy])].join(' ')),
      escapeMarkdown(environments.join(', ')),
    ]),
  );
}

export function hintsTable(summary: Summary, hints: readonly Hint[]): void {
  if (hints.length === 0) return;
  summary.heading('What steps still have to say', 3);
  summary.paragraph(
    'The file makes it necessary and does not say it. A step may; the `deploy` action takes it from the file alone.',
  );
  table(
    summary,
    ['Action', 'Input', 'Environments'],
    hints.map(({ action, message, environments }) => [
      escapeMarkdown(action),
      escapeMarkdown(message),
      escapeMarkdown(environments.join(', ')),
    ]),
  );
}

function verdictOf({ verdict, expected, names }: ParityRow): string {
  const which = names.length === 0 ? '' : `: ${escapeMarkdown(cut(names.join(', ')))}`;
  return expected === null
    ? `**${verdict}**${which}`
    : `${verdict}${which}, expected (${escapeMarkdown(expected)})`;
}

export function parityTable(summary: Summary, { environments, rows }: Parity): void {
  if (environments.length < 2) return;
  const different = rows.filter(({ verdict }) => verdict !== 'same');
  summary.heading('Environments beside each other', 3);
  if (different.length > 0) {
    table(
      summary,
      ['Setting', ...environments.map(escapeMarkdown), 'Verdict'],
      different.map((row) => [
        escapeMarkdown(row.path),
        ...environments.map((environment) => {
          const value = row.values[environment] ?? null;
          return value === null
            ? '–'
            : `${escapeMarkdown(cut(value.shown))}<br><sub>line ${value.place.line}</sub>`;
        }),
        verdictOf(row),
      ]),
    );
  }
  const same = rows.length - different.length;
  summary.paragraph(
    `${same} ${same === 1 ? 'setting is' : 'settings are'} the same in all. Addresses, counts and environment variables are expected to differ, and so is what an environment unsets.`,
  );
}
