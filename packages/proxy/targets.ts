import { isRecord } from '@deploy-actions/core';
import type { Target } from '@deploy-actions/release-engine';
import { parseAddress } from './address.ts';

const slotPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Everything that is wrong with the targets, in words for people; empty when they can be served. */
export function problemsOfTargets(value: unknown): string[] {
  if (!Array.isArray(value) || value.length === 0) return ['targets must be a list with at least one target'];
  const problems: string[] = [];
  const slots = new Set<string>();
  let sum = 0;
  for (const [index, target] of value.entries()) {
    const entry: unknown = target;
    if (!isRecord(entry)) {
      problems.push(`target ${index + 1} is not an object`);
      continue;
    }
    const { slot, weight, addresses } = entry;
    if (typeof slot !== 'string' || !slotPattern.test(slot)) {
      problems.push(
        `target ${index + 1} has slot ${JSON.stringify(slot)}: a slot is 1 to 63 letters, digits, ".", "_" or "-"`,
      );
      continue;
    }
    if (slots.has(slot)) problems.push(`slot ${slot} is named twice`);
    slots.add(slot);
    if (typeof weight !== 'number' || !Number.isInteger(weight) || weight < 0 || weight > 100) {
      problems.push(
        `slot ${slot} has weight ${JSON.stringify(weight)}: a weight is an integer from 0 to 100`,
      );
      continue;
    }
    sum += weight;
    if (!Array.isArray(addresses)) {
      problems.push(`slot ${slot} has no list of addresses`);
      continue;
    }
    if (weight > 0 && addresses.length === 0)
      problems.push(`slot ${slot} has weight ${weight} and no address`);
    for (const address of addresses) {
      if (typeof address !== 'string' || parseAddress(address) === undefined) {
        problems.push(`slot ${slot} has address ${JSON.stringify(address)}: an address is host:port`);
      }
    }
  }
  if (problems.length === 0 && sum !== 100) problems.push(`the weights sum to ${sum}; they must sum to 100`);
  return problems;
}

/** The targets, without properties that are not ours, or undefined when they have problems. */
export function parseTargets(value: unknown): Target[] | undefined {
  if (problemsOfTargets(value).length > 0) return undefined;
  return (value as Target[]).map(({ slot, weight, addresses }) => ({
    slot,
    weight,
    addresses: [...addresses],
  }));
}
