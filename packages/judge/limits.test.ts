import { canonicalJson } from '@deploy-actions/core';
import type { LatencySeries, RatioSeries } from '@deploy-actions/metrics';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeLimit, replay } from './limits.ts';
import { unavailable } from './observed.ts';
import type { Limit, Observed, Settings, Verdict } from './verdict.ts';

const errorRate: Limit = { kind: 'error-rate', max: 0.05 };
const responseTime: Limit = { kind: 'response-time', max: 1_000, quantile: 0.95 };
const early: Settings = { atEnd: false, minRequests: 50, strict: false, alpha: 0.05 };
const atEnd: Settings = { ...early, atEnd: true };
const strict: Settings = { ...atEnd, strict: true };

function ratio(errors: number, total: number): RatioSeries {
  return { kind: 'ratio', name: 'errors', query: 'e / t', window: 60_000, errors, total };
}

/** Buckets from [bound in seconds, requests in it] pairs. */
function latency(...pairs: [le: number, requests: number][]): LatencySeries {
  let total = 0;
  const buckets = pairs.map(([le, requests]) => ({ le, count: (total += requests) }));
  return { kind: 'latency', name: 'latency', query: 'h', window: 60_000, buckets, total, sum: total };
}

describe('an error rate', () => {
  test.each([
    { what: '20 % early', series: ratio(43, 214), settings: early, outcome: 'fail' },
    { what: '6 % early', series: ratio(60, 1_000), settings: early, outcome: 'undecided' },
    { what: '6 % at the end', series: ratio(60, 1_000), settings: atEnd, outcome: 'fail' },
    { what: 'exactly 5 % at the end', series: ratio(5, 100), settings: atEnd, outcome: 'fail' },
    { what: '4.9 % at the end', series: ratio(49, 1_000), settings: atEnd, outcome: 'pass' },
    {
      what: '4.9 % of a thousand, strict',
      series: ratio(49, 1_000),
      settings: strict,
      outcome: 'inconclusive',
    },
    { what: '4.9 % of ten million, strict', series: ratio(490_000, 1e7), settings: strict, outcome: 'pass' },
    { what: '6 % at the end, strict', series: ratio(60, 1_000), settings: strict, outcome: 'fail' },
    { what: 'no errors early', series: ratio(0, 1e6), settings: early, outcome: 'undecided' },
    { what: 'too few at the end', series: ratio(0, 49), settings: atEnd, outcome: 'inconclusive' },
    { what: 'enough at the end', series: ratio(0, 50), settings: atEnd, outcome: 'pass' },
    { what: 'too few, but all failed', series: ratio(10, 10), settings: atEnd, outcome: 'fail' },
    { what: 'one, and it failed', series: ratio(1, 1), settings: early, outcome: 'undecided' },
    { what: 'nothing at the end', series: ratio(0, 0), settings: atEnd, outcome: 'inconclusive' },
  ])('$what: $outcome', ({ series, settings, outcome }) => {
    expect(judgeLimit(errorRate, series, settings).outcome).toBe(outcome);
  });

  test('says in words what was seen', () => {
    const words = (series: RatioSeries, settings: Settings) => judgeLimit(errorRate, series, settings).words;
    expect(words(ratio(43, 214), early)).toBe(
      'Error rate 20.1 % (43 of 214 requests; with 95 % confidence between 11.4 % and 31.2 %) is over the limit of 5 %.',
    );
    expect(words(ratio(49_999, 1e6), atEnd)).toMatch(/^Error rate 4\.9999 % .* is under the limit of 5 %\.$/);
    expect(words(ratio(5, 100), atEnd)).toMatch(/^Error rate 5 % .* is not under the limit of 5 %\.$/);
    expect(words(ratio(0, 1), atEnd)).toMatch(
      /^Error rate 0 % \(0 of 1 request; .*\): a verdict .* needs 50 requests\.$/,
    );
    expect(words(ratio(0, 0), atEnd)).toBe(
      'No requests were seen in 1m; a verdict on the limit of 5 % needs 50.',
    );
    expect(words({ ...ratio(0, 100), notes: ['A counter began again.'] }, atEnd)).toMatch(
      / A counter began again\.$/,
    );
  });
});

