import { digestOf } from '@deploy-actions/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Journal, Phase, Reason } from './journal.ts';
import {
  type Effect,
  isReady,
  next,
  sameTargets,
  type Seen,
  settleWith,
  type Sure,
  takeBack,
  weightOf,
} from './machine.ts';
import type { Release, Slot, Target } from './ports.ts';

const v1: Release = { version: '1' };
const v2: Release = { version: '2' };
const v3: Release = { version: '3' };
const phases: Phase[] = [
  'starting',
  'shifting',
  'holding',
  'draining',
  'retiring',
  'reverting',
  'cleaning',
  'finished',
  'reverted',
];
const reason: Reason = { reasonCode: 'limit_exceeded', message: 'too many errors', details: [] };

function slotWith(name: string, release: Release | null, instances: boolean[]): Slot {
  return {
    name,
    release,
    revision: release === null ? null : digestOf(release),
    wanted: release === null ? 0 : instances.length,
    ready: release === null ? 0 : instances.filter(Boolean).length,
    instances:
      release === null ? [] : instances.map((ready, at) => ({ address: `${name}:${8_000 + at}`, ready })),
  };
}

function addressesOf(slot: Slot | undefined): string[] {
  return (slot?.instances ?? []).map(({ address }) => address);
}

function journalOf(changes: Partial<Journal> = {}): Journal {
  return {
    id: 'one',
    strategy: 'canary',
    run: { id: '7', url: '', actor: '' },
    startedAt: '2000-01-01T00:00:00Z',
    from: { slot: 'blue', release: v1 },
    to: { slot: 'green', release: v2 },
    before: [],
    weights: [20, 60, 100],
    step: 0,
    phase: 'starting',
    keepPrevious: true,
    reason: null,
    resumed: 0,
    ...changes,
  };
}

/** Slots, traffic and a journal in which every effect does what it says, or fails where it is told to. */
interface Model {
  journal: Journal;
  slots: Slot[];
  targets: Target[];
  sure: Set<Sure>;
  /** By slots. */
  followers?: { workers: string[]; scheduler: string };
}

type Step = Exclude<Effect, { do: 'stop' }>;

function apply(model: Model, effect: Step): void {
  const slot = 'slot' in effect ? model.slots.find(({ name }) => name === effect.slot) : undefined;
  const replace = (changed: Slot) => {
    model.slots = model.slots.map((one) => (one.name === changed.name ? changed : one));
  };
  switch (effect.do) {
    case 'deploy':
      replace(slotWith(effect.slot, effect.release, [false, false]));
      model.sure.add('deployed');
      break;
    case 'await-ready':
      if (slot !== undefined)
        replace(
          slotWith(
            slot.name,
            slot.release,
            slot.instances.map(() => true),
          ),
        );
      model.sure.add('ready');
      break;
    case 'shift':
      model.targets = effect.targets;
      model.sure.delete('verified');
      break;
    case 'verify':
      model.sure.add('verified');
      break;
    case 'hold':
      model.sure.add('held');
      break;
    case 'drain':
      model.sure.add('drained');
      break;
    case 'join':
      if (model.followers !== undefined) {
        const { workers, scheduler } = model.followers;
        model.followers = { workers: [...new Set([...workers, effect.slot])], scheduler };
      }
      model.sure.add('joined');
      break;
    case 'hand-over':
      model.followers = { workers: [effect.slot], scheduler: effect.slot };
      model.sure.add('handed-over');
      break;
    case 'retire':
      replace(slotWith(effect.slot, null, []));
      break;
    case 'record': {
      model.journal = { ...model.journal, ...effect.changes };
      const keep = model.sure.has('ready') && model.journal.phase !== 'reverting';
      model.sure = new Set(keep ? ['ready'] : []);
      break;
    }
    case 'take-back':
      throw new Error('not an effect of the world');
  }
}

