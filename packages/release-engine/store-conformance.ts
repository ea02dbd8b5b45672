import { setTimeout as delay } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StateStore } from './ports.ts';

/** What a store gives to be tested. */
export interface StoreHarness {
  /** A place that holds nothing yet. */
  fresh(): string;
  /** A store on it, as a run opens it; two of them are two runs. */
  open(place: string): StateStore;
  /** How many sequences of operations are tried against the model; default 40. */
  sequences?: number;
  /** The least difference of age that the store's clock tells, in milliseconds; default 1. */
  resolution?: number;
}

/** The one suite that every store of state passes. */
export function storeConformance(name: string, setup: () => StoreHarness): void {
  describe(`store conformance: ${name}`, { timeout: 60_000 }, () => {
    const fresh = () => {
      const harness = setup();
      const place = harness.fresh();
      return { ...harness, place, store: harness.open(place) };
    };

    it('is at version 0 where nothing was written, and reads back what was', async () => {
      const { store } = fresh();
      expect(await store.read('journal')).toEqual({ value: null, version: 0 });
      const version = await store.write('journal', { step: 1, note: 'ü' }, 0);
      expect(version).toBeGreaterThan(0);
      expect(await store.read('journal')).toEqual({ value: { step: 1, note: 'ü' }, version });
      expect(await store.read('history')).toEqual({ value: null, version: 0 });
    });

    it('refuses a version that is not current, and changes nothing', async () => {
      const { store } = fresh();
      const version = await store.write('journal', 'a', 0);
      for (const expected of [0, version + 1, version + 6]) {
        await expect(store.write('journal', 'b', expected)).rejects.toMatchObject({
          reasonCode: 'state_conflict',
        });
      }
      expect(await store.read('journal')).toEqual({ value: 'a', version });
    });

    it('lets one of many that write at once win, and tells the others', async () => {
      const { open, place } = fresh();
      let version = await open(place).write('lease', 'first', 0);
      for (let round = 0; round < 3; round += 1) {
        const results = await Promise.allSettled(
          Array.from({ length: 8 }, (_, racer) => open(place).write('lease', racer, version)),
        );
        const won = results.flatMap((result, racer) => (result.status === 'fulfilled' ? [racer] : []));
        expect(won).toHaveLength(1);
        for (const result of results) {
          if (result.status === 'rejected')
            expect(result.reason).toMatchObject({ reasonCode: 'state_conflict' });
        }
        const now = await open(place).read('lease');
        expect(now.value).toBe(won[0]);
        version = now.version;
      }
    });

    it('agrees with a model of a map with versions', async () => {
      const { open, fresh: place, sequences = 40 } = setup();
      const keys = fc.constantFrom('lease', 'journal');
      const off = fc.integer({ min: -2, max: 2 });
      const operations = fc.oneof(
        {
          weight: 3,
          arbitrary: fc.record({
            do: fc.constant('write' as const),
            key: keys,
            off: fc.constant(0),
            value: fc.jsonValue(),
          }),
        },
        {
          weight: 1,
          arbitrary: fc.record({ do: fc.constant('write' as const), key: keys, off, value: fc.jsonValue() }),
        },
        { weight: 1, arbitrary: fc.record({ do: fc.constant('touch' as const), key: keys, off }) },
      );
      await fc.assert(
        fc.asyncProperty(fc.array(operations, { maxLength: 12 }), async (steps) => {
          const at = place();
          const store = open(at);
          const model = new Map<string, { value: unknown; version: number }>();
          for (const step of steps) {
            const known = model.get(step.key) ?? { value: null, version: 0 };
            const expected = known.version + step.off;
            if (step.do === 'touch') {
              await store.touch(step.key, expected);
            } else if (expected === known.version) {
              const version = await store.write(step.key, step.value, expected);
              expect(version).toBeGreaterThan(known.version);
              model.set(step.key, { value: JSON.parse(JSON.stringify(step.value)), version });
            } else {
              await expect(store.write(step.key, step.value, expected)).rejects.toMatchObject({
                reasonCode: 'state_conflict',
              });
            }
            const now = model.get(step.key) ?? { value: null, version: 0 };
            expect(await open(at).read(step.key)).toEqual(now);
          }
        }),
        { numRuns: sequences },
      );
    });

    it('ages until it is touched, by the clock of the store', async () => {
      const { store, resolution = 1 } = fresh();
      const version = await store.write('lease', 'mine', 0);
      await delay(2 * resolution + 50);
      const old = await store.age('lease', version);
      expect(old).toBeGreaterThanOrEqual(resolution);
      // More than once where there was a stall between the touch and the look.
      const touched = async () => {
        await store.touch('lease', version);
        return store.age('lease', version);
      };
      await expect.poll(touched, { timeout: 20_000 }).toBeLessThan(old);
      expect(await store.read('lease')).toEqual({ value: 'mine', version });
    });

    it('does not touch what is another’s, nor tell the age of what is not there', async () => {
      const { store, resolution = 1 } = fresh();
      const mine = await store.write('lease', 'mine', 0);
      const theirs = await store.write('lease', 'theirs', mine);
      await delay(2 * resolution + 50);
      const before = await store.age('lease', theirs);
      await store.touch('lease', mine);
      expect(await store.age('lease', theirs)).toBeGreaterThanOrEqual(before);
      await expect(store.age('lease', theirs + 1)).rejects.toMatchObject({ reasonCode: 'state_conflict' });
    });

    it('takes the names of keys for nothing else', async () => {
      const { store } = fresh();
      for (const key of ['', '../lease', 'Lease', 'a/b', 'a b', '-a']) {
        await expect(async () => store.read(key)).rejects.toMatchObject({ reasonCode: 'internal' });
      }
    });
  });
}