describe('a response time', () => {
  const atBound = (over: number) => latency([0.5, 900 - over], [1, 100], [2, over], [Infinity, 0]);

  test.each([
    { what: '4.9 % over, at the end', series: atBound(49), settings: atEnd, outcome: 'pass' },
    { what: 'exactly 5 % over, at the end', series: atBound(50), settings: atEnd, outcome: 'fail' },
    { what: '20 % over, early', series: atBound(200), settings: early, outcome: 'fail' },
    { what: '6 % over, early', series: atBound(60), settings: early, outcome: 'undecided' },
    { what: '6 % over, at the end', series: atBound(60), settings: atEnd, outcome: 'fail' },
    {
      what: 'all in the overflow',
      series: latency([1, 0], [Infinity, 100]),
      settings: early,
      outcome: 'fail',
    },
    { what: 'too few', series: latency([1, 49], [Infinity, 0]), settings: atEnd, outcome: 'inconclusive' },
    { what: 'none', series: latency([1, 0], [Infinity, 0]), settings: atEnd, outcome: 'inconclusive' },
  ])('$what: $outcome', ({ series, settings, outcome }) => {
    expect(judgeLimit(responseTime, series, settings).outcome).toBe(outcome);
  });

  test('between two bounds it aborts early only on what is certainly over', () => {
    const unsure = latency([0.75, 700], [1.5, 300], [Infinity, 0]);
    const verdict = judgeLimit(responseTime, unsure, early);
    expect(verdict.outcome).toBe('undecided');
    expect(verdict.findings).toMatchObject({
      over: { least: 0, most: 300, estimate: 200, below: 0.75, above: 1.5 },
    });
    expect(verdict.words).toContain(
      '0 to 300 of 1000 requests took longer than 1000 ms: the bucket bounds are 750 ms and 1500 ms',
    );
    expect(judgeLimit(responseTime, unsure, atEnd).outcome).toBe('fail');
    const certain = latency([0.75, 700], [1.5, 100], [2, 200], [Infinity, 0]);
    expect(judgeLimit(responseTime, certain, early).outcome).toBe('fail');
  });

  test('buckets that end before the limit cannot tell, unless enough requests are within them', () => {
    const verdict = judgeLimit(responseTime, latency([0.5, 900], [Infinity, 100]), atEnd);
    expect(verdict).toMatchObject({ outcome: 'inconclusive', reasonCode: 'insufficient_data' });
    expect(verdict.words).toContain('Give it a bucket at the limit');
    expect(judgeLimit(responseTime, latency([0.5, 960], [Infinity, 40]), atEnd).outcome).toBe('pass');
  });

  test('reports p50, p95 and p99 with intervals that hold the estimate', () => {
    const series = latency([0.1, 5_000], [0.2, 4_000], [0.5, 900], [1, 90], [Infinity, 10]);
    const { findings } = judgeLimit(responseTime, series, atEnd);
    expect(findings).toMatchObject({
      quantiles: [
        { quantile: 0.5, estimate: 200 - 100, lower: 0, upper: 200 },
        { quantile: 0.95, estimate: 366.666666667, lower: 200, upper: 500 },
        { quantile: 0.99, estimate: 500, lower: 200, upper: 1_000 },
      ],
    });
  });

  test('says in words what was seen', () => {
    expect(judgeLimit(responseTime, atBound(200), early).words).toBe(
      'p95 response time about 1750 ms (with 95 % confidence between 1000 ms and 2000 ms; 200 of 1000 requests took longer than 1000 ms) is over the limit of 1000 ms.',
    );
  });
});