/** What no step may do, whatever the world was like. */
function checkStep(model: Model, effect: Step): void {
  const { journal, slots, targets } = model;
  const slotNamed = (name: string) => slots.find((slot) => slot.name === name);
  switch (effect.do) {
    case 'shift': {
      const total = effect.targets.reduce((sum, { weight }) => sum + weight, 0);
      expect(total).toBe(100);
      expect(sameTargets(effect.targets, targets)).toBe(false);
      for (const { slot, weight, addresses } of effect.targets) {
        if (weight === 0) continue;
        expect(addresses).toEqual(addressesOf(slotNamed(slot)));
        expect(addresses.length).toBeGreaterThan(0);
        if (weight > weightOf(targets, slot)) {
          // The old version keeps what it has of the traffic even when it ails; nobody is given more unless ready.
          const isOldOnWayForth = slot === journal.from?.slot && journal.phase !== 'reverting';
          if (!isOldOnWayForth) expect(isReady(slotNamed(slot))).toBe(true);
        }
      }
      break;
    }
    case 'deploy': {
      const slot = slotNamed(effect.slot);
      const already = slot?.revision === digestOf(effect.release) && isReady(slot);
      expect(already).toBe(false);
      break;
    }
    case 'retire': {
      expect(weightOf(targets, effect.slot)).toBe(0);
      const release = effect.slot === journal.from?.slot ? journal.from.release : journal.to.release;
      expect(slotNamed(effect.slot)?.revision).toBe(digestOf(release));
      break;
    }
    case 'verify':
      expect(model.sure.has('verified')).toBe(false);
      break;
    case 'hold':
      expect(weightOf(targets, journal.to.slot)).toBe(effect.weight);
      expect(model.sure.has('held')).toBe(false);
      break;
    case 'drain':
      expect(weightOf(targets, effect.slot)).toBe(0);
      break;
    case 'join':
      expect(weightOf(targets, effect.slot)).toBeLessThan(100);
      break;
    case 'hand-over':
      expect(weightOf(targets, effect.slot)).toBe(100);
      break;
    default:
      break;
  }
}

interface Ending {
  model: Model;
  effects: Step[];
  /** The journal when something failed that leaves no other way. */
  stuck: Journal | null;
}

/** Drives the model to its end, or to where it is killed; `fails` says of the n-th effect whether it fails. */
function drive(start: Model, fails: (index: number) => boolean, killedAt = Infinity): Ending {
  const model: Model = { ...start, slots: [...start.slots], sure: new Set(start.sure) };
  const effects: Step[] = [];
  const bound = 40 + 6 * model.journal.weights.length;
  for (let index = 0; index < bound; index += 1) {
    const seen: Seen = {
      slots: model.slots,
      traffic: { targets: model.targets, version: '1' },
      sure: model.sure,
      hasFollowers: model.followers !== undefined,
      hasWorkers: model.followers !== undefined,
    };
    const effect = next(model.journal, seen);
    if (index >= killedAt) return { model, effects, stuck: null };
    if (effect.do === 'stop') return { model, effects, stuck: null };
    effects.push(effect);
    if (effect.do !== 'take-back') checkStep(model, effect);
    const failed =
      effect.do === 'take-back' ? effect.reason : effect.do !== 'record' && fails(index) ? reason : null;
    if (effect.do !== 'take-back' && failed === null) {
      apply(model, effect);
      continue;
    }
    const back = takeBack(model.journal, failed ?? reason);
    if (back === model.journal) return { model, effects, stuck: model.journal };
    model.journal = back;
    model.sure = new Set();
  }
  throw new Error(`no end after ${bound} effects: ${effects.map((effect) => effect.do).join(' ')}`);
}

function isGood({ model }: Ending): void {
  const { journal, targets, slots } = model;
  const { from, to, phase } = journal;
  if (phase === 'finished') {
    expect(weightOf(targets, to.slot)).toBe(100);
    const slot = slots.find(({ name }) => name === to.slot);
    expect(isReady(slot)).toBe(true);
  } else {
    expect(phase).toBe('reverted');
    if (from !== null) {
      expect(weightOf(targets, from.slot)).toBe(100);
      expect(weightOf(targets, to.slot)).toBe(0);
    }
  }
}

