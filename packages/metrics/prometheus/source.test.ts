import { judgeLimit, unavailable as noData } from '@deploy-actions/judge';
import { type DeployError, isRecord } from '@deploy-actions/core';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { fetchText } from '../http-text.ts';
import type { Baseline, MetricQuery } from '../port.ts';
import type { PrometheusOptions } from './api.ts';
import { createPrometheus } from './source.ts';
import {
  epoch,
  type FakePrometheus,
  matrix,
  resultOf,
  series,
  startFakePrometheus,
  vector,
} from '../../../test/support/prometheus-double.ts';

const ratio: MetricQuery = {
  kind: 'ratio',
  name: 'error rate',
  errors: 'requests_total{slot="blue",code=~"5.."}',
  total: 'requests_total{slot="blue"}',
};
const latency: MetricQuery = { kind: 'latency', name: 'latency', histogram: 'seconds{slot="blue"}' };
const counts: MetricQuery = {
  kind: 'counts',
  name: 'error rate',
  errors: 'sum(increase(errors_total[{window}]))',
  total: 'sum(increase(all_total[{window}]))',
};
const never = new AbortController().signal;
const target = { job: 'app', instance: '127.0.0.1:1' };
const up = series({ __name__: 'up', ...target }, () => 1);
const requests = (code: string, value: (second: number) => number | undefined, more = {}) =>
  series({ __name__: 'requests_total', slot: 'blue', code, ...target, ...more }, value);
/** 8 good and 2 failed requests a second, from counters that counted long before. */
const good = () => requests('200', (second) => 1_000 + 8 * second);
const bad = () => requests('500', (second) => 500 + 2 * second);

let fake: FakePrometheus;
beforeEach(async () => {
  fake = await startFakePrometheus();
});
afterEach(() => fake.close());

const sourceOf = (options: Partial<PrometheusOptions> = {}) =>
  createPrometheus({ url: fake.url, timeout: 2_000, fetchText, ...options });

/** A window of a minute. */
async function counted(query: MetricQuery = ratio, options: Partial<PrometheusOptions> = {}) {
  const source = sourceOf(options);
  fake.now = 0;
  const baseline = JSON.parse(JSON.stringify(await source.begin(query, never))) as Baseline;
  fake.now = 60;
  return source.series(query, baseline, never);
}

