/**
 * An interval for a proportion that stays valid however often it is looked at: with probability 1 − alpha the true
 * proportion lies in every one of the intervals, at every look and at every number of requests.
 *
 * The method is the beta-binomial mixture. For a true proportion p, the likelihood ratio of "some proportion drawn
 * from Beta(a, b)" to "p" is a non-negative martingale that begins at 1, so by Ville's inequality it ever reaches
 * 1/alpha with probability at most alpha. The interval holds every p for which it has not. Sources: Robbins (1970),
 * "Statistical methods related to the law of the iterated logarithm", Ann. Math. Statist. 41(5), whose example is
 * a = b = 1; Howard, Ramdas, McAuliffe, Sekhon (2021), "Time-uniform, nonparametric, nonasymptotic confidence
 * sequences", Ann. Statist. 49(2).
 */

/** Both ends as shares from 0 to 1. */
export interface Interval {
  lower: number;
  upper: number;
}

/** The parameters of the mixing Beta distribution. They must be chosen before the data are seen. */
export interface Mixture {
  a: number;
  b: number;
}

/**
 * The mixture for judging against a limit: an exponential-like prior with its mean at the limit, where the decision
 * is. It finds a rate slightly beyond a small limit with fewer requests than a uniform mixture does, and because
 * its mean is the limit, the first failure alone leaves the martingale at 1 or below: whatever alpha is, one failed
 * request is never evidence.
 */
export function mixtureAround(limit: number): Mixture {
  return { a: 1, b: (1 - limit) / limit };
}

/**
 * The always-valid interval for `count` of `total`. Counts are at least 0, need not be whole (some sources
 * extrapolate), and `count` is at most `total`; 0 < alpha < 1. Without data it is the whole range.
 */
export function confidenceInterval(count: number, total: number, alpha: number, mixture: Mixture): Interval {
  const threshold = -Math.log(alpha);
  const mode = total === 0 ? 0.5 : count / total;
  const excluded = (p: number) => logEvidence(p, count, total, mixture) >= threshold;
  return {
    lower: count === 0 ? 0 : bisect(0, mode, excluded),
    upper: count === total ? 1 : bisect(1, mode, excluded),
  };
}

/**
 * The logarithm of the martingale: ln of B(a+s, b+f) / B(a, b) / (p^s (1−p)^f) for s = `count` and
 * f = `total` − `count`. It is convex in p with its minimum, which is at most 0, at the observed share.
 *
 * Written out with Stirling's formula, the large terms of the three gamma functions and of the likelihood join into
 * a divergence between two proportions and cancel before they are rounded: the absolute error stays below 1e-6 up
 * to a thousand million counts, where log-gamma values taken one by one would have lost everything below 1e-5.
 */
export function logEvidence(p: number, count: number, total: number, { a, b }: Mixture): number {
  const x = a + count;
  const y = b + (total - count);
  const n = a + b + total;
  const logP = Math.log(p);
  const logQ = Math.log1p(-p);
  const divergence = x * (Math.log(x / n) - logP) + y * (Math.log(y / n) - logQ);
  return divergence + a * logP + b * logQ + logBetaCorrection(x, y) - logBeta(a, b);
}

function logBeta(x: number, y: number): number {
  const n = x + y;
  return x * Math.log(x / n) + y * Math.log(y / n) + logBetaCorrection(x, y);
}

/** What is left of ln B(x, y) without x ln(x/n) + y ln(y/n), for n = x + y. */
function logBetaCorrection(x: number, y: number): number {
  const n = x + y;
  return 0.5 * Math.log((2 * Math.PI * (n / x)) / y) + stirlingError(x) + stirlingError(y) - stirlingError(n);
}

/**
 * ln Γ(x) − [(x − ½) ln x − x + ½ ln 2π] for x > 0, to about 1e-15: the asymptotic series with Bernoulli numbers
 * (Abramowitz and Stegun 6.1.41) from 16 up, and below that the recurrence that follows from Γ(x+1) = x Γ(x).
 */
export function stirlingError(x: number): number {
  let recurrence = 0;
  let z = x;
  for (; z < 16; z += 1) recurrence += (z + 0.5) * Math.log1p(1 / z) - 1;
  const r = 1 / (z * z);
  return recurrence + (1 / 12 - r * (1 / 360 - r * (1 / 1260 - r * (1 / 1680 - r / 1188)))) / z;
}

/** The boundary between the excluded end and the included mode, to the last bit and on the excluded side. */
function bisect(end: number, mode: number, excluded: (p: number) => boolean): number {
  let outside = end;
  let inside = mode;
  for (;;) {
    const middle = outside + (inside - outside) / 2;
    if (middle === outside || middle === inside) return outside;
    if (excluded(middle)) outside = middle;
    else inside = middle;
  }
}
