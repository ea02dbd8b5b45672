import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  codeBlock,
  createSummary,
  escapeMarkdown,
  summaryLimit,
  withinLimit,
  writeSummary,
} from './summary.ts';

/** Fences and folded parts that are open at the end. */
function open(markdown: string): number {
  let fence: string | undefined;
  let folded = 0;
  for (const line of markdown.split('\n')) {
    const run = /^`{3,}/.exec(line)?.[0];
    if (fence !== undefined) fence = line === fence ? undefined : fence;
    else if (run !== undefined) fence = run;
    else if (line.startsWith('<details>')) folded += 1;
    else if (line.startsWith('</details>')) folded -= 1;
  }
  return folded + (fence === undefined ? 0 : 1);
}

type Summary = ReturnType<typeof createSummary>;

const piece: fc.Arbitrary<(summary: Summary) => void> = fc.oneof(
  fc
    .string({ unit: 'grapheme', maxLength: 60 })
    .map((text) => (summary: Summary) => summary.paragraph(escapeMarkdown(text))),
  fc.string({ maxLength: 200 }).map((text) => (summary: Summary) => summary.details('Log', text)),
  fc.string({ maxLength: 60 }).map((text) => (summary: Summary) => summary.chart(text)),
  fc
    .array(fc.string(), { minLength: 1 })
    .map((items) => (summary: Summary) => summary.list(items.map(escapeMarkdown))),
);

describe('withinLimit', () => {
  it('never exceeds the limit, leaves nothing open, and keeps what fits', () => {
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 20 }),
        fc.integer({ min: -10, max: 3_000 }),
        (pieces, limit) => {
          const summary = createSummary();
          for (const add of pieces) add(summary);
          const whole = summary.text();
          const cut = withinLimit(whole, limit);
          expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(Math.max(0, limit));
          if (!whole.includes('\uFFFD')) expect(cut).not.toContain('\uFFFD');
          if (Buffer.byteLength(whole) <= limit) expect(cut).toBe(whole);
          else if (cut !== '') {
            expect(open(cut)).toBe(0);
            expect(cut).toContain('The summary was cut here');
          }
        },
      ),
    );
  });

  it('cuts at GitHub’s limit, counting what the step has written before', () => {
    const directory = mkdtempSync(join(tmpdir(), 'summary-test-'));
    try {
      const file = join(directory, 'summary.md');
      writeFileSync(file, 'x\n'.repeat(1_000));
      const summary = createSummary();
      for (let row = 0; row < 40_000; row += 1)
        summary.paragraph(`Row ${row} of many, a line of some length.`);
      writeSummary(summary, file);
      const written = readFileSync(file);
      expect(written.length).toBeLessThanOrEqual(summaryLimit);
      expect(written.length).toBeGreaterThan(summaryLimit - 200);
      expect(written.toString()).toMatch(/The report file has everything\._\n$/);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('markup', () => {
  it('is never made from text that others wrote', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const escaped = escapeMarkdown(text);
        expect(escaped.replaceAll('<br>', '')).not.toMatch(/[<>]|(?<!\\)(?:\\\\)*[`*_[\]|~@]/);
        expect(escaped).not.toContain('\n');
      }),
    );
  });

  it('holds any text in a code block', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('`', 'a', '\n') }), (text) => {
        const [first = '', ...rest] = codeBlock(text).split('\n');
        expect(rest.slice(0, -1).some((line) => line.startsWith(first))).toBe(false);
        expect(rest.at(-1)).toBe(first);
      }),
    );
  });

  it('is what GitHub shows', () => {
    const summary = createSummary();
    summary.heading('Title');
    summary.table(['A', 'B'], [['1', escapeMarkdown('a|b')]]);
    summary.chart('pie\n  "a": 1');
    expect(summary.text()).toBe(
      '## Title\n\n| A | B |\n| --- | --- |\n| 1 | a\\|b |\n\n```mermaid\npie\n  "a": 1\n```\n\n',
    );
  });
});

it('shows the title of a folded part as it is', () => {
  const summary = createSummary();
  summary.details('SQL of auth.0001_initial <b>', 'x');
  expect(summary.text()).toContain('<summary>SQL of auth.0001_initial &lt;b&gt;</summary>');
});

describe('a table', () => {
  it('lets long words break, but for links and code', () => {
    const digest = '0123456789abcdef'.repeat(2);
    const summary = createSummary();
    summary.table(['Name'], [[digest], [`[run](https://example.org/${digest})`], [`\`${digest}\``]]);
    const [, , plain, link, code] = summary.text().split('\n');
    expect(plain).toBe('| 0123456789abcdef<wbr>0123456789abcdef |');
    expect(link).not.toContain('<wbr>');
    expect(code).not.toContain('<wbr>');
  });
});
