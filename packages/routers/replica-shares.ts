import { DeployError } from '@deploy-actions/core';

/** Pods by slot. */
export type Counts = Record<string, number>;

/** Two shares are told apart by their whole percents: 1 of 3 pods is 33 %. */
const tolerance = 0.5;

/** The pods of `total` that come nearest to a share in percent. */
export function podsFor(weight: number, total: number): number {
  return Math.round((weight * total) / 100);
}

/** Whether so many pods have this share, to the whole percent. 0 and 100 are no pods and all of them. */
export function isReachable(weight: number, total: number): boolean {
  if (total < 1) return false;
  const pods = podsFor(weight, total);
  if (weight > 0 && weight < 100 && (pods === 0 || pods === total)) return false;
  return Math.abs((100 * pods) / total - weight) <= tolerance;
}

/** Every share that so many pods can have between none and all, in percent: `[20, 40, 60, 80]` of 5. */
export function reachableWeights(total: number): number[] {
  const weights = Array.from({ length: Math.max(0, total - 1) }, (_, index) =>
    Math.round((100 * (index + 1)) / total),
  );
  return [...new Set(weights)].filter((weight) => weight > 0 && weight < 100);
}

/** The fewest pods, no fewer than there are, that can have each of these shares. 100 pods have every one. */
export function podsToReach(weights: number[], atLeast: number): number {
  for (let total = Math.max(1, atLeast); total < 100; total += 1) {
    if (weights.every((weight) => isReachable(weight, total))) return total;
  }
  return Math.max(100, atLeast);
}

/** `33 % (1 of 3 pods, 33.3 %)`; the exact share is left out where it is the whole percent. */
export function describeShare(weight: number, total: number): string {
  const pods = podsFor(weight, total);
  const exact = (100 * pods) / total;
  const more = exact === weight ? '' : `, ${exact.toFixed(1)} %`;
  return `${weight} % (${pods} of ${total} pods${more})`;
}

/** Throws `invalid_input` for shares that so many pods cannot have: with what they can have, and how many it takes. */
export function requireReachable(weights: number[], total: number, where: string): void {
  const beyond = weights.filter((weight) => !isReachable(weight, total));
  if (beyond.length === 0) return;
  const list = (values: number[]) => values.map((value) => `${value} %`).join(', ');
  const reachable = reachableWeights(total);
  const shown = reachable.length > 12 ? `steps of ${(100 / total).toFixed(1)} %` : list(reachable);
  const needed = podsToReach(weights, total);
  throw new DeployError(
    'invalid_input',
    `${where} has ${total === 1 ? '1 pod' : `${total} pods`}, which cannot give a version ${list(beyond)} of the traffic: ${reachable.length === 0 ? 'one pod has all of it or none' : `reachable are ${shown}`}.`,
    {
      remedy: `${reachable.length === 0 ? 'Scale' : 'Ask for those weights, or scale'} it to ${needed} pods, which can have ${list(weights.filter((weight) => weight < 100))}.`,
    },
  );
}

/** Pods by slot for weights that sum to 100, each slot's own share rounded and the largest taking what is over. */
export function countsFor(shares: { slot: string; weight: number }[], total: number): Counts {
  const counts: Counts = Object.fromEntries(shares.map(({ slot, weight }) => [slot, podsFor(weight, total)]));
  const over = total - Object.values(counts).reduce((sum, count) => sum + count, 0);
  const largest = shares.toSorted((a, b) => b.weight - a.weight)[0];
  if (largest !== undefined) counts[largest.slot] = (counts[largest.slot] ?? 0) + over;
  return counts;
}

/** Whole percents that sum to 100 of pods by slot, by the largest remainder; all 0 of no pods. */
export function weightsOf(counts: Counts): Record<string, number> {
  const slots = Object.entries(counts);
  const total = slots.reduce((sum, [, count]) => sum + count, 0);
  if (total === 0) return Object.fromEntries(slots.map(([slot]) => [slot, 0]));
  const exact = slots.map(([slot, count]) => ({ slot, share: (100 * count) / total }));
  const weights = Object.fromEntries(exact.map(({ slot, share }) => [slot, Math.floor(share)]));
  let missing = 100 - Object.values(weights).reduce((sum, weight) => sum + weight, 0);
  for (const { slot } of exact.toSorted((a, b) => (b.share % 1) - (a.share % 1))) {
    if (missing === 0) break;
    weights[slot] = (weights[slot] ?? 0) + 1;
    missing -= 1;
  }
  return weights;
}