const anyInstances = fc.array(fc.boolean(), { minLength: 1, maxLength: 3 });
const anySlot = (name: string) =>
  fc
    .record({ release: fc.constantFrom(null, v1, v2, v3), instances: anyInstances })
    .map(({ release, instances }) => slotWith(name, release, instances));
const anySlots = fc.tuple(anySlot('blue'), anySlot('green')).map((pair): Slot[] => pair);
const anyTargets = (slots: Slot[]) =>
  fc.option(fc.integer({ min: 0, max: 100 }), { freq: 4 }).map((weight): Target[] =>
    weight === null
      ? []
      : [
          { slot: 'green', weight, addresses: addressesOf(slots[1]) },
          { slot: 'blue', weight: 100 - weight, addresses: addressesOf(slots[0]) },
        ],
  );
const anyWeights = fc
  .uniqueArray(fc.integer({ min: 1, max: 99 }), { maxLength: 4 })
  .map((weights) => [...weights.toSorted((a, b) => a - b), 100]);
const anyJournal = anyWeights.chain((weights) =>
  fc
    .record({
      weights: fc.constant(weights),
      step: fc.integer({ min: 0, max: weights.length - 1 }),
      phase: fc.constantFrom(...phases),
      from: fc.constantFrom(null, { slot: 'blue', release: v1 }),
      adopted: fc.boolean(),
      keepPrevious: fc.boolean(),
    })
    .map(({ adopted, from, ...rest }) =>
      journalOf({
        ...rest,
        from,
        to: { slot: 'green', release: v2, adopted },
        // What is drained or retired had its last weight.
        step: rest.phase === 'draining' || rest.phase === 'retiring' ? weights.length - 1 : rest.step,
      }),
    ),
);
const anySure = fc
  .subarray<Sure>(['deployed', 'ready', 'verified', 'held', 'drained'])
  .map((sure) => new Set(sure));
const anyModel: fc.Arbitrary<Model> = fc.tuple(anyJournal, anySlots).chain(([journal, slots]) =>
  fc.record({
    journal: fc.constant(journal),
    slots: fc.constant(slots),
    targets: anyTargets(slots),
    sure: fc.constant(new Set<Sure>()),
  }),
);