describe('counters', () => {
  test('are counted exactly, from the first scrape of the window to its last', async () => {
    fake.series = [up, good(), bad(), requests('500', (second) => second + 100, { slot: 'green' })];
    expect(await counted()).toEqual({
      kind: 'ratio',
      name: 'error rate',
      query: 'requests_total{slot="blue",code=~"5.."} / requests_total{slot="blue"}',
      window: 60_000,
      errors: 120,
      total: 600,
    });
  });

  test('count from zero when a series appears while its target is read', async () => {
    fake.series = [up, good(), requests('500', (second) => (second >= 40 ? 7 : undefined))];
    expect(await counted()).toMatchObject({ errors: 7, total: 487 });
    fake.series = [good(), requests('500', (second) => (second >= 40 ? 7 : undefined))];
    expect(await counted()).toMatchObject({ errors: 7, total: 487 });
  });

  test('count from the first scrape of a target that appears: what it counted before is not of the window', async () => {
    const other = { instance: 'b:1' };
    fake.series = [
      up,
      good(),
      bad(),
      series({ __name__: 'up', ...target, ...other }, () => 1, { from: 35 }),
      requests('200', (second) => (second >= 35 ? 1_000_000 + second : undefined), other),
    ];
    expect(await counted()).toMatchObject({
      errors: 120,
      total: 625,
      notes: ['app/b:1 was first read 35s after the window began.'],
    });
  });

  test('that were not in one scrape, but before it, do not count their past', async () => {
    fake.series = [
      up,
      good(),
      bad(),
      requests('404', (second) => (second < -10 || second > 10 ? 50_000 + second : undefined)),
    ];
    expect(await counted()).toMatchObject({ total: 645 });
  });

  test('count from zero when they come back after a restart that was before the window', async () => {
    fake.series = [
      up,
      requests('200', (second) => (second < -15 ? 900 : 100 + second)),
      requests('500', (second) => (second < -15 ? 3 : second >= 20 ? 7 : undefined)),
    ];
    expect(await counted()).toMatchObject({ errors: 7, total: 67 });
  });

  test('with times of their own do not count their past either', async () => {
    const odd = series(
      { __name__: 'requests_total', slot: 'blue', code: '200', ...target },
      (second) => 50_000 + second,
      { from: 3 },
    );
    fake.series = [up, odd, bad()];
    expect(await counted()).toMatchObject({ errors: 120, total: 175 });
  });

  test('all begin again at zero when one of their target fell', async () => {
    fake.series = [
      up,
      requests('200', (second) => (second < 30 ? 100 + second : second - 30)),
      // Grew beyond what it was: only its neighbour shows that it began again.
      requests('500', (second) => (second < 30 ? 2 : 5)),
    ];
    expect(await counted()).toMatchObject({
      errors: 5,
      total: 25 + 30 + 5,
      notes: [expect.stringContaining('began again at zero once') as string],
    });
  });

  test('no errors are none where the metric has such a label, and unavailable where it has not', async () => {
    fake.series = [up, good()];
    fake.results = [
      [/^count\(last_over_time\(requests_total\{slot!="",code!=""\}\[1h\]\)\)$/, vector([{}, '3'])],
    ];
    expect(await counted()).toMatchObject({ errors: 0, total: 480 });
    const mistyped: MetricQuery = {
      ...ratio,
      kind: 'ratio',
      errors: 'requests_total{slot="blue",kode="500"}',
    };
    await expect(counted(mistyped)).rejects.toThrow('there is no series requests_total with slot and kode');
    const elsewhere: MetricQuery = { ...ratio, kind: 'ratio', errors: 'failures_total' };
    await expect(counted(elsewhere)).rejects.toThrow('there is no series failures_total, so that no errors');
  });

  test('of errors with a name of their own are counted over the same scrapes', async () => {
    const own: MetricQuery = { ...ratio, kind: 'ratio', errors: 'failures_total' };
    const failures = series({ __name__: 'failures_total', ...target }, (second) => second);
    // A scrape came between both queries.
    fake.series = [
      up,
      series({ __name__: 'requests_total', slot: 'blue', ...target }, (second) => 10 * second, { to: 55 }),
      failures,
    ];
    expect(await counted(own)).toMatchObject({ errors: 55, total: 550 });
    fake.series = [good(), series({ __name__: 'failures_total', job: 'b' }, (second) => second)];
    await expect(counted(own)).rejects.toThrow('b/- has errors but no requests');
  });

  test('before the second scrape are nothing, which is no verdict', async () => {
    fake.series = [up, good(), bad()].map((one) => ({
      ...one,
      samples: one.samples.filter(([second]) => second < 0),
    }));
    const source = sourceOf();
    fake.now = 0;
    const baseline = await source.begin(ratio, never);
    fake.now = 3;
    expect(await source.series(ratio, baseline, never)).toMatchObject({
      ...{ errors: 0, total: 0 },
      notes: ['Prometheus has no sample since the window began.'],
    });
    expect(
      await source
        .series(latency, { ...(baseline as object), query: 'seconds{slot="blue"}' }, never)
        .catch(String),
    ).toMatch(/no series of seconds/);
  });

  test('of a long window are read in parts', async () => {
    const long = { from: -30, to: 3_000, step: 15 };
    fake.series = [
      series({ __name__: 'up', ...target }, () => 1, long),
      series(
        { __name__: 'requests_total', slot: 'blue', code: '500', ...target },
        (second) => second + 30,
        long,
      ),
    ];
    const source = sourceOf();
    fake.now = 0;
    const baseline = await source.begin(ratio, never);
    fake.now = 3_000;
    expect(await source.series(ratio, baseline, never)).toMatchObject({
      errors: 3_000,
      total: 3_000,
      window: 3_000_000,
    });
    expect(fake.asked.filter(({ query }) => query.includes('[900000ms]')).length).toBe(6);
  });
});

