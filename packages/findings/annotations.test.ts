import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { annotate, annotationCommands, annotationLimits } from './annotations.ts';
import { identify } from './fingerprint.ts';
import { repositoryPath, type Draft, type Finding } from './model.ts';
import { anyFindings, draft, many } from './testdata/samples.ts';

const inFile = (parts: Partial<Draft> = {}) =>
  draft({ location: { file: 'shop/app.py', startLine: 14, endLine: 16 }, ...parts });
const lined = (count: number): Finding[] =>
  identify(
    Array.from({ length: count }, (_, index) =>
      inFile({ location: { file: 'shop/app.py', startLine: index + 1, endLine: null } }),
    ),
  );

describe('annotations', () => {
  it('say rule, lines and what to do', () => {
    expect(annotate(identify([inFile({ severity: 'high' })])).items).toEqual([
      [
        {
          path: 'shop/app.py',
          start_line: 14,
          end_line: 16,
          annotation_level: 'failure',
          title: 'high CVE-2019-1549: openssl: information disclosure in fork()',
          message: 'libssl1.1 1.1.1c-r0 discloses information after fork().',
          raw_details: 'Upgrade libssl1.1.\nhttps://avd.aquasec.com/nvd/cve-2019-1549',
        },
      ],
    ]);
  });

  it.each<[number, number[]]>([
    [0, []],
    [1, [1]],
    [50, [50]],
    [51, [50, 1]],
    [500, Array.from({ length: 10 }, () => 50)],
    [501, Array.from({ length: 10 }, () => 50)],
  ])('of %i findings come in batches of %j', (count, sizes) => {
    const { items, cut } = annotate(lined(count));
    expect(items.map(({ length }) => length)).toEqual(sizes);
    expect(cut.count).toBe(Math.max(0, count - annotationLimits.total));
  });

  it('leave out the least severe and say so', () => {
    const { cut, notice } = annotate([...lined(500), ...identify([inFile({ severity: 'low' })])]);
    expect(cut.bySeverity).toMatchObject({ medium: 0, low: 1 });
    expect(notice).toBe('1 of 501 findings is not shown here, the least severe: 1 low.');
  });

  it('are only for files of the repository', () => {
    const files = ['/etc/passwd', '../x.py', 'a/../../x', 'C:\\x.py', '', '.'];
    const drafts = files.map((file) => inFile({ location: { file, startLine: 1, endLine: 1 } }));
    expect(annotate(identify([...drafts, draft()]))).toMatchObject({ items: [], elsewhere: 7 });
    expect(repositoryPath('.\\a\\.\\b//../c.py')).toBe('a/c.py');
  });

  it.each([
    ['a', 64 * 1024],
    ['é', 64 * 1024],
    ['😀', 64 * 1024],
  ])('hold a message of %s to 64 KiB and no byte more', (character, limit) => {
    const full = character.repeat(limit / Buffer.byteLength(character));
    const messageOf = (message: string) => annotate(identify([inFile({ message })])).items[0]![0]!.message;
    expect(messageOf(full)).toBe(full);
    const cut = messageOf(`${full}a`);
    expect(Buffer.byteLength(cut)).toBeLessThanOrEqual(limit);
    expect(Buffer.byteLength(cut)).toBeGreaterThan(limit - 4);
    expect(cut.isWellFormed()).toBe(true);
    expect(cut.slice(0, -1)).toBe(full.slice(0, cut.length - 1));
    expect(cut.at(-1)).toBe('…');
  });

  it('hold a title to 255 characters', () => {
    const prefix = 'medium CVE-2019-1549: '.length;
    const titleOf = (title: string) =>
      annotate(identify([inFile({ rule: { ...draft().rule, title } })])).items[0]![0]!.title;
    expect(titleOf('t'.repeat(255 - prefix))).toHaveLength(255);
    expect(titleOf('t'.repeat(255 - prefix))).not.toContain('…');
    expect(titleOf('t'.repeat(256 - prefix))).toHaveLength(255);
    expect(titleOf('😀'.repeat(300)).isWellFormed()).toBe(true);
  });

  it('are what the API takes, whatever was found', () => {
    fc.assert(
      fc.property(anyFindings, (findings) => {
        const { items, elsewhere } = annotate(findings);
        expect(items.flat().length + elsewhere).toBe(findings.length);
        for (const each of items.flat()) {
          expect(each.path).toMatch(/^[^/]/);
          expect(Number.isSafeInteger(each.start_line) && each.start_line >= 1).toBe(true);
          expect(Number.isSafeInteger(each.end_line) && each.end_line >= each.start_line).toBe(true);
          expect(each.title).not.toContain('\n');
          for (const text of [each.title, each.message, each.raw_details ?? 'x']) {
            expect(text).not.toBe('');
            expect(text.isWellFormed()).toBe(true);
            // oxlint-disable-next-line no-control-regex
            expect(text).not.toMatch(/[\0\r\u001b\u202e]/);
          }
        }
      }),
    );
  });

  it('are the same for the same findings in any order', () => {
    const found = many(800);
    expect(annotate(found.toReversed())).toEqual(annotate(found));
    expect(annotationCommands(found.toReversed())).toEqual(annotationCommands(found));
  });
});

describe('workflow commands', () => {
  it('are ten of each level, the most severe first', () => {
    const drafts = (['critical', 'high', 'medium', 'low', 'unknown'] as const).flatMap((severity) =>
      Array.from({ length: 8 }, () => inFile({ severity })),
    );
    const { items, cut, notice } = annotationCommands(identify(drafts));
    const levels = items.map(({ level }) => level);
    expect(levels.filter((level) => level === 'error')).toHaveLength(10);
    expect(levels.filter((level) => level === 'warning')).toHaveLength(8);
    expect(levels.filter((level) => level === 'notice')).toHaveLength(10);
    expect(cut).toEqual({ count: 12, bySeverity: { critical: 0, high: 6, medium: 0, low: 0, unknown: 6 } });
    expect(notice).toBe('12 of 40 findings are not shown here, the least severe: 6 high, 6 unknown.');
    expect(items[0]).toEqual({
      level: 'error',
      message: 'libssl1.1 1.1.1c-r0 discloses information after fork().',
      properties: {
        file: 'shop/app.py',
        startLine: 14,
        endLine: 16,
        title: 'critical CVE-2019-1549: openssl: information disclosure in fork()',
      },
    });
  });
});
