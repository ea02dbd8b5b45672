import { cancelled, type Deadline, DeployError, digestOf, type Log, sleep } from '@deploy-actions/core';
import type { DeliveryEvent, DeliveryOptions } from './deliver.ts';
import type { Lease } from './lease.ts';
import { isReady, sameTargets, weightOf } from './machine.ts';
import type { Fence, Platform, Readiness, Router, Slot, StateStore, Target, Traffic } from './ports.ts';

/** How a release behaves in the world of a test. */
export interface TestRelease {
  version: string;
  behaviour?: 'good' | 'exits' | 'never-ready';
}

interface Place {
  release: TestRelease | null;
  /** Whether its one process runs. */
  up: boolean;
}

/** One host in memory: it outlives the runs that change it, as a real one does. */
export interface World {
  places: Map<string, Place>;
  traffic: Traffic;
  documents: Map<string, { value: unknown; version: number }>;
  /** The token of the lease's holder. */
  holder: number;
  /** Instants at which traffic went to what was not ready, or did not sum to 100. */
  wrongs: string[];
  changes: string[];
}

export function createWorld(): World {
  return {
    places: new Map([
      ['blue', { release: null, up: false }],
      ['green', { release: null, up: false }],
    ]),
    traffic: { targets: [], version: '0' },
    documents: new Map(),
    holder: 0,
    wrongs: [],
    changes: [],
  };
}

export function slotsOf(world: World): Slot<TestRelease>[] {
  return [...world.places].map(([name, { release, up }], at) => {
    const ready = up && release !== null && (release.behaviour ?? 'good') === 'good';
    return {
      name,
      release,
      revision: release === null ? null : digestOf(release),
      wanted: release === null ? 0 : 1,
      ready: ready ? 1 : 0,
      instances: release === null ? [] : [{ address: `127.0.0.1:${8_001 + at}`, ready }],
    };
  });
}

export function weightIn(world: World, version: string): number {
  return slotsOf(world)
    .filter((slot) => slot.release?.version === version && isReady(slot))
    .reduce((sum, slot) => sum + weightOf(world.traffic.targets, slot.name), 0);
}

function look(world: World): void {
  const { targets } = world.traffic;
  const sum = targets.reduce((total, { weight }) => total + weight, 0);
  if (targets.length > 0 && sum !== 100) world.wrongs.push(`the weights sum to ${sum}`);
  for (const slot of slotsOf(world)) {
    if (weightOf(targets, slot.name) > 0 && !isReady(slot)) {
      world.wrongs.push(`${slot.name} has traffic and is not ready, after ${world.changes.at(-1)}`);
    }
  }
}

/** What a test does to the n-th change of a run. */
export type Interference = (change: number, what: string, make: () => void) => void;

export class Killed extends Error {
  constructor() {
    super('killed');
  }
}

/** Kills the run at its n-th change, counted from 1: nothing of it works from then on. */
export function killAt(n: number, when: 'before' | 'after'): Interference {
  let dead = false;
  return (change, _what, make) => {
    if (dead) throw new Killed();
    if (change === n) {
      if (when === 'after') make();
      dead = true;
      throw new Killed();
    }
    make();
  };
}

export interface Run {
  lease: Lease;
  options: DeliveryOptions<TestRelease>;
  events: DeliveryEvent[];
  warnings: string[];
  /** How many changes it has made or tried to. */
  changes(): number;
}