describe('histograms', () => {
  const histogram = (slow: number, instance = target.instance) =>
    (
      [
        ['bucket', '0.5', 10 - slow],
        ['bucket', '+Inf', 10],
        ['sum', '', 4],
        ['count', '', 10],
      ] as const
    ).map(([part, le, rate]) =>
      series(
        { __name__: `seconds_${part}`, slot: 'blue', job: 'app', instance, ...(le !== '' && { le }) },
        (second) => 1_000 + rate * second,
      ),
    );

  test('are counted by bucket, out of the same scrapes', async () => {
    fake.series = [up, ...histogram(1)];
    expect(await counted(latency)).toEqual({
      ...{ kind: 'latency', name: 'latency', query: 'seconds{slot="blue"}', window: 60_000 },
      buckets: [
        { le: 0.5, count: 540 },
        { le: Infinity, count: 600 },
      ],
      ...{ total: 600, sum: 240 },
    });
  });

  test('that contradict themselves, or are native, are unavailable', async () => {
    fake.series = [up, ...histogram(1).slice(0, 1), ...histogram(1).slice(2)];
    await expect(counted(latency)).rejects.toThrow('there is no bucket +Inf');
    fake.series = [
      up,
      ...histogram(1),
      series({ __name__: 'seconds_bucket', slot: 'blue', le: 'fast', ...target }, () => 1),
    ];
    await expect(counted(latency)).rejects.toThrow('the bucket has the bound "fast"');
    fake.results = [[/^\{__name__/, matrix([{ metric: { __name__: 'seconds' }, histograms: [] }])]];
    await expect(counted(latency)).rejects.toMatchObject({
      message: expect.stringContaining('native histogram') as string,
    });
  });
});

describe('what cannot be trusted is unavailable', () => {
  const cases: [string, () => void, RegExp][] = [
    [
      'nothing',
      () => (fake.series = []),
      /no series of requests_total\{slot="blue"\} has a sample of the last 6m/,
    ],
    ['a value of NaN', () => (fake.series = [up, good(), requests('500', () => NaN)]), /code="500".* is NaN/],
    ['an infinite value', () => (fake.series = [up, good(), requests('500', () => Infinity)]), /is Infinity/],
    ['a negative value', () => (fake.series = [up, requests('500', () => -1)]), /is -1/],
    [
      'a target that cannot be read',
      () =>
        (fake.series = [
          series({ __name__: 'up', ...target }, (second) => (second > 50 ? 0 : 1)),
          good(),
          bad(),
        ]),
      /cannot read app\/127.0.0.1:1 \(up is 0\)/,
    ],
    [
      'a series that ended though its target is read',
      () => (fake.series = [up, requests('500', (second) => (second < 30 ? second + 30 : undefined))]),
      /is read, but its series ended 35s ago/,
    ],
    [
      'samples that are old',
      () =>
        (fake.series = [up, good(), bad()].map((one) => ({
          ...one,
          samples: one.samples.filter(([second]) => second <= 30),
        }))),
      /the newest sample of app\/127.0.0.1:1 is 30s old, though it is read every 5s \(at most 15s is trusted\)/,
    ],
    [
      'samples that were old when the window began',
      () =>
        (fake.series = [good(), bad()].map((one) => ({
          ...one,
          samples: one.samples.filter(([second]) => second <= -25),
        }))),
      /the newest sample is 1m25s old: the series ended/,
    ],
    [
      'the same target in two servers’ data',
      () =>
        (fake.series = ['a', 'b'].flatMap((replica) =>
          [up, good(), bad()].map((one) => ({ ...one, labels: { ...one.labels, replica } })),
        )),
      /is scraped 2 times .*would count double/,
    ],
    [
      'more errors than requests',
      () =>
        (fake.series = [
          up,
          requests('500', (second) => second + 30),
          series({ __name__: 'failures_total', ...target }, (second) => 9 * second + 900),
        ]),
      /540 errors of 60 requests/,
    ],
  ];
  test.each(cases)('%s', async (name, arrange, problem) => {
    arrange();
    const query: MetricQuery = name.startsWith('more')
      ? { ...ratio, kind: 'ratio', errors: 'failures_total' }
      : ratio;
    const error: unknown = await counted(query).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      reasonCode: 'metrics_unavailable',
      message: expect.stringMatching(problem) as string,
      details: [
        `server: ${fake.url}/`,
        expect.stringMatching(/^query: requests_total|^query: failures_total/) as string,
      ],
    });
  });

  test('a series that was not asked for', async () => {
    fake.results = [
      [
        /^requests_total/,
        matrix([{ metric: { __name__: 'requests_total', slot: 'green' }, values: [[epoch / 1_000, '1']] }]),
      ],
    ];
    await expect(counted()).rejects.toThrow(
      'requests_total{slot="green"} is no series of requests_total{slot="blue"}',
    );
  });

  test('a target that the server stopped to scrape is counted up to then, while others go on', async () => {
    const ended = { instance: 'b:1' };
    const until = (one: ReturnType<typeof good>) => ({
      ...one,
      samples: one.samples.filter(([second]) => second <= 20),
    });
    const gone = requests('200', (second) => 100 + second, ended);
    fake.series = [
      up,
      good(),
      bad(),
      until(series({ __name__: 'up', ...target, ...ended }, () => 1)),
      until(gone),
    ];
    expect(await counted()).toMatchObject({
      total: 620,
      notes: ['app/b:1 is not read any more since 40s: it is counted up to then.'],
    });
    fake.series = [up, good(), bad(), until(gone)];
    await expect(counted()).rejects.toThrow('the newest sample of app/b:1 is 40s old');
  });

  test('a baseline of another query or server, from the future, or damaged', async () => {
    const source = sourceOf();
    const baseline = (await source.begin(ratio, never)) as Record<string, string>;
    for (const [damaged, problem] of [
      [null, 'not one of Prometheus'],
      [{ ...baseline, at: 'now' }, 'not one of Prometheus'],
      [{ ...baseline, query: 'up' }, 'the baseline is of "up"'],
      [{ ...baseline, server: 'http://other/' }, 'the baseline is of "http://other/"'],
      [{ ...baseline, at: epoch + 90_000 }, 'the clock of the server went back by 30s'],
    ] as const) {
      await expect(source.series(ratio, damaged, never)).rejects.toMatchObject({
        reasonCode: 'metrics_unavailable',
        message: expect.stringContaining(problem) as string,
      });
    }
  });
});

