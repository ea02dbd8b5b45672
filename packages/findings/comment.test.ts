import fc from 'fast-check';
import { printable } from '@deploy-actions/core';
import { marked } from 'marked';
import { describe, expect, it } from 'vitest';
import { commentLimit, commentMarker, writeComment } from './comment.ts';
import { compare, identify } from './fingerprint.ts';
import { anyFindings, draft, hostile, many, some } from './testdata/samples.ts';

const options = { purpose: 'trivy-scan', title: 'Image scan', message: 'Within the limits.' };

/** The rows of all tables as GitHub's rules split them; escaped bars are part of a cell. */
function rowsOf(body: string): string[][] {
  return body
    .split('\n')
    .filter((line) => line.startsWith('| ') && !/^\| (?:Severity|---)/.test(line))
    .map((line) => line.slice(2, -2).split(/(?<=(?<!\\)(?:\\\\)*) \| /));
}

describe('the comment', () => {
  it('is a table, the most severe first', () => {
    const upgrade = draft({
      rule: { ...draft().rule, id: 'drop-column', link: null },
      severity: 'high',
      message: 'customer.email is dropped: old code still reads it.',
      target: { kind: 'database', name: 'shop.0042', version: null },
      subject: null,
      location: { file: 'shop/migrations/0042.py', startLine: 14, endLine: 16 },
    });
    const found = compare(identify([draft(), upgrade]), new Set([identify([draft()])[0]!.fingerprint]));
    expect(writeComment(found, options).body).toBe(
      [
        '<!-- deploy-actions:trivy-scan -->',
        '### Image scan',
        '',
        'Within the limits.',
        '',
        '| Severity | Finding | Where |',
        '| --- | --- | --- |',
        '| high, new | drop-column: customer.email is dropped: old code still reads it. | shop/migrations/<wbr>0042.py:14 |',
        '| medium | [CVE-2019-1549](<https://avd.aquasec.com/nvd/cve-2019-1549>): libssl1.1 1.1.1c-r0 discloses information after fork().<br>libssl1.1 1.1.1c-r0, fixed in 1.1.1d-r0 | image ghcr.io/<wbr>acme/backend:1.4.2 |',
        '',
      ].join('\n'),
    );
  });

  it('names an image by as much of its digest as people compare', () => {
    const digest = '0123456789abcdef'.repeat(4);
    const target = { kind: 'image', name: 'ghcr.io/acme/backend', version: `sha256:${digest}` } as const;
    const { body } = writeComment(identify([draft({ target })]), options);
    expect(body.replaceAll('<wbr>', '')).toContain('@&#8203;sha256:0123456789ab… |');
  });

  it('folds what is beyond the first', () => {
    const { body } = writeComment(some({ high: 25 }), options);
    const [open = '', folded = ''] = body.split('<details><summary>5 more</summary>\n\n');
    expect(rowsOf(open)).toHaveLength(20);
    expect(rowsOf(folded)).toHaveLength(5);
    expect(body).toMatch(/<\/details>\n$/);
  });

  it('has no table where nothing was found', () => {
    expect(writeComment([], options).body).toBe(
      '<!-- deploy-actions:trivy-scan -->\n### Image scan\n\nWithin the limits.\n',
    );
  });

  it('fits exactly: with one row more it would be too long', () => {
    const found = many(3_000);
    const { body, cut, notice } = writeComment(found, options);
    expect(body.length).toBeLessThanOrEqual(commentLimit);
    expect(rowsOf(body)).toHaveLength(found.length - cut.count);
    expect(body).toContain(`_${notice}_`);
    // 600 of each: what is shown is critical, and what is not so severe is not shown.
    expect(cut.bySeverity).toMatchObject({ high: 600, medium: 600, low: 600, unknown: 600 });
    const longest = Math.max(...body.split('\n').map((line) => line.length));
    expect(body.length + longest).toBeGreaterThan(commentLimit);
  });

  it('is whole at 65,536 characters and cut at one more', () => {
    const found = identify(
      Array.from({ length: 300 }, (_, index) =>
        draft({ message: 'é'.repeat(90), subject: null, context: String(index), severity: 'low' }),
      ),
    );
    const spare = commentLimit - writeComment(found, options).body.length;
    expect(spare).toBeGreaterThan(0);
    // Fill the room with longer messages, 300 characters at most each, to the last character.
    let left = spare;
    const filled = found.map((finding) => {
      const more = Math.min(210, left);
      left -= more;
      return { ...finding, message: 'é'.repeat(90 + more) };
    });
    const whole = writeComment(filled, options);
    expect(left).toBe(0);
    expect(whole.body.length).toBe(commentLimit);
    expect(whole.cut.count).toBe(0);
    const over = filled.with(-1, { ...filled.at(-1)!, message: `${filled.at(-1)!.message}é` });
    const cut = writeComment(over, options);
    expect(cut.body.length).toBeLessThanOrEqual(commentLimit);
    expect(cut.cut.count).toBeGreaterThan(0);
    expect(cut.notice).toMatch(/^\d+ of 300 findings (?:is|are) not shown here/);
  });

  it('is inert, whatever the findings say', () => {
    fc.assert(
      fc.property(anyFindings, fc.string({ unit: fc.constantFrom(...hostile) }), (findings, title) => {
        const { body } = writeComment(findings, { ...options, title, message: title });
        const rows = rowsOf(body);
        expect(rows).toHaveLength(findings.length);
        for (const row of rows) expect(row).toHaveLength(3);
        const marker = commentMarker(options.purpose);
        expect(body.split('<!--')).toHaveLength(2);
        const html = marked.parse(body.slice(marker.length), { async: false, gfm: true });
        const tags = new Set(Array.from(html.matchAll(/<\/?([a-z]\w*)/g), ([, tag]) => tag));
        for (const tag of tags) {
          expect([
            'h3',
            'p',
            'br',
            'span',
            'table',
            'thead',
            'tbody',
            'tr',
            'th',
            'td',
            'a',
            'wbr',
          ]).toContain(tag);
        }
        for (const [, href] of html.matchAll(/href="([^"]*)"/g)) {
          expect(findings.map(({ rule }) => rule.link?.replaceAll('&', '&amp;'))).toContain(href);
        }
        // Without our own links, nothing is left that GitHub would act on.
        const shown = html
          .replace(/<[^>]*>/g, '')
          .replaceAll('&#8203;', '\u200b')
          .replaceAll('&#39;', "'");
        expect(shown).not.toMatch(/@\w|#\d|GH-\d|:\/\/|www\./i);
        expect(shown).toBe(printable(shown));
      }),
      { numRuns: 200 },
    );
  });

  it('is the same text for the same findings in any order', () => {
    const found = many(500);
    expect(writeComment(found.toReversed(), options)).toEqual(writeComment(found, options));
  });

  it.each(['', 'a b', '-->', 'a--b', 'a\nb'])('refuses the purpose %j', (purpose) => {
    expect(() => writeComment([], { ...options, purpose })).toThrow(/The purpose of a comment/);
  });
});