describe('what cannot be trusted never passes', () => {
  const bad = fc.constantFrom<unknown>(NaN, Infinity, -Infinity, -1, '5', null, undefined, 2 ** 53, {}, true);
  const good = latency([0.5, 100], [1, 100], [Infinity, 10]);
  const cumulative = (counts: number[]) => ({
    ...good,
    buckets: good.buckets.map(({ le }, i) => ({ le, count: counts[i] })),
  });

  const malformedRatio = fc.oneof(
    fc
      .tuple(fc.constantFrom('errors', 'total', 'window'), bad)
      .map(([field, value]) => ({ ...ratio(1, 100), [field]: value })),
    fc.constant({ ...ratio(101, 100) }),
    fc.constant(good),
  );
  const malformedLatency = fc.oneof(
    fc
      .tuple(fc.constantFrom('buckets', 'total', 'sum', 'window'), bad)
      .map(([field, value]) => ({ ...good, [field]: value })),
    fc.tuple(fc.nat({ max: 2 }), fc.constantFrom('le', 'count'), bad).map(([at, field, value]) => ({
      ...good,
      // These two are sound bounds, if odd ones, where they stand.
      buckets: good.buckets.map((bucket, i) =>
        i === at ? { ...bucket, [field]: value === Infinity || value === 2 ** 53 ? NaN : value } : bucket,
      ),
    })),
    fc.constant(cumulative([100, 90, 210])),
    fc.constant(cumulative([100, 200, 199])),
    fc.constant(cumulative([100, 200, 209])),
    fc.constant({ ...good, buckets: good.buckets.slice(0, 2), total: 200 }),
    fc.constant({ ...good, buckets: good.buckets.toReversed() }),
    fc.constant({ ...good, buckets: [] }),
    fc.constant(ratio(0, 100)),
  );
  const nonsense = fc.oneof(
    fc.anything(),
    fc.constant([ratio(0, 100), ratio(0, 100)]),
    fc.constant(unavailable('n', 'q', 'HTTP 500')),
  );
  const settings = fc.record({
    atEnd: fc.boolean(),
    strict: fc.boolean(),
    minRequests: fc.constantFrom(1, 50),
    alpha: fc.constant(0.05),
  });

  test('whatever it is', () => {
    const inconclusive = (limit: Limit) => (given: unknown, how: Settings) => {
      const verdict = judgeLimit(limit, given as Observed, how);
      expect(verdict).toMatchObject({
        outcome: 'inconclusive',
        reasonCode: 'metrics_unavailable',
        findings: null,
      });
      expect(verdict.words).toMatch(/cannot be judged against the limit of .+: .+\.$/);
      expect(canonicalJson(replay(JSON.parse(JSON.stringify(verdict))))).toBe(canonicalJson(verdict));
    };
    fc.assert(fc.property(fc.oneof(malformedRatio, nonsense), settings, inconclusive(errorRate)), {
      numRuns: 500,
    });
    fc.assert(fc.property(fc.oneof(malformedLatency, nonsense), settings, inconclusive(responseTime)), {
      numRuns: 500,
    });
  });

  test('a limit or settings without sense are refused, all at once', () => {
    const wrong = () =>
      judgeLimit({ kind: 'error-rate', max: 5 }, ratio(0, 100), { ...atEnd, alpha: 1, minRequests: 0 });
    expect(wrong).toThrow(/limit is 5; .*alpha is 1; .*min-requests is 0;/);
    expect(() => judgeLimit({ ...responseTime, quantile: NaN }, ratio(0, 100), atEnd)).toThrow(
      /quantile is NaN/,
    );
    expect(() => judgeLimit({ kind: 'cpu' } as unknown as Limit, ratio(0, 100), atEnd)).toThrow(
      /error-rate, response-time/,
    );
  });
});

