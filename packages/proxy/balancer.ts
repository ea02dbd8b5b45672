import type { Target } from '@deploy-actions/release-engine';

/**
 * Chooses who answers, and knows who is answering. Choice and registration are one synchronous step, and so is the
 * change of targets: no request can be chosen for a slot by the old targets and be unknown to a drain that begins
 * after the change.
 */
export interface Balancer {
  /** Puts targets in force for requests that come from now on. */
  use(targets: Target[]): void;
  /** Chooses a slot and counts the request as in flight to it; undefined when there are no targets. */
  enter(kind: RequestKind): Passage | undefined;
  /** Requests in flight by slot: every slot of the targets, and any other that still has some. */
  inFlight(): Record<string, number>;
  /** Waits until nothing is in flight to the slot or the signal aborts; how many are then in flight. */
  idle(slot: string, signal: AbortSignal): Promise<number>;
}

/** Probes have a rotation of their own, so that looking at the split does not disturb it. */
export type RequestKind = 'request' | 'probe';

export interface Passage {
  readonly slot: string;
  /** The next address of the slot to try, the least busy first; undefined when all were tried. */
  next(): string | undefined;
  /** The request is no longer in flight. Only the first call counts. */
  leave(): void;
}

/**
 * Smooth weighted round robin: over every full cycle of 100 / gcd(weights) calls each target is returned exactly as
 * often as its weight says, spread as evenly as can be. The algorithm is nginx's: its commit 52327e0627f4, "Upstream:
 * smooth weighted round-robin balancing".
 */
export function weightedRotation(targets: Target[]): () => Target | undefined {
  const candidates = targets.filter(({ weight }) => weight > 0).map((target) => ({ target, current: 0 }));
  const total = candidates.reduce((sum, { target }) => sum + target.weight, 0);
  return () => {
    let best: (typeof candidates)[number] | undefined;
    for (const candidate of candidates) {
      candidate.current += candidate.target.weight;
      if (best === undefined || candidate.current > best.current) best = candidate;
    }
    if (best !== undefined) best.current -= total;
    return best?.target;
  };
}

export function createBalancer(): Balancer {
  let targets: Target[] = [];
  let rotations = { request: weightedRotation([]), probe: weightedRotation([]) };
  let turn = 0;
  const bySlot = createCounter();
  const byAddress = createCounter();
  const waiting = new Map<string, Set<() => void>>();

  /** Least busy first; those equally busy take turns. */
  function inOrder(addresses: string[]): string[] {
    const first = turn++ % addresses.length;
    return [...addresses.slice(first), ...addresses.slice(0, first)].toSorted(
      (a, b) => byAddress.get(a) - byAddress.get(b),
    );
  }

  return {
    use(next) {
      targets = next;
      rotations = { request: weightedRotation(next), probe: weightedRotation(next) };
    },

    enter(kind) {
      const target = rotations[kind]();
      if (target === undefined) return undefined;
      const { slot } = target;
      const addresses = inOrder(target.addresses);
      let current: string | undefined;
      let left = false;
      bySlot.add(slot, 1);
      return {
        slot,
        next() {
          if (current !== undefined) byAddress.add(current, -1);
          current = left ? undefined : addresses.shift();
          if (current !== undefined) byAddress.add(current, 1);
          return current;
        },
        leave() {
          if (left) return;
          left = true;
          if (current !== undefined) byAddress.add(current, -1);
          current = undefined;
          if (bySlot.add(slot, -1) === 0) for (const wake of waiting.get(slot) ?? []) wake();
        },
      };
    },

    inFlight: () => ({ ...Object.fromEntries(targets.map(({ slot }) => [slot, 0])), ...bySlot.all() }),

    async idle(slot, signal) {
      if (bySlot.get(slot) === 0 || signal.aborted) return bySlot.get(slot);
      const sleepers = waiting.get(slot) ?? new Set<() => void>();
      waiting.set(slot, sleepers);
      const { promise, resolve } = Promise.withResolvers<void>();
      sleepers.add(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
      await promise;
      sleepers.delete(resolve);
      if (sleepers.size === 0) waiting.delete(slot);
      return bySlot.get(slot);
    },
  };
}

function createCounter() {
  const counts = new Map<string, number>();
  return {
    get: (key: string) => counts.get(key) ?? 0,
    /** The count after the addition; a key at zero is forgotten. */
    add(key: string, change: 1 | -1): number {
      const count = (counts.get(key) ?? 0) + change;
      if (count === 0) counts.delete(key);
      else counts.set(key, count);
      return count;
    },
    all: () => Object.fromEntries(counts),
  };
}
