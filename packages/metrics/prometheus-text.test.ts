import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parsePrometheusText } from './prometheus-text.ts';

interface Written {
  name: string;
  labels: [string, string][];
  value: number;
  timestamp: number | undefined;
}

const names = fc.stringMatching(/^[a-zA-Z_:][a-zA-Z0-9_:]{0,12}$/);
const labelNames = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9_]{0,8}$/);
const samples: fc.Arbitrary<Written> = fc.record({
  name: names,
  labels: fc.uniqueArray(fc.tuple(labelNames, fc.string({ unit: 'grapheme' })), {
    selector: ([name]) => name,
    maxLength: 4,
  }),
  value: fc.double(),
  timestamp: fc.option(fc.maxSafeInteger(), { nil: undefined }),
});
const gaps = fc.constantFrom('', ' ', '\t ');

function write({ name, labels, value, timestamp }: Written, gap: string): string {
  const escape = (text: string) =>
    text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  const inner = labels.map(([label, text]) => `${gap}${label}${gap}=${gap}"${escape(text)}"${gap}`);
  const set = labels.length > 0 || gap !== '' ? `${gap}{${gap}${inner.join(',')}}` : '';
  const digits = Object.is(value, -0) ? '-0' : String(value);
  const number = digits.replace(/^(-?)Infinity$/, (_, sign: string) => `${sign || '+'}Inf`);
  return `${gap}${name}${set} ${gap}${number}${timestamp === undefined ? '' : ` ${timestamp}`}${gap}\n`;
}