describe('expressions', () => {
  const answers = (errors: unknown, total: unknown) => {
    fake.results = [
      [/errors_total\[60s\]/, errors],
      [/all_total\[60s\]/, total],
    ];
  };

  test('give counts over the window, of which errors are rounded up and requests down', async () => {
    answers(vector([{}, '12.2']), vector([{}, '61.9']));
    expect(await counted(counts)).toMatchObject({ kind: 'ratio', errors: 13, total: 61, window: 60_000 });
    answers(
      { status: 'success', data: { resultType: 'scalar', result: [epoch / 1_000 + 60, '0'] } },
      vector([{}, '61']),
    );
    expect(await counted(counts)).toMatchObject({ errors: 0, total: 61 });
  });

  test.each<[string, unknown, RegExp]>([
    ['nothing', vector(), /gives nothing/],
    [
      'several series',
      vector([{ code: '200' }, '5'], [{ code: '500' }, '0']),
      /gives 2 series \(\{code="200"\}, \{code="500"\}\), not one/,
    ],
    ['NaN', vector([{}, 'NaN']), /it is NaN/],
    ['+Inf', vector([{}, '+Inf']), /it is Infinity/],
    ['less than nothing', vector([{}, '-3']), /it is -3/],
    ['samples', matrix([{ metric: {}, values: [[epoch / 1_000, '1']] }]), /a range of samples/],
    ['the future', vector([{}, '50', epoch / 1_000 + 3_600]), /from the future/],
    ['the past', vector([{}, '50', epoch / 1_000 - 3_600]), /old/],
    ['a text', { status: 'success', data: { resultType: 'string', result: [1, 'x'] } }, /it holds a string/],
    ['fewer than the errors', vector([{}, '5']), /50 errors of 5 requests/],
  ])('that give %s are unavailable, with the query that was asked', async (name, total, problem) => {
    answers(vector([{}, name.startsWith('fewer') ? '50' : '0']), total);
    const error: unknown = await counted(counts).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      reasonCode: 'metrics_unavailable',
      message: expect.stringMatching(problem) as string,
    });
    if (!/string|fewer/.test(String(error)) && !name.startsWith('fewer')) {
      expect((error as DeployError).details).toContain('query: sum(increase(all_total[60s]))');
    }
  });

  test('have to say what they count over', async () => {
    const rates: MetricQuery = { ...counts, kind: 'counts', total: 'sum(rate(all_total[1m]))' };
    await expect(sourceOf().begin(rates, never)).rejects.toMatchObject({ reasonCode: 'invalid_input' });
  });

  test('whose requests ended are unavailable', async () => {
    const source = sourceOf();
    fake.now = 0;
    const baseline = await source.begin(counts, never);
    fake.now = 900;
    const at = (second: number) => epoch / 1_000 + second;
    fake.results = [
      [/errors_total/, vector([{}, '0', at(900)])],
      [/all_total\[900s\]/, vector([{}, '600', at(900)])],
      [
        /all_total\[225s\]/,
        matrix([{ metric: {}, values: [225, 450, 675].map((second) => [at(second), '200']) }]),
      ],
    ];
    await expect(source.series(counts, baseline, never)).rejects.toThrow('it is 0, and was 200 before');
    fake.results[2] = [
      /all_total\[225s\]/,
      matrix([{ metric: {}, values: [225, 450, 675, 900].map((second) => [at(second), '150']) }]),
    ];
    expect(await source.series(counts, baseline, never)).toMatchObject({ errors: 0, total: 600 });
  });
});