/** One run against the world: takes the lease from whoever had it. */
export function openRun(
  world: World,
  changes: Partial<DeliveryOptions<TestRelease>> = {},
  interfere: Interference = (_change, _what, make) => make(),
  id = 'run',
): Run {
  let count = 0;
  const mutate = (what: string, make: () => void) => {
    count += 1;
    interfere(count, what, () => {
      make();
      world.changes.push(what);
      look(world);
    });
  };
  world.holder += 1;
  const token = world.holder;
  const fence: Fence = {
    token,
    check: () =>
      world.holder === token
        ? Promise.resolve()
        : Promise.reject(new DeployError('lock_lost', 'The lease was taken over.')),
  };
  const lease: Lease = { fence, release: () => Promise.resolve() };

  const place = (name: string): Place => {
    const found = world.places.get(name);
    if (found === undefined) throw new Error(`no slot ${name}`);
    return found;
  };

  const platform: Platform<TestRelease> = {
    name: 'memory',
    observe: () => Promise.resolve(slotsOf(world)),
    async deploy(slot, release, held) {
      const there = place(slot);
      if (there.release !== null && digestOf(there.release) !== digestOf(release)) {
        await held.check();
        mutate(`stop ${there.release.version} in ${slot}`, () =>
          world.places.set(slot, { ...there, up: false }),
        );
      }
      await held.check();
      const up = there.up && there.release !== null && digestOf(there.release) === digestOf(release);
      mutate(`write ${release.version} to ${slot}`, () => world.places.set(slot, { release, up }));
      if (up) return;
      await held.check();
      mutate(`start ${release.version} in ${slot}`, () =>
        world.places.set(slot, { release, up: release.behaviour !== 'exits' }),
      );
    },
    async *ready(slot: string, deadline: Deadline, signal: AbortSignal): AsyncGenerator<Readiness> {
      for (;;) {
        const seen = slotsOf(world).find(({ name }) => name === slot);
        if (!place(slot).up) throw new DeployError('start_failed', `${slot} ended by itself.`);
        if (isReady(seen)) {
          yield { ready: true, message: 'ready' };
          return;
        }
        if (deadline.passed()) throw new DeployError('not_ready', `${slot} is not ready.`);
        yield { ready: false, message: 'not ready' };
        await sleep(2, signal, 'waiting until ready');
      }
    },
    scale: () => Promise.reject(new Error('not used')),
    async retire(slot, held) {
      const there = place(slot);
      await held.check();
      mutate(`stop ${slot}`, () => world.places.set(slot, { ...there, up: false }));
      await held.check();
      mutate(`empty ${slot}`, () => world.places.set(slot, { release: null, up: false }));
    },
  };

  const router: Router = {
    name: 'memory',
    capabilities: { weights: true, keepAlive: 'lossless', fencing: 'checked', drain: true },
    read: () => Promise.resolve(structuredClone(world.traffic)),
    async apply(targets: Target[], expected: string, held: Fence) {
      await held.check();
      if (expected !== world.traffic.version) throw new DeployError('state_conflict', 'Changed meanwhile.');
      mutate(`traffic ${targets.map(({ slot, weight }) => `${slot}=${weight}`).join(' ')}`, () => {
        world.traffic = { targets, version: String(Number(world.traffic.version) + 1) };
      });
      return structuredClone(world.traffic);
    },
    verify: (traffic, _deadline, signal) => {
      if (signal.aborted) return Promise.reject(cancelled('verifying'));
      return Promise.resolve({
        matches: sameTargets(traffic.targets, world.traffic.targets),
        answers: {},
        detail: 'every answer from where it should be',
      });
    },
    drain: (slot, _deadline, signal) =>
      signal.aborted
        ? Promise.reject(cancelled(`draining ${slot}`))
        : Promise.resolve({ complete: true, inFlight: 0, elapsed: 0 }),
  };

  const store: StateStore = {
    location: 'memory',
    read: (key) => Promise.resolve(structuredClone(world.documents.get(key) ?? { value: null, version: 0 })),
    write(key, value, expected) {
      const version = world.documents.get(key)?.version ?? 0;
      if (version !== expected) return Promise.reject(new DeployError('state_conflict', `${key} changed.`));
      try {
        mutate(`store ${key}`, () =>
          world.documents.set(key, { value: structuredClone(value), version: version + 1 }),
        );
      } catch (thrown) {
        return Promise.reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
      }
      return Promise.resolve(version + 1);
    },
    touch: () => Promise.resolve(),
    age: () => Promise.resolve(0),
  };

  const warnings: string[] = [];
  const events: DeliveryEvent[] = [];
  const log: Log = {
    info: () => {},
    warning: (message) => warnings.push(message),
    debug: () => {},
    progress: () => {},
  };
  return {
    lease,
    events,
    warnings,
    changes: () => count,
    options: {
      platform,
      router,
      store,
      log,
      signal: new AbortController().signal,
      run: { id, url: '', actor: '' },
      readyTimeout: 30,
      verifyTimeout: 30,
      drainTimeout: 30,
      readPauses: [1, 1],
      cancelBudget: 200,
      hold: () => Promise.resolve({ pass: true }),
      onEvent: (event) => events.push(event),
      ...changes,
    },
  };
}
