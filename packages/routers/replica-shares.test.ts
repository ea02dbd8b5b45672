import { DeployError } from '@deploy-actions/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  countsFor,
  describeShare,
  isReachable,
  podsFor,
  podsToReach,
  reachableWeights,
  requireReachable,
  weightsOf,
} from './replica-shares.ts';

const total = fc.integer({ min: 1, max: 300 });
const weight = fc.integer({ min: 0, max: 100 });
const sumOf = (values: Record<string, number>) => Object.values(values).reduce((sum, one) => sum + one, 0);

describe('shares of pods', () => {
  it('of two versions are all of the pods, and never fewer than none', () => {
    fc.assert(
      fc.property(weight, total, (share, pods) => {
        const counts = countsFor(
          [
            { slot: 'new', weight: share },
            { slot: 'old', weight: 100 - share },
          ],
          pods,
        );
        expect(sumOf(counts)).toBe(pods);
        expect(Math.min(...Object.values(counts))).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('that can be reached are reached to the whole percent, with pods of both versions', () => {
    fc.assert(
      fc.property(weight, total, (share, pods) => {
        fc.pre(isReachable(share, pods));
        const count = podsFor(share, pods);
        expect(Math.abs((100 * count) / pods - share)).toBeLessThanOrEqual(0.5);
        if (share > 0 && share < 100) {
          expect(count).toBeGreaterThan(0);
          expect(count).toBeLessThan(pods);
        }
      }),
    );
  });

  it('that are listed as reachable are, and those that are not listed are not', () => {
    fc.assert(
      fc.property(total, (pods) => {
        const listed = reachableWeights(pods);
        for (const share of listed) expect(isReachable(share, pods)).toBe(true);
        // Half a percent is rounded up in the list, and may be asked for either way.
        const all = Array.from({ length: 99 }, (_, index) => index + 1);
        const missed = all.filter((share) => isReachable(share, pods) && !listed.includes(share));
        for (const share of missed) {
          expect(Math.abs((100 * podsFor(share, pods)) / pods - share)).toBe(0.5);
        }
      }),
    );
  });

  it('rise with the weight: more traffic never takes pods away from the new version', () => {
    fc.assert(
      fc.property(weight, weight, total, (a, b, pods) => {
        expect(podsFor(Math.min(a, b), pods)).toBeLessThanOrEqual(podsFor(Math.max(a, b), pods));
      }),
    );
  });

  it('are reached by the fewest pods that are named as needed', () => {
    fc.assert(
      fc.property(
        fc.array(weight, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 40 }),
        (all, least) => {
          const needed = podsToReach(all, least);
          expect(needed).toBeGreaterThanOrEqual(least);
          for (const share of all) expect(isReachable(share, needed)).toBe(true);
          for (let fewer = least; fewer < needed; fewer += 1) {
            expect(all.every((share) => isReachable(share, fewer))).toBe(false);
          }
        },
      ),
    );
  });

  it('in whole percents sum to 100, each within one of the exact share', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 4 }), (counts) => {
        fc.pre(counts.some((count) => count > 0));
        const all = Object.fromEntries(counts.map((count, index) => [`slot-${index}`, count]));
        const weights = weightsOf(all);
        expect(sumOf(weights)).toBe(100);
        for (const [slot, count] of Object.entries(all)) {
          expect(Math.abs((weights[slot] ?? 0) - (100 * count) / sumOf(all))).toBeLessThan(1);
        }
      }),
    );
  });
});

describe('shares that cannot be reached', () => {
  const refusal = (weights: number[], pods: number) => {
    try {
      requireReachable(weights, pods, 'Service helpdesk');
    } catch (thrown) {
      if (thrown instanceof DeployError)
        return { code: thrown.reasonCode, text: `${thrown.message} ${thrown.remedy}` };
      throw thrown;
    }
    return undefined;
  };

  it('are refused with what can be reached, and with how many pods they can', () => {
    expect(refusal([20, 40, 60, 80, 100], 5)).toBeUndefined();
    expect(refusal([33, 67, 100], 3)).toBeUndefined();
    const refused = refusal([20, 50, 100], 3);
    expect(refused?.code).toBe('invalid_input');
    expect(refused?.text).toMatch(/has 3 pods, which cannot give a version 20 %, 50 % of the traffic/);
    expect(refused?.text).toMatch(/reachable are 33 %, 67 %\./);
    expect(refused?.text).toMatch(/scale it to 10 pods/);
    expect(refusal([20, 100], 2)?.text).toMatch(/scale it to 5 pods/);
    expect(refusal([20, 100], 1)?.text).toMatch(/one pod has all of it or none.*Scale it to 5 pods/);
  });

  it('are described with what they come to', () => {
    expect(describeShare(20, 5)).toBe('20 % (1 of 5 pods)');
    expect(describeShare(33, 3)).toBe('33 % (1 of 3 pods, 33.3 %)');
  });
});
