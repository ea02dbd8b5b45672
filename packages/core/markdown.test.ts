import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { breakable, escapeMarkdown, inertMarkdown, printable } from './markdown.ts';

describe('inert text', () => {
  it.each([
    ['@babel/core', '\\@&#8203;babel/core'],
    ['fixes #12, GH-7', 'fixes \\#&#8203;12, GH-&#8203;7'],
    ['https://example.org', 'https:&#8203;//example.org'],
    ['www.example.org', 'www&#8203;.example.org'],
    ['$1', '<span>$</span>1'],
    ['a\r\nb\rc', 'a<br>b<br>c'],
  ])('of %j is %s', (text, inert) => {
    expect(inertMarkdown(text)).toBe(inert);
  });
});

describe('escaped text', () => {
  it('is one line for Markdown, which takes a lone carriage return for a line end', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('\r', '\n', 'a') }), (text) => {
        expect(escapeMarkdown(text)).not.toMatch(/[\r\n]/);
      }),
    );
  });
});

describe('printable text', () => {
  it('has no control characters, no turned direction and no half characters', () => {
    expect(printable('a\0b\u001b[31m\u202ec\ud800d\te\r\nf')).toBe('a\ufffdb\ufffd[31m\ufffdc\ufffdd\te\nf');
  });

  it('stays as it is otherwise', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('a', '\n', '\t', 'é', '😀', '漢') }), (text) => {
        expect(printable(text)).toBe(text);
      }),
    );
  });
});

describe('breakable text', () => {
  it.each([
    ['short words stay as they are', 'short words stay as they are'],
    ['apps/tickets/migrations/0007.py', 'apps/tickets/<wbr>migrations/<wbr>0007.py'],
    ['0123456789abcdef0123456789abcdef', '0123456789abcdef<wbr>0123456789abcdef'],
    ['@acme/very_long_name_of_it', '\\@&#8203;acme/very\\_<wbr>long\\_name\\_of\\_it'],
    [
      '漢字仮名交じり文の長い説明がここに入ります。漢字仮名',
      '漢字仮名交じり文の長い説明がここに入ります。漢字仮名',
    ],
  ])('of %j is %s', (text, broken) => {
    expect(breakable(inertMarkdown(text))).toBe(broken);
  });

  it('leaves an address whole, of which GitHub makes a link', () => {
    const address = 'see https://helpdesk.example.com/health/of/everything/there/is.';
    expect(breakable(escapeMarkdown(address))).toBe(address);
  });

  it('says the same, and cuts no escape, reference or tag in two', () => {
    const unit = fc.constantFrom(
      'a',
      'b',
      '/',
      '_',
      '&',
      '<',
      '@',
      '|',
      '\\',
      '$',
      '\n',
      ' ',
      '😀',
      'é',
      '://',
      '\u200d',
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 80 }), (text) => {
        for (const escaped of [escapeMarkdown(text), inertMarkdown(text)]) {
          const broken = breakable(escaped);
          expect(broken.replaceAll('<wbr>', '')).toBe(escaped);
          expect(broken).not.toMatch(/(?<!\\)(?:\\\\)*\\<wbr>|&[#\w]*<wbr>|<wbr>[#\w]*;/);
        }
      }),
    );
  });
});
