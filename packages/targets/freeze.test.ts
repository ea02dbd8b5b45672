import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeployError } from '@deploy-actions/core';
import { freezeEnvironment, unfreezeEnvironment } from '@deploy-actions/ledger';
import type { StateStore } from '@deploy-actions/release-engine';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestContext } from '../../test/support/context.ts';
import { runDelivery } from './delivery.ts';
import { createTestEnvironment } from './test-support.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'freeze-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

type Command = 'freeze' | 'unfreeze' | 'deliver';
/** In the order in which it took effect. */
type Happening = { what: 'frozen' | 'unfrozen' } | { what: 'acquired' | 'touched'; run: string };

/** A store in memory whose calls take effect in an order that the scheduler chooses. */
function storeWith(scheduler: fc.Scheduler, happened: (one: Happening) => void): StateStore {
  const documents = new Map<string, { value: unknown; version: number }>();
  const current = (key: string) => documents.get(key) ?? { value: null, version: 0 };
  const call = <T>(label: string, work: () => T) => scheduler.schedule(Promise.resolve(), label).then(work);
  return {
    location: 'memory',
    read: (key) => call(`read ${key}`, () => structuredClone(current(key))),
    write: (key, value, expected) =>
      call(`write ${key}`, () => {
        const { version } = current(key);
        if (version !== expected) throw new DeployError('state_conflict', `${key} changed.`);
        documents.set(key, { value: structuredClone(value), version: version + 1 });
        const written = value as { holder?: { id: string }; freeze?: object | null } | null;
        if (key === 'lease' && written?.holder !== undefined) {
          happened({ what: 'acquired', run: written.holder.id });
        }
        if (key === 'freeze') happened({ what: written?.freeze === null ? 'unfrozen' : 'frozen' });
        return version + 1;
      }),
    touch: () => Promise.resolve(),
    age: () => Promise.resolve(0),
  };
}

/** Runs that changed something of an environment that was frozen from before they had the lease until then. */
function wrongs(happenings: Happening[]): string[] {
  let frozen = false;
  /** Runs for which it was not frozen at some time since they have the lease. */
  const mayGoOn = new Set<string>();
  const holders = new Set<string>();
  const found: string[] = [];
  for (const one of happenings) {
    if (one.what === 'frozen') frozen = true;
    if (one.what === 'unfrozen') frozen = false;
    if (one.what === 'acquired') holders.add(one.run);
    if (!frozen) for (const run of holders) mayGoOn.add(run);
    if (one.what === 'touched' && !mayGoOn.has(one.run)) found.push(one.run);
  }
  return found;
}

it('no order of what two writers do releases into a frozen environment', { timeout: 60_000 }, async () => {
  const commands = fc.array(fc.constantFrom<Command>('freeze', 'unfreeze', 'deliver', 'deliver'), {
    minLength: 1,
    maxLength: 5,
  });
  let refused = 0;
  let released = 0;
  let number = 0;
  await fc.assert(
    fc.asyncProperty(commands, commands, fc.scheduler(), async (first, second, scheduler) => {
      const happenings: Happening[] = [];
      const store = storeWith(scheduler, (one) => happenings.push(one));
      const environment = createTestEnvironment(store, join(root, 'host'));
      const push = environment.world.changes.push.bind(environment.world.changes);
      let acting = '';
      environment.world.changes.push = (...changes) => {
        happenings.push({ what: 'touched', run: acting });
        return push(...changes);
      };
      const writer = async (name: string, list: Command[]) => {
        for (const [index, command] of list.entries()) {
          const run = { id: `${name}${index}`, url: '', actor: name };
          if (command === 'freeze') await freezeEnvironment(store, { reason: 'x', run, until: null });
          if (command === 'unfreeze') await unfreezeEnvironment(store, { reason: 'x', run });
          if (command !== 'deliver') continue;
          const { context } = createTestContext();
          const target = environment.open(run);
          // Each version is a new one, so that there is something to change.
          const request = environment.request(target, `v${(number += 1)}`);
          const { platform, router } = target;
          const owned = {
            ...target,
            platform: {
              ...platform,
              deploy: (...given: Parameters<typeof platform.deploy>) => {
                acting = run.id;
                return platform.deploy(...given);
              },
            },
            router,
          };
          try {
            await runDelivery(context, { ...request, target: owned });
            released += 1;
          } catch (thrown) {
            if (!(thrown instanceof DeployError)) throw thrown;
            if (thrown.reasonCode === 'environment_frozen') refused += 1;
          }
        }
      };
      await scheduler.waitFor(Promise.all([writer('a', first), writer('b', second)]));
      expect(wrongs(happenings)).toEqual([]);
      expect(environment.world.wrongs).toEqual([]);
    }),
    { numRuns: 120 },
  );
  // Both happened often, so that it says something.
  expect(refused).toBeGreaterThan(20);
  expect(released).toBeGreaterThan(20);
});

it('would be seen if it did', () => {
  expect(wrongs([{ what: 'frozen' }, { what: 'acquired', run: 'a' }, { what: 'touched', run: 'a' }])).toEqual(
    ['a'],
  );
  expect(wrongs([{ what: 'acquired', run: 'a' }, { what: 'frozen' }, { what: 'touched', run: 'a' }])).toEqual(
    [],
  );
});