describe('parsePrometheusText', () => {
  test('reads what was written, in any spacing', () => {
    fc.assert(
      fc.property(fc.array(samples), gaps, (written, gap) => {
        const text = written.map((sample) => `# a comment {\n\n${write(sample, gap)}`).join('');
        const read = parsePrometheusText(text).samples.map(({ name, labels, value, timestamp }) => ({
          name,
          labels: [...labels],
          value,
          timestamp,
        }));
        expect(read).toEqual(written);
      }),
    );
  });

  test('reads types, help, escapes, a last comma and every number', () => {
    const { types, samples: read } = parsePrometheusText(
      [
        '# HELP http_requests_total The "total" \\ number\\nof requests.',
        '# TYPE http_requests_total counter',
        '#TYPE up gauge',
        'http_requests_total{method="post",code="200",} 1027 1395066363000',
        'path{at="C:\\\\DIR\\\\\\n\\"x\\""} 1.458255915e9',
        'up +Inf',
        'up{a="1"} -inf',
        'up{a="2"} NaN',
        'up{a="3"} .5',
        'up{a="4"} 5.',
        'up{a="5"} -1E-3',
        '',
      ].join('\n'),
    );
    expect([...types]).toEqual([
      ['http_requests_total', 'counter'],
      ['up', 'gauge'],
    ]);
    expect(read.map(({ value }) => value)).toEqual([
      1027,
      1458255915,
      Infinity,
      -Infinity,
      NaN,
      0.5,
      5,
      -0.001,
    ]);
    expect(read[0]).toMatchObject({ timestamp: 1395066363000, line: 4 });
    expect(read[1]?.labels.get('at')).toBe('C:\\DIR\\\n"x"');
  });

  test('reads OpenMetrics with exemplars, and needs its end', () => {
    const text = '# TYPE a counter\n# UNIT a seconds\na_total{b="c"} 5 1.5 # {trace_id="1"} 0.5 1.2\n# EOF\n';
    const { types, samples: read } = parsePrometheusText(text, { format: 'openmetrics' });
    expect(types.get('a')).toBe('counter');
    expect(read).toMatchObject([{ name: 'a_total', value: 5, timestamp: 1.5 }]);
    const openmetrics = (wrong: string) => () => parsePrometheusText(wrong, { format: 'openmetrics' });
    expect(openmetrics('a_total 5\n')).toThrow('line 2: the text does not end with # EOF');
    expect(openmetrics('# EOF\na_total 5\n')).toThrow('line 2: there is more after # EOF');
  });

  test.each([
    ['a 1', 'line 1: the text ends within a line'],
    ['ok 1\n<html>\n', 'line 2: a metric name was expected at "<html>"'],
    ['a\n', 'line 1: a number was expected at the end of the line'],
    ['a{b="c"\n', 'line 1: , or } was expected'],
    ['a{b="c} 1\n', 'line 1: a label was expected at "b='],
    ['a{b=c} 1\n', 'line 1: a label was expected'],
    ['a{b="\\x"} 1\n', 'line 1: a label was expected'],
    ['a{,} 1\n', 'line 1: a label was expected'],
    ['a{b="c" d="e"} 1\n', 'line 1: , or } was expected'],
    ['a{b="1",b="2"} 1\n', 'line 1: the label b is there twice'],
    ['a{"b"} 1\n', 'line 1: a label was expected'],
    ['a-b 1\n', 'line 1: a blank or { was expected after a, not "-b 1"'],
    ['a 0x10\n', 'line 1: a number was expected'],
    ['a 1_000\n', 'line 1: a number was expected'],
    ['a 1,5\n', 'line 1: a number was expected'],
    ['a 1\r\n', 'line 1: a number was expected'],
    ['a 1 2 3\n', 'line 1: the end of the line was expected'],
    ['a 1 # {x="y"} 1\n', 'line 1: the end of the line was expected'],
    ['a 1 1.5\n', 'line 1: the end of the line was expected'],
    ['# TYPE a meter\n', 'line 1: "meter" is no type of a metric; known: counter, gauge'],
    ['# TYPE a\n', 'line 1: the end of the line is no type'],
    ['# HELP 1a x\n', 'line 1: HELP needs the name of a metric'],
    ['# TYPE a counter\n# TYPE a gauge\n', 'line 2: the type of a is declared a second time'],
    ['a 1\n# TYPE a gauge\n', 'line 2: the type of a is declared after its samples'],
  ])('refuses %j', (text, problem) => {
    expect(() => parsePrometheusText(text)).toThrow(
      expect.objectContaining({ reasonCode: 'metrics_unavailable' }),
    );
    expect(() => parsePrometheusText(text)).toThrow(problem);
  });

  test('any text is read or refused with its line', () => {
    const bits = fc.array(
      fc.constantFrom(
        'a',
        '{',
        '}',
        '"',
        '\\',
        ',',
        '=',
        ' ',
        '1',
        '.',
        'e',
        '+Inf',
        'NaN',
        '# TYPE ',
        '#',
        '\n',
        '\r',
        '😀',
      ),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(
        fc.oneof(
          bits.map((parts) => parts.join('')),
          fc.string({ unit: 'binary' }),
        ),
        (text) => {
          try {
            expect(parsePrometheusText(text).samples.length).toBeLessThanOrEqual(text.split('\n').length);
          } catch (thrown) {
            expect((thrown as Error).message).toMatch(/^line [1-9]\d*: /);
          }
        },
      ),
      { numRuns: 600 },
    );
  });

  test('cut anywhere but behind a line, it is refused', () => {
    const text = '# TYPE a counter\na{b="c"} 12345 1700000000000\na{b="d"} 6\n';
    for (let length = 1; length < text.length; length += 1) {
      const cut = text.slice(0, length);
      if (!cut.endsWith('\n')) expect(() => parsePrometheusText(cut)).toThrow('cut off');
    }
  });

  test('is bounded, and fast up to the bound', { timeout: 30_000 }, () => {
    expect(() => parsePrometheusText('a 1\n'.repeat(10), { maxLength: 39 })).toThrow('at most 39 are read');
    const line = (i: number) =>
      `http_request_duration_seconds_bucket{slot="blue",path="/tickets/${i}",le="0.25"} ${i}\n`;
    const text = Array.from({ length: 125_000 }, (_, i) => line(i)).join('');
    const start = performance.now();
    expect(parsePrometheusText(text).samples).toHaveLength(125_000);
    const took = performance.now() - start;
    console.log(`${(text.length / 1e6).toFixed(1)} MB read in ${took.toFixed(0)} ms`);
    expect(took).toBeLessThan(10_000);
  });

  test('one line as long as the bound is no trap', () => {
    const long = 'x'.repeat(8_000_000);
    expect(parsePrometheusText(`a{b="${long}"} 1\n`).samples[0]?.labels.get('b')).toHaveLength(long.length);
    expect(() => parsePrometheusText(`a{b="${long}\n`)).toThrow('line 1: a label was expected');
    expect(() => parsePrometheusText(`#${' '.repeat(8_000_000)}\na{b="${'\\"'.repeat(1_000_000)}\n`)).toThrow(
      'line 2',
    );
  });
});