describe('next, for any journal and any world', () => {
  it('has an answer, whatever is sure', () => {
    fc.assert(
      fc.property(anyModel, anySure, (model, sure) => {
        const effect = next(model.journal, {
          slots: model.slots,
          traffic: { targets: model.targets, version: '1' },
          sure,
        });
        expect(effect).toHaveProperty('do');
      }),
      { numRuns: 500 },
    );
  });

  it('has an answer where no slot is known at all', () => {
    for (const phase of phases) {
      for (const from of [null, { slot: 'blue', release: v1 }]) {
        const journal = journalOf({ phase, from });
        const seen: Seen = { slots: [], traffic: { targets: [], version: '1' }, sure: new Set() };
        expect(next(journal, seen)).toHaveProperty('do');
      }
    }
  });

  it('ends in exactly one of the two good states when effects do what they say', () => {
    fc.assert(
      fc.property(anyModel, (model) => {
        fc.pre(model.journal.phase !== 'finished' && model.journal.phase !== 'reverted');
        const ending = drive(model, () => false);
        expect(ending.stuck).toBeNull();
        isGood(ending);
      }),
      { numRuns: 2_000 },
    );
  });

  it('ends in a good state when one effect fails on the way forth, and keeps the journal when one fails after', () => {
    fc.assert(
      fc.property(anyModel, fc.nat({ max: 25 }), (model, failing) => {
        fc.pre(model.journal.phase !== 'finished' && model.journal.phase !== 'reverted');
        const ending = drive(model, (index) => index === failing);
        if (ending.stuck === null) isGood(ending);
        else expect(['draining', 'retiring', 'reverting', 'cleaning']).toContain(ending.stuck.phase);
      }),
      { numRuns: 2_000 },
    );
  });

  it('goes on to a good state when it is killed after any effect and all that was sure is forgotten', () => {
    fc.assert(
      fc.property(anyModel, fc.nat({ max: 25 }), fc.constantFrom(v2, v3, null), (model, killedAt, wanted) => {
        fc.pre(model.journal.phase !== 'finished' && model.journal.phase !== 'reverted');
        const { model: left } = drive(model, () => false, killedAt);
        fc.pre(left.journal.phase !== 'finished' && left.journal.phase !== 'reverted');
        const journal = settleWith(left.journal, wanted === null ? null : digestOf(wanted));
        const ending = drive({ ...left, journal, sure: new Set() }, () => false);
        expect(ending.stuck).toBeNull();
        isGood(ending);
        const wasGoingBack = journal.phase === 'reverting' || journal.phase === 'cleaning';
        if (wanted === v2 && !wasGoingBack && ending.model.journal.reason === null) {
          expect(ending.model.journal.phase).toBe('finished');
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('does nothing at all the second time', () => {
    fc.assert(
      fc.property(anyModel, (model) => {
        fc.pre(model.journal.phase !== 'finished' && model.journal.phase !== 'reverted');
        const { model: ended } = drive(model, () => false);
        const again = drive({ ...ended, sure: new Set() }, () => false);
        expect(again.effects).toEqual([]);
      }),
    );
  });
});

/** A world in which version 1 serves from blue and green is empty. */
function serving(changes: Partial<Journal> = {}): Model {
  const blue = slotWith('blue', v1, [true, true]);
  return {
    journal: journalOf(changes),
    slots: [blue, slotWith('green', null, [])],
    targets: [{ slot: 'blue', weight: 100, addresses: addressesOf(blue) }],
    sure: new Set(),
  };
}

/** The same with version 2 ready in green and this share of the traffic. */
function canaryAt(weight: number, changes: Partial<Journal>): Model {
  const blue = slotWith('blue', v1, [true, true]);
  const green = slotWith('green', v2, [true]);
  return {
    journal: journalOf(changes),
    slots: [blue, green],
    targets: [
      { slot: 'green', weight, addresses: addressesOf(green) },
      { slot: 'blue', weight: 100 - weight, addresses: addressesOf(blue) },
    ],
    sure: new Set(),
  };
}

function words({ effects, model }: Ending): string[] {
  return effects.map((effect) => {
    switch (effect.do) {
      case 'record':
        return `→ ${effect.changes.phase}`;
      case 'shift':
        return `shift ${weightOf(effect.targets, model.journal.to.slot)}`;
      case 'hold':
        return `hold ${effect.weight}${effect.last ? ' last' : ''}`;
      case 'deploy':
      case 'await-ready':
      case 'drain':
      case 'retire':
      case 'join':
      case 'hand-over':
        return `${effect.do} ${effect.slot}`;
      default:
        return effect.do;
    }
  });
}

describe('a release', () => {
  const begin = ['deploy green', 'await-ready green', '→ shifting'];
  const step = (weight: number) => [`shift ${weight}`, 'verify', '→ holding', `hold ${weight}`, '→ shifting'];
  const allTraffic = ['shift 100', 'verify', '→ holding', 'hold 100 last', '→ draining'];

  it('walks the weights in order, drains and keeps the old version', () => {
    expect(words(drive(serving(), () => false))).toEqual([
      ...begin,
      ...step(20),
      ...step(60),
      ...allTraffic,
      'drain blue',
      '→ finished',
    ]);
  });

  it('stops the old version when it is not to be kept, after it is drained', () => {
    const effects = words(drive(serving({ keepPrevious: false, weights: [100] }), () => false));
    expect(effects.slice(-4)).toEqual(['drain blue', '→ retiring', 'retire blue', '→ finished']);
  });

  it('gives a first release everything at once and drains nothing', () => {
    const first = { ...serving({ from: null }), slots: [slotWith('green', null, [])], targets: [] };
    const ending = drive(first, () => false);
    expect(words(ending)).toEqual([...begin, ...allTraffic, '→ finished']);
  });

  it('keeps a first release that failed with all traffic: there is nothing to give it back to', () => {
    const first = { ...serving({ from: null }), slots: [slotWith('green', null, [])], targets: [] };
    const ending = drive(first, (index) => index === begin.length + 3);
    expect(words(ending).slice(-3)).toEqual(['hold 100 last', '→ cleaning', '→ reverted']);
    expect(weightOf(ending.model.targets, 'green')).toBe(100);
    expect(ending.model.journal.reason).toEqual(reason);
  });

  it('stops a first release that never got ready', () => {
    const first = { ...serving({ from: null }), slots: [slotWith('green', null, [])], targets: [] };
    const ending = drive(first, (index) => index === 1);
    expect(words(ending)).toEqual(['deploy green', 'await-ready green', 'retire green', '→ reverted']);
  });

  it('gives everything back after a failure at a weight, and stops the new version', () => {
    const ending = drive(canaryAt(60, { phase: 'holding', step: 1 }), (index) => index === 0);
    expect(words(ending)).toEqual([
      'hold 60',
      'await-ready blue',
      'shift 0',
      'verify',
      'drain green',
      '→ cleaning',
      'retire green',
      '→ reverted',
    ]);
    isGood(ending);
  });

  it('starts the old version again when it died meanwhile, before it is given the traffic', () => {
    const model = canaryAt(60, { phase: 'reverting', step: 1 });
    model.slots = [slotWith('blue', v1, [false, true]), ...model.slots.slice(1)];
    expect(words(drive(model, () => false)).slice(0, 3)).toEqual([
      'deploy blue',
      'await-ready blue',
      'shift 0',
    ]);
  });

  it('leaves what a slot held when its own deployment was refused', () => {
    const model = serving();
    model.slots = [...model.slots.slice(0, 1), slotWith('green', v3, [true])];
    const ending = drive(model, (index) => index === 0);
    expect(words(ending)).toEqual(['deploy green', '→ reverted']);
    expect(ending.model.slots[1]?.release).toEqual(v3);
  });

  it('leaves a kept version running when the rollback to it is taken back', () => {
    const model = serving({ strategy: 'rollback', to: { slot: 'green', release: v2, adopted: true } });
    model.slots = [...model.slots.slice(0, 1), slotWith('green', v2, [true])];
    const ending = drive(model, (index) => index === 4);
    expect(words(ending)).not.toContain('retire green');
    expect(ending.model.slots[1]?.release).toEqual(v2);
    isGood(ending);
  });

  it('never stops an old version that was given the traffic back by hand', () => {
    for (const phase of ['draining', 'retiring'] as const) {
      const ending = drive(canaryAt(0, { phase, step: 2, keepPrevious: false }), () => false);
      expect(words(ending)).not.toContain('retire blue');
      expect(ending.model.journal).toMatchObject({
        phase: 'reverted',
        reason: { reasonCode: 'state_conflict' },
      });
      isGood(ending);
    }
  });

  it('is taken back when somebody changed the traffic of a weight that is being watched', () => {
    const ending = drive(canaryAt(35, { phase: 'holding', step: 0 }), () => false);
    expect(words(ending)[0]).toBe('take-back');
    expect(ending.model.journal.reason?.reasonCode).toBe('state_conflict');
    isGood(ending);
  });

  it('does not stop again what was retired by hand', () => {
    const model = canaryAt(100, { phase: 'retiring', step: 2, keepPrevious: false });
    model.slots = [slotWith('blue', null, []), ...model.slots.slice(1)];
    expect(words(drive(model, () => false))).toEqual(['await-ready green', '→ finished']);
  });

  it('brings the old version back when it is gone in the middle of a canary', () => {
    const model = canaryAt(20, { phase: 'shifting', step: 1 });
    model.slots = [slotWith('blue', null, []), ...model.slots.slice(1)];
    const ending = drive(model, () => false);
    expect(words(ending)).toEqual(expect.arrayContaining(['take-back', 'deploy blue', 'shift 0']));
    isGood(ending);
  });

  it('waits only briefly for a new version that has traffic, and does not repair it', () => {
    const model = canaryAt(20, { phase: 'shifting', step: 1 });
    model.slots = [...model.slots.slice(0, 1), slotWith('green', v2, [false])];
    const seen: Seen = {
      slots: model.slots,
      traffic: { targets: model.targets, version: '1' },
      sure: new Set(),
    };
    expect(next(model.journal, seen)).toEqual({ do: 'await-ready', slot: 'green', serving: true });
  });
});

describe('workers and a scheduler', () => {
  const withFollowers = (model: Model): Model => ({
    ...model,
    followers: { workers: ['blue'], scheduler: 'blue' },
  });
  const whole = (changes: Partial<Journal> = {}) => withFollowers(serving({ weights: [100], ...changes }));

  it('work beside the old ones before the traffic moves, and alone after it has', () => {
    const ending = drive(whole(), () => false);
    expect(words(ending)).toEqual([
      'deploy green',
      'await-ready green',
      'join green',
      '→ shifting',
      'shift 100',
      'verify',
      '→ holding',
      'hold 100 last',
      '→ draining',
      'drain blue',
      'hand-over green',
      '→ finished',
    ]);
    expect(ending.model.followers).toEqual({ workers: ['green'], scheduler: 'green' });
  });

  it('keep nobody waiting on a rollback: the traffic goes first', () => {
    const effects = words(drive(whole({ strategy: 'rollback' }), () => false));
    expect(effects).not.toContain('join green');
    expect(effects.slice(-2)).toEqual(['hand-over green', '→ finished']);
  });

  it('are the old ones alone again before the new version is stopped', () => {
    const failing = words(drive(whole(), () => false)).indexOf('hold 100 last');
    const ending = drive(whole(), (index) => index === failing);
    expect(words(ending).slice(-3)).toEqual(['hand-over blue', 'retire green', '→ reverted']);
    expect(ending.model.followers).toEqual({ workers: ['blue'], scheduler: 'blue' });
  });

  it('of a kept version are stopped when the rollback to it is taken back', () => {
    const model = whole({ strategy: 'rollback', to: { slot: 'green', release: v2, adopted: true } });
    const ending = drive(model, (index) => index === 1);
    expect(words(ending).slice(-2)).toEqual(['hand-over blue', '→ reverted']);
  });

  it('are where the traffic is in the end, wherever a run fails or is killed', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.nat({ max: 16 }),
        fc.nat({ max: 16 }),
        fc.constantFrom(v1, v2, v3, null),
        (keepPrevious, failing, killedAt, wanted) => {
          const { model: left } = drive(whole({ keepPrevious }), (index) => index === failing, killedAt);
          const isOver = left.journal.phase === 'finished' || left.journal.phase === 'reverted';
          const journal = isOver ? left.journal : settleWith(left.journal, wanted && digestOf(wanted));
          const { model, stuck } = drive({ ...left, journal, sure: new Set() }, () => false);
          expect(stuck).toBeNull();
          const [main] = model.targets.filter(({ weight }) => weight === 100);
          expect(model.followers).toEqual({ workers: [main?.slot], scheduler: main?.slot });
        },
      ),
      { numRuns: 500 },
    );
  });
});

it('stops what was begun in a part of a slot', () => {
  const model = serving({ weights: [100], phase: 'cleaning' });
  const begun = { ...slotWith('green', v3, [true]), begun: [digestOf(v2)] };
  const seen: Seen = {
    slots: [model.slots[0] ?? begun, begun],
    traffic: { targets: model.targets, version: '1' },
    sure: new Set<Sure>(),
  };
  expect(next(model.journal, seen)).toEqual({ do: 'retire', slot: 'green' });
});

describe('takeBack', () => {
  it('finds the shortest way, and none where all traffic has moved and nothing ails', () => {
    const back = (phase: Phase, why = reason) => takeBack(journalOf({ phase }), why).phase;
    expect(back('starting')).toBe('cleaning');
    expect(back('shifting')).toBe('reverting');
    expect(back('holding')).toBe('reverting');
    for (const phase of ['draining', 'retiring', 'reverting', 'cleaning', 'finished', 'reverted'] as const) {
      const journal = journalOf({ phase });
      expect(takeBack(journal, reason)).toBe(journal);
    }
    expect(back('draining', { ...reason, reasonCode: 'start_failed' })).toBe('reverting');
  });
});

describe('settleWith', () => {
  it('goes on with the same release where it stood', () => {
    for (const phase of phases) {
      expect(settleWith(journalOf({ phase }), digestOf(v2))).toMatchObject({
        phase,
        resumed: 1,
        reason: null,
      });
    }
  });

  it('takes another one back, and finishes one that has all traffic', () => {
    for (const wanted of [digestOf(v3), null]) {
      expect(settleWith(journalOf({ phase: 'holding' }), wanted)).toMatchObject({
        phase: 'reverting',
        reason: { reasonCode: 'unfinished_release' },
      });
      expect(settleWith(journalOf({ phase: 'draining' }), wanted)).toMatchObject({
        phase: 'draining',
        reason: null,
      });
    }
  });

  it('gives the traffic back rather than stop the very version that is wanted', () => {
    for (const phase of ['shifting', 'draining', 'retiring'] as const) {
      expect(settleWith(journalOf({ phase }), digestOf(v1)).phase).toBe('reverting');
    }
  });

  it('takes the same version string with other content for another release', () => {
    const other = { version: '2', directory: '/elsewhere' };
    expect(settleWith(journalOf({ phase: 'holding' }), digestOf(other)).phase).toBe('reverting');
  });
});

describe('a platform and router that know slots by more than addresses', () => {
  const serving = (targets: Target[], bySlot: boolean): Seen => ({
    slots: [slotWith('blue', v1, [true]), slotWith('green', v2, [true, true])],
    traffic: { targets, version: '1', ...(bySlot ? { bySlot } : {}) },
    sure: new Set<Sure>(['ready', 'verified']),
  });
  const elsewhere: Target[] = [
    { slot: 'green', weight: 100, addresses: [] },
    { slot: 'blue', weight: 0, addresses: [] },
  ];
  const shifting = journalOf({ phase: 'shifting', weights: [100] });

  it('compare no addresses where the router has none', () => {
    expect(next(shifting, serving(elsewhere, true))).toMatchObject({ do: 'record' });
    expect(next(shifting, serving(elsewhere, false))).toMatchObject({ do: 'shift' });
  });

  it('tell releases apart as the platform does', () => {
    const images = (release: Release) => `image of ${release.version}`;
    const slots = [slotWith('blue', v1, [true]), { ...slotWith('green', v2, [true]), revision: images(v2) }];
    const seen: Seen = { slots, traffic: { targets: [], version: '1' }, sure: new Set<Sure>(['ready']) };
    const starting = journalOf({ phase: 'starting' });
    expect(next(starting, seen, images)).toMatchObject({ do: 'record' });
    expect(next(starting, seen)).toMatchObject({ do: 'deploy' });
    expect(settleWith(journalOf({ phase: 'holding' }), images(v2), images).phase).toBe('holding');
    expect(settleWith(journalOf({ phase: 'holding' }), images(v2)).phase).toBe('reverting');
  });
});