describe('whatever a server answers', () => {
  const settings = { atEnd: true, minRequests: 50, strict: false, alpha: 0.01 };
  const verdictOf = async (query: MetricQuery) => {
    const observed = await counted(query).catch((thrown: unknown) => {
      expect(thrown).toMatchObject({ reasonCode: 'metrics_unavailable' });
      return noData('', '', String(thrown));
    });
    return judgeLimit({ kind: 'error-rate', max: 0.05 }, observed, settings).outcome;
  };
  const odd = fc.oneof(
    fc.constantFrom(null, '', 'NaN', '+Inf', '-Inf', '-1', 'x', 0, -1, Number.MAX_VALUE, true, [], {}),
    // A number as text in the place of another is a right answer.
    fc
      .jsonValue()
      .filter((value) => typeof value !== 'string' || value.trim() === '' || Number.isNaN(Number(value))),
  );

  /** Every place in a value, as a path. */
  const places = (value: unknown, path: string[] = []): string[][] => [
    path,
    ...(value !== null && typeof value === 'object'
      ? Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))
      : []),
  ];
  const replaced = (value: unknown, [key, ...rest]: string[], by: unknown): unknown => {
    if (key === undefined) return by;
    const inner = (value as Record<string, unknown>)[key];
    const changed = replaced(inner, rest, by);
    return Array.isArray(value)
      ? value.map((one: unknown, i) => (String(i) === key ? changed : one))
      : { ...(value as object), [key]: changed };
  };

  beforeEach(() => {
    fake.series = [up, good(), bad()];
    fake.results = [
      [/errors_total\[60s\]/, vector([{}, '20'])],
      [/all_total\[60s\]/, vector([{}, '100'])],
    ];
  });

  test('a version that fails is seen to', async () => {
    expect(await verdictOf(ratio)).toBe('fail');
    expect(await verdictOf(counts)).toBe('fail');
  });

  test('any JSON, page or broken text is never a pass', async () => {
    const body = fc.oneof(
      fc.jsonValue().map((json) => JSON.stringify(json)),
      fc.string(),
      fc.constantFrom('<html>', '', '{"status":"success"'),
    );
    const status = fc.constantFrom(200, 200, 200, 204, 301, 400, 401, 404, 422, 429, 500, 502, 503);
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(ratio, counts), body, status, async (query, text, code) => {
        fake.instead = ({ query: asked }, response) => {
          if (asked === 'time()') return false;
          response.writeHead(code).end(text);
          return true;
        };
        expect(await verdictOf(query)).toBe('inconclusive');
      }),
      { numRuns: 60 },
    );
  });

  test('errors without a sample, beside a total that rises, are never a pass', async () => {
    // The labels are known from somewhere.
    fake.results.push([/^count\(last_over_time/, vector([{}, '1'])]);
    let emptied = 0;
    fake.instead = (asked, response) => {
      const text = JSON.stringify(resultOf(fake, asked), (_key, one: unknown) => {
        if (!isRecord(one) || !isRecord(one['metric']) || one['metric']['code'] !== '500') return one;
        if (!('values' in one)) return one;
        emptied += 1;
        return { ...one, values: [] };
      });
      response.end(text);
      return true;
    };
    expect(await verdictOf(ratio)).toBe('inconclusive');
    expect(emptied).toBeGreaterThan(0);
  });

  test('a right answer that is cut, or has one wrong part, is never a pass', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(ratio, counts),
        fc.nat(),
        fc.nat(),
        odd,
        fc.boolean(),
        async (query, which, place, by, cut) => {
          let number = 0;
          fake.instead = (asked, response) => {
            number += 1;
            // begin asks one query, series three or four.
            if (number - 2 !== which % 4) return false;
            const right = resultOf(fake, asked);
            const text = JSON.stringify(right);
            const all = places(right);
            const wrong = JSON.stringify(replaced(right, all[place % all.length] ?? [], by));
            response.end(cut ? text.slice(0, place % text.length) : wrong);
            return true;
          };
          expect(await verdictOf(query)).not.toBe('pass');
        },
      ),
      { numRuns: 150 },
    );
  });
});