describe('properties', () => {
  const ratios = fc
    .tuple(fc.nat({ max: 5_000 }), fc.nat({ max: 5_000 }))
    .map(([a, b]) => ratio(Math.min(a, b), Math.max(a, b)));
  const bounds = fc.uniqueArray(fc.integer({ min: 1, max: 5_000 }), { minLength: 1, maxLength: 8 });
  const histograms = fc
    .tuple(bounds, fc.array(fc.nat({ max: 800 }), { minLength: 9, maxLength: 9 }))
    .map(([les, counts]) =>
      latency(
        ...les.toSorted((a, b) => a - b).map((le, i): [number, number] => [le / 1_000, counts[i] ?? 0]),
        [Infinity, counts[8] ?? 0],
      ),
    );
  const cases: fc.Arbitrary<[Limit, RatioSeries | LatencySeries]> = fc.oneof(
    ratios.map((series): [Limit, RatioSeries] => [errorRate, series]),
    histograms.map((series): [Limit, LatencySeries] => [responseTime, series]),
  );
  const minRequests = fc.constantFrom(1, 50, 1_000);

  test('what fails early fails at the end; nothing passes early', () => {
    fc.assert(
      fc.property(cases, minRequests, fc.boolean(), ([limit, series], min, isStrict) => {
        const how = { ...early, minRequests: min, strict: isStrict };
        const { outcome } = judgeLimit(limit, series, how);
        expect(['fail', 'undecided']).toContain(outcome);
        if (outcome === 'fail')
          expect(judgeLimit(limit, series, { ...how, atEnd: true }).outcome).toBe('fail');
      }),
      { numRuns: 150 },
    );
  });

  test('one more error, or one slower request, never makes it better', () => {
    const order = { fail: 0, inconclusive: 1, undecided: 1, pass: 2 };
    fc.assert(
      fc.property(
        cases,
        minRequests,
        fc.boolean(),
        fc.boolean(),
        fc.nat(),
        ([limit, series], min, isStrict, end, pick) => {
          const how = { atEnd: end, minRequests: min, strict: isStrict, alpha: 0.05 };
          const worse = series.kind === 'ratio' ? moreErrors(series) : slower(series, pick);
          fc.pre(worse !== undefined);
          const before = judgeLimit(limit, series, how).outcome;
          expect(order[judgeLimit(limit, worse, how).outcome]).toBeLessThanOrEqual(order[before]);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('the unit of time changes no verdict', () => {
    fc.assert(
      fc.property(histograms, fc.integer({ min: -9, max: 9 }), fc.boolean(), (series, exponent, end) => {
        const scale = 10 ** exponent;
        const scaled = {
          ...series,
          buckets: series.buckets.map(({ le, count }) => ({ le: le * scale, count })),
        };
        const how = { ...early, atEnd: end };
        const limit: Limit = { ...responseTime, max: 1_000 * scale };
        expect(judgeLimit(limit, scaled, how).outcome).toBe(judgeLimit(responseTime, series, how).outcome);
      }),
      { numRuns: 200 },
    );
  });

  test('stored evidence judged again gives the same bytes', () => {
    fc.assert(
      fc.property(cases, fc.boolean(), ([limit, series], end) => {
        const stored = JSON.stringify(
          judgeLimit(limit, { ...series, notes: ['Noted.'] }, { ...early, atEnd: end }),
        );
        expect(JSON.stringify(replay(JSON.parse(stored) as Verdict))).toBe(stored);
      }),
    );
    expect(() => replay({ outcome: 'pass' })).toThrow(/not a verdict/);
  });
});

function moreErrors(series: RatioSeries): RatioSeries | undefined {
  return series.errors < series.total ? { ...series, errors: series.errors + 1 } : undefined;
}

/** One request of one bucket moved to the next. */
function slower(series: LatencySeries, pick: number): LatencySeries | undefined {
  const at = pick % (series.buckets.length - 1);
  const moved = series.buckets[at];
  if (moved === undefined || moved.count === (series.buckets[at - 1]?.count ?? 0)) return undefined;
  return {
    ...series,
    buckets: series.buckets.map((bucket, i) => (i === at ? { ...bucket, count: bucket.count - 1 } : bucket)),
  };
}
