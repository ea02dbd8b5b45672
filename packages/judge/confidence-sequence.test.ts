import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { confidenceInterval, logEvidence, mixtureAround, stirlingError } from './confidence-sequence.ts';

const uniform = { a: 1, b: 1 };

describe('logEvidence', () => {
  test.each([
    // p, count, total, a, b, and the value computed with 60 digits
    [0.05, 43, 214, 1, 19, 26.5588253070336],
    [0.3, 7, 7, 1, 2.5, 4.21331937429028],
    [0.01, 0, 100, 1, 99, 0.306848610760242],
    [0.5, 500_005_000, 1e9, 1, 1, -10.0858415666276],
    [0.05, 50_010_000, 1e9, 1, 19, -7.8925771416227],
    [1e-6, 1_100, 1e9, 1, 999_999, 1.25354470418199],
    [0.999, 998_997_000, 1e9, 1, 0.001001001001001001, -8.40447137255764],
  ])('at p = %d, %d of %d, Beta(%d, %d)', (p, count, total, a, b, expected) => {
    expect(Math.abs(logEvidence(p, count, total, { a, b }) - expected)).toBeLessThan(1e-6);
  });

  test('with the uniform mixture it is Robbins’ 1 / ((n+1) b(n, p, s)), exactly counted', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 60 }),
        fc.nat(),
        fc.integer({ min: 1, max: 99 }),
        (total, seed, percent) => {
          const count = seed % (total + 1);
          let choose = 1n;
          for (let k = 1n; k <= BigInt(count); k += 1n) choose = (choose * (BigInt(total) - k + 1n)) / k;
          const p = percent / 100;
          const robbins = 1 / ((total + 1) * Number(choose) * p ** count * (1 - p) ** (total - count));
          expect(logEvidence(p, count, total, uniform)).toBeCloseTo(Math.log(robbins), 9);
        },
      ),
    );
  });

  test('is a martingale: its mean over the next request is its value', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 5_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        (total, share, p, limit) => {
          const mixture = mixtureAround(limit);
          const count = Math.floor(share * total);
          const now = logEvidence(p, count, total, mixture);
          const failed = Math.exp(logEvidence(p, count + 1, total + 1, mixture) - now);
          const succeeded = Math.exp(logEvidence(p, count, total + 1, mixture) - now);
          expect(p * failed + (1 - p) * succeeded).toBeCloseTo(1, 6);
        },
      ),
    );
  });
});

test.each([
  [0.001, 2.5422704679670947],
  [0.5, 0.15342640972002736],
  [1, 0.081061466795327261],
  [15.9, 0.0052403998807561084],
  [16, 0.0052076559196096404],
  [100, 0.00083333055563491467],
  [1e9, 8.333333333333333e-11],
])('stirlingError(%d)', (x, expected) => {
  expect(Math.abs(stirlingError(x) - expected)).toBeLessThan(3e-15);
});

describe('confidenceInterval', () => {
  const counts = fc
    .tuple(fc.integer({ min: 0, max: 1_000_000_000 }), fc.integer({ min: 0, max: 1_000_000_000 }))
    .map(([a, b]) => ({ count: Math.min(a, b), total: Math.max(a, b) }));
  const limits = fc.double({ min: 1e-4, max: 0.9, noNaN: true });

  test('holds the observed share, within 0 and 1, and narrows with a larger alpha', () => {
    fc.assert(
      fc.property(counts, limits, ({ count, total }, limit) => {
        const strict = confidenceInterval(count, total, 0.01, mixtureAround(limit));
        const loose = confidenceInterval(count, total, 0.2, mixtureAround(limit));
        expect(strict.lower).toBeGreaterThanOrEqual(0);
        expect(strict.upper).toBeLessThanOrEqual(1);
        expect(strict.lower).toBeLessThanOrEqual(loose.lower);
        expect(strict.upper).toBeGreaterThanOrEqual(loose.upper);
        if (total > 0) {
          expect(loose.lower).toBeLessThanOrEqual(count / total);
          expect(loose.upper).toBeGreaterThanOrEqual(count / total);
        }
      }),
    );
  });

  test('rises with the count', () => {
    fc.assert(
      fc.property(counts, limits, ({ count, total }, limit) => {
        fc.pre(count < total);
        const fewer = confidenceInterval(count, total, 0.05, mixtureAround(limit));
        const more = confidenceInterval(count + 1, total, 0.05, mixtureAround(limit));
        expect(more.lower).toBeGreaterThanOrEqual(fewer.lower);
        expect(more.upper).toBeGreaterThanOrEqual(fewer.upper);
      }),
    );
  });

  test('without data it is everything; without failures, or with nothing else, it reaches the end', () => {
    expect(confidenceInterval(0, 0, 0.05, uniform)).toEqual({ lower: 0, upper: 1 });
    expect(confidenceInterval(0, 100, 0.05, uniform).lower).toBe(0);
    expect(confidenceInterval(100, 100, 0.05, uniform).upper).toBe(1);
  });

  test('a single failure, whenever it comes, is never evidence against the limit', () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 100_000 }), (limit, total) => {
        fc.pre(1 / total > limit);
        expect(logEvidence(limit, 1, total, mixtureAround(limit))).toBeLessThanOrEqual(1e-9);
      }),
    );
  });
});

describe('simulated streams of requests', () => {
  const limit = 0.05;
  const alpha = 0.05;
  const mixture = mixtureAround(limit);
  const threshold = -Math.log(alpha);

  test('at a true rate of exactly the limit, looking 200 times, at most alpha of 10,000 ever leave the interval', () => {
    const random = generator(1);
    const streams = 10_000;
    let left = 0;
    for (let stream = 0; stream < streams; stream += 1) {
      let failures = 0;
      for (let n = 1; n <= 2_000; n += 1) {
        if (random() < limit) failures += 1;
        if (n % 10 === 0 && logEvidence(limit, failures, n, mixture) >= threshold) {
          left += 1;
          break;
        }
      }
    }
    console.log(
      `true rate at the limit: ${(100 * left) / streams} % of streams ever left the interval (alpha 5 %)`,
    );
    expect(left / streams).toBeLessThanOrEqual(alpha + 3 * Math.sqrt((alpha * (1 - alpha)) / streams));
    expect(left).toBeGreaterThan(0);
  });

  test.each([
    { rate: 0.2, look: 1, atMost: 300 },
    { rate: 0.1, look: 1, atMost: 1_500 },
    { rate: 0.06, look: 50, atMost: 40_000 },
  ])('a true rate of $rate is found in at most $atMost requests', ({ rate, look, atMost }) => {
    const random = generator(2);
    const needed = Array.from({ length: 200 }, () => {
      let failures = 0;
      for (let n = 1; n < atMost; n += 1) {
        if (random() < rate) failures += 1;
        const over = n % look === 0 && failures > n * limit;
        if (over && logEvidence(limit, failures, n, mixture) >= threshold) return n;
      }
      return Infinity;
    }).toSorted((a, b) => a - b);
    console.log(
      `${rate * 100} % against a limit of 5 %: half found by ${needed[100]} requests, 95 % by ${needed[190]}`,
    );
    expect(needed[190]).toBeLessThan(atMost);
  });
});

/** mulberry32, a small repeatable generator of numbers in [0, 1). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
