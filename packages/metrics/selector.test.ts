import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePrometheusText } from './prometheus-text.ts';
import { parseSelector, select, type Selector } from './selector.ts';

const { samples } = parsePrometheusText(
  [
    'http_requests_total{code="200",slot="blue"} 1',
    'http_requests_total{code="503",slot="blue"} 2',
    'http_requests_total{code="1503",slot="blue"} 4',
    'http_requests_total{code="500",slot="green"} 8',
    'http_requests_total{code="404"} 16',
    'other 32',
    '',
  ].join('\n'),
);
const sumOf = (selector: string) =>
  select(samples, parseSelector(selector)).reduce((sum, { value }) => sum + value, 0);

describe('select', () => {
  test.each([
    ['http_requests_total', 31],
    [' http_requests_total { } ', 31],
    ['http_requests_total{slot="blue"}', 7],
    ['http_requests_total{slot="blue",}', 7],
    ['http_requests_total{slot="blue",code=~"5.."}', 2],
    ["http_requests_total{ slot != 'blue' }", 24],
    ['http_requests_total{slot=""}', 16],
    ['http_requests_total{slot!=""}', 15],
    ['http_requests_total{code!~"5..|404"}', 5],
    ['http_requests_total{code=~`\\d{3}`}', 27],
    ['http_requests_total{code=~"\\\\d{3}"}', 27],
    ['http_requests_total{slot="red"}', 0],
    ['nothing{a="b"}', 0],
  ])('%s sums to %d', (selector, sum) => {
    expect(sumOf(selector)).toBe(sum);
  });

  test('a label that no series of the metric has is an error, because it could never match', () => {
    expect(() => sumOf('http_requests_total{status=~"5.."}')).toThrow(
      'no series of http_requests_total has a label status; it has code, slot',
    );
    expect(() => sumOf('other{slot="blue"}')).toThrow('it has none');
    expect(sumOf('http_requests_total{status!="500"}')).toBe(31);
  });

  test('a series that is there twice is an error', () => {
    const twice = parsePrometheusText('a{b="1",c="2"} 1\na{c="2",b="1"} 1\n').samples;
    expect(() => select(twice, parseSelector('a'))).toThrow(
      'line 2: a{b="1",c="2"} was already given in line 1',
    );
  });
});

describe('parseSelector', () => {
  test.each([
    ['', 1, 'the name of a metric was expected'],
    ['5xx', 1, 'the name of a metric was expected'],
    ['a + b', 3, '{ or the end was expected'],
    ['rate(a[5m])', 5, '{ or the end was expected'],
    ['a{', 3, 'the name of a label or } was expected'],
    ['a{b', 4, 'one of =, !=, =~, !~ was expected'],
    ['a{b==c}', 5, 'a value in quotes was expected'],
    ['a{b="c}', 5, 'a value in quotes was expected'],
    ['a{b="c" d="e"}', 9, ', or } was expected'],
    ['a{b="c"} 5', 10, 'the end was expected'],
    ['a{b=~"("}', 6, '"(" is no regular expression'],
    ['a{b=~"\\d"}', 6, '\\d is no escape'],
  ])('refuses %j at column %d', (selector, column, problem) => {
    expect(() => parseSelector(selector)).toThrow(expect.objectContaining({ reasonCode: 'invalid_input' }));
    expect(() => parseSelector(selector)).toThrow(`wrong at column ${column}: ${problem}`);
  });

  test('any value in quotes is matched as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (value) => {
        const escaped = value.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n');
        const [matcher] = parseSelector(`a{b="${escaped}"}`).matchers;
        expect(matcher?.matches(value)).toBe(true);
        expect(matcher?.matches(`${value}x`)).toBe(false);
      }),
    );
  });

  test('any text is read or refused', () => {
    const bits = fc.array(
      fc.constantFrom('a', '{', '}', '"', "'", '`', '\\', ',', '=', '!', '~', ' ', '(', '*', '1'),
    );
    fc.assert(
      fc.property(bits, (parts) => {
        let selector: Selector;
        try {
          selector = parseSelector(parts.join(''));
        } catch (thrown) {
          expect((thrown as Error).message).toMatch(/ at column \d+: /);
          return;
        }
        expect(selector.name).toMatch(/^a+1*(a|1)*$/);
        expect(parts.join('')).toContain(selector.name);
      }),
      { numRuns: 600 },
    );
  });
});
