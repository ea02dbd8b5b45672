import type { StateStore } from '@deploy-actions/release-engine';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Fault, faults, presets } from '../../test/support/github/index.ts';
import { createRefStore, refOf } from './refs.ts';
import { type Bench, startBench } from './test-support.ts';

const ref = 'refs/deploy-actions/production';

let bench: Bench;
let store: StateStore;
beforeEach(async () => {
  bench = await startBench();
  store = newStore();
});
afterEach(() => bench.stop());

/** As another run has it: nothing is remembered. */
const newStore = (environment = 'production'): StateStore => createRefStore(bench.connect(), environment);

/** Puts a file into the tree past the store. */
function plant(name: string, content: string): void {
  const { objects, refs } = bench.double.repository;
  const tree = objects.putTree([
    { path: name, mode: '100644', type: 'blob', sha: objects.putBlob(Buffer.from(content)) },
  ]);
  const author = { name: 'x', email: 'x@example.org', date: '2030-01-01T00:00:00Z' };
  refs.set(ref, objects.putCommit({ tree, parents: [], message: 'planted', author, committer: author }).sha);
}

describe('compare-and-swap', () => {
  it('starts at version 0 and reads back what was written', async () => {
    expect(await store.read('journal')).toEqual({ value: null, version: 0 });
    expect(await store.write('journal', { step: 1, note: 'ü' }, 0)).toBe(1);
    expect(await newStore().read('journal')).toEqual({ value: { step: 1, note: 'ü' }, version: 1 });
    expect(store.location).toBe('refs/deploy-actions/production of acme/helpdesk');
  });

  it('refuses a version that is not current, and changes nothing', async () => {
    await store.write('journal', 'a', 0);
    const head = bench.double.repository.refs.get(ref);
    for (const expected of [0, 2, 7]) {
      await expect(newStore().write('journal', 'b', expected)).rejects.toMatchObject({
        reasonCode: 'state_conflict',
      });
    }
    expect(bench.double.repository.refs.get(ref)).toBe(head);
  });

  it('agrees with a model of a map with versions', async () => {
    const operations = fc.record({
      do: fc.constantFrom('write' as const, 'write' as const, 'write' as const, 'touch' as const),
      key: fc.constantFrom('a', 'b'),
      off: fc.oneof(
        { weight: 3, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: -2, max: 2 }) },
      ),
      fresh: fc.boolean(),
      value: fc.jsonValue(),
    });
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(operations, { maxLength: 8 }), async (steps) => {
        const environment = `run-${run++}`;
        const kept = newStore(environment);
        const model = new Map<string, { value: unknown; version: number }>();
        for (const step of steps) {
          const one = step.fresh ? newStore(environment) : kept;
          const known = model.get(step.key) ?? { value: null, version: 0 };
          const expected = known.version + step.off;
          if (step.do === 'touch') {
            await one.touch(step.key, expected);
          } else if (expected === known.version) {
            expect(await one.write(step.key, step.value, expected)).toBe(expected + 1);
            model.set(step.key, { value: JSON.parse(JSON.stringify(step.value)), version: expected + 1 });
          } else {
            await expect(one.write(step.key, step.value, expected)).rejects.toMatchObject({
              reasonCode: 'state_conflict',
            });
          }
          expect(await kept.read(step.key)).toEqual(model.get(step.key) ?? { value: null, version: 0 });
        }
      }),
      { numRuns: 12 },
    );
  });

  it('lets one of 20 racers have the lease, and refuses the writes of the deposed', async () => {
    const racers = Array.from({ length: 20 }, (_, racer) => ({ racer, store: newStore() }));
    const race = async (expected: number) => {
      const results = await Promise.allSettled(
        racers.map(({ racer, store: own }) => own.write('lease', { holder: racer }, expected)),
      );
      const winners = results.flatMap(({ status }, racer) => (status === 'fulfilled' ? [racer] : []));
      for (const result of results) {
        if (result.status === 'rejected')
          expect(result.reason).toMatchObject({ reasonCode: 'state_conflict' });
      }
      expect(winners).toHaveLength(1);
      return winners[0]!;
    };
    const first = await race(0);
    expect(await store.read('lease')).toEqual({ value: { holder: first }, version: 1 });
    const second = await race(1);
    expect(await store.read('lease')).toEqual({ value: { holder: second }, version: 2 });
    // The first holder still believes in its lease.
    await expect(
      racers[first]!.store.write('lease', { holder: first, renewed: true }, 1),
    ).rejects.toMatchObject({
      reasonCode: 'state_conflict',
    });
    await racers[first]!.store.touch('lease', 1);
    expect(await store.read('lease')).toEqual({ value: { holder: second }, version: 2 });
    // Each swap said what it was based on; none relied on the rule of fast-forward.
    const swaps = bench.double.callsOf('graphql updateRefs').map(({ body }) => JSON.stringify(body));
    expect(swaps.every((body) => /"beforeOid":"[0-9a-f]{40}"/.test(body))).toBe(true);
  });

  it('lets writers of different documents at the same time all through', async () => {
    const keys = ['a', 'b', 'c', 'd', 'e'];
    await Promise.all(keys.map((key) => newStore().write(key, key, 0)));
    for (const key of keys) expect(await store.read(key)).toEqual({ value: key, version: 1 });
  });

  it('keeps the history as commits that say what changed', async () => {
    await store.write('lease', 'mine', 0);
    await store.touch('lease', 1);
    await store.write('ledger', [], 0);
    const { commits } = bench.double.repository.objects;
    const messages: string[] = [];
    for (
      let sha = bench.double.repository.refs.get(ref);
      sha !== undefined;
      sha = commits.get(sha)?.parents[0]
    ) {
      messages.push(commits.get(sha)?.message ?? '');
    }
    expect(messages).toEqual(['write ledger 1', 'renew lease 1', 'write lease 1']);
  });
});

describe('time', () => {
  it('is GitHub’s, and counts from the write or the last touch', async () => {
    await store.write('lease', 'mine', 0);
    bench.clock.advance(90_000);
    expect(await newStore().age('lease', 1)).toBe(90_000);
    await store.touch('lease', 1);
    expect(await newStore().age('lease', 1)).toBe(0);
    expect(await store.read('lease')).toEqual({ value: 'mine', version: 1 });
  });

  it('is not renewed for a version that is no longer current, and unknown for it', async () => {
    await store.write('lease', 'mine', 0);
    await store.write('lease', 'theirs', 1);
    bench.clock.advance(60_000);
    await newStore().touch('lease', 1);
    await newStore().touch('lease', 0);
    expect(await store.age('lease', 2)).toBe(60_000);
    await expect(store.age('lease', 1)).rejects.toMatchObject({ reasonCode: 'state_conflict' });
  });
});

describe('what it costs', () => {
  it('nothing counted while nothing changes, and four calls a change', async () => {
    await store.write('lease', 'mine', 0);
    await store.read('lease');
    const before = bench.double.calls.length;
    for (let poll = 0; poll < 5; poll++) await store.read('lease');
    expect(bench.double.calls.slice(before).map(({ outcome }) => outcome)).toEqual([304, 304, 304, 304, 304]);
    const between = bench.double.calls.length;
    await store.touch('lease', 1);
    const counted = bench.double.calls.slice(between).filter(({ outcome }) => outcome !== 304);
    expect(counted.map(({ operation }) => operation.split('/').at(-1))).toEqual([
      'trees',
      'commits',
      'graphql updateRefs',
    ]);
  });
});

describe('faults', () => {
  const routes = {
    'reading the reference': 'GET /repos/{owner}/{repo}/git/ref/{ref}',
    'reading the state': 'graphql repository',
    'making the tree': 'POST /repos/{owner}/{repo}/git/trees',
    'making the commit': 'POST /repos/{owner}/{repo}/git/commits',
    'moving the reference': 'graphql updateRefs',
  };
  const passing: Record<string, Fault> = {
    '500': faults.serverError,
    '502': faults.badGateway,
    cut: faults.cut,
    'cut after it took effect': faults.cutAfterEffect,
    'cut in the answer': faults.cutInAnswer,
    'secondary limit': faults.secondaryLimit(429, 5),
    late: faults.late(400),
  };
  const lasting: Record<string, Fault> = {
    '401': faults.badCredentials,
    '403': faults.missingPermission,
    '409': faults.conflict,
    '422': faults.unprocessable,
  };
  const each = (of: Record<string, Fault>) =>
    Object.entries(routes).flatMap(([step, operation]) =>
      Object.entries(of).map(([name, fault]) => ({ step, name, operation, fault })),
    );

  it.each(each(passing))('$name while $step: one write happens once', async ({ operation, fault }) => {
    await store.write('lease', 'first', 0);
    bench.double.inject({ operation, nth: 1, fault });
    const other = createRefStore(bench.connect({ timeout: 150 }), 'production');
    expect(await other.write('lease', 'second', 1)).toBe(2);
    bench.double.behave();
    expect(await newStore().read('lease')).toEqual({ value: 'second', version: 2 });
    const moves = bench.double.repository.objects.commits;
    const head = moves.get(bench.double.repository.refs.get(ref) ?? '');
    expect(moves.get(head?.parents[0] ?? '')?.message).toBe('write lease 1');
  });

  it.each(each(lasting))(
    '$name while $step: it throws, and nothing has changed',
    async ({ operation, fault }) => {
      await store.write('lease', 'first', 0);
      bench.double.inject({ operation, fault });
      await expect(newStore().write('lease', 'second', 1)).rejects.toMatchObject({ name: 'GitHubError' });
      bench.double.behave();
      expect(await newStore().read('lease')).toEqual({ value: 'first', version: 1 });
    },
  );

  it('an outage is an error, never an empty state', async () => {
    await store.write('lease', 'mine', 0);
    bench.double.inject({ fault: faults.unavailable });
    await expect(newStore().read('lease')).rejects.toMatchObject({ reasonCode: 'unreachable' });
    await expect(newStore().age('lease', 1)).rejects.toMatchObject({ reasonCode: 'unreachable' });
    await expect(newStore().touch('lease', 1)).rejects.toMatchObject({ reasonCode: 'unreachable' });
  });

  it('a write whose effect stays open is not reported as done', async () => {
    await store.write('lease', 'mine', 0);
    bench.double.inject({ operation: 'graphql updateRefs', fault: faults.cut });
    await expect(store.write('lease', 'next', 1)).rejects.toMatchObject({ reasonCode: 'unreachable' });
  });

  /** Another run acts between the cut of a swap that took effect and the look that follows it. */
  function overtakenBy(other: () => Promise<unknown>): StateStore {
    const github = bench.connect();
    bench.double.inject({ operation: 'graphql updateRefs', nth: 1, fault: faults.cutAfterEffect });
    let overtaken = false;
    return createRefStore(
      {
        ...github,
        async call(route, parameters, options) {
          if (
            !overtaken &&
            bench.double.callsOf('graphql updateRefs').some(({ outcome }) => outcome === 'cut')
          ) {
            overtaken = true;
            await other();
          }
          return github.call(route, parameters, options);
        },
      },
      'production',
    );
  }

  it('a write that took effect unseen, and was overtaken, is a conflict', async () => {
    await store.write('lease', 'mine', 0);
    const slow = overtakenBy(() => newStore().write('lease', 'theirs', 2));
    await expect(slow.write('lease', 'ours', 1)).rejects.toMatchObject({ reasonCode: 'state_conflict' });
    expect(await newStore().read('lease')).toEqual({ value: 'theirs', version: 3 });
  });

  it('a write that took effect unseen is done, also when another document changed since', async () => {
    await store.write('lease', 'mine', 0);
    const slow = overtakenBy(() => newStore().write('ledger', [], 0));
    expect(await slow.write('lease', 'ours', 1)).toBe(2);
    expect(await newStore().read('lease')).toEqual({ value: 'ours', version: 2 });
  });
});

describe('rights', () => {
  it('a token that may not read is told, and does not see an empty state', async () => {
    const github = bench.connect({ permissions: presets.none });
    await expect(createRefStore(github, 'production').read('lease')).rejects.toMatchObject({
      reasonCode: 'permission_denied',
    });
    // A private repository answers 404 to those who may not see it.
    bench.double.inject({ operation: /git\/ref/, fault: faults.notFound });
    await expect(createRefStore(github, 'production').read('lease')).rejects.toMatchObject({
      reasonCode: 'permission_denied',
    });
  });

  it('a token that may only read cannot write', async () => {
    const readOnly = createRefStore(bench.connect({ permissions: presets.fork }), 'production');
    expect(await readOnly.read('lease')).toEqual({ value: null, version: 0 });
    await expect(readOnly.write('lease', 'mine', 0)).rejects.toMatchObject({
      reasonCode: 'permission_denied',
      message: expect.stringContaining('needs `contents: write`'),
    });
  });
});

describe('what cannot be used', () => {
  it.each([
    ['', 'is not JSON'],
    ['[]', 'has no schema number'],
    ['{"schema":1}', 'has no version or no time'],
    ['x'.repeat(512_001), 'is no text, or too long'],
  ])('names a corrupt document and what to do: %.20j', async (text, what) => {
    plant('journal.json', text);
    await expect(store.read('journal')).rejects.toMatchObject({
      reasonCode: 'state_corrupt',
      message: expect.stringContaining(what),
      remedy: expect.stringContaining('git push --force'),
    });
  });

  it('refuses the document of a newer suite', async () => {
    plant('journal.json', '{"schema":2}');
    await expect(store.read('journal')).rejects.toMatchObject({ reasonCode: 'state_too_new' });
  });

  it('refuses a document that GitHub would give back cut', async () => {
    await expect(store.write('journal', 'x'.repeat(500_000), 0)).rejects.toMatchObject({
      reasonCode: 'internal',
    });
    expect(bench.double.repository.refs.has(ref)).toBe(false);
  });

  it.each(['', '..', 'a/b', 'A', 'a_b', '-a', 'a-', 'a.json', 'ä'])('refuses the key %j', async (key) => {
    await expect(store.read(key)).rejects.toMatchObject({ reasonCode: 'internal' });
    await expect(store.write(key, 1, 0)).rejects.toMatchObject({ reasonCode: 'internal' });
  });
});

describe('names of environments', () => {
  it('keep apart what GitHub keeps apart, and no more', () => {
    expect(refOf('Production')).toBe(refOf('production'));
    expect(refOf('eu/west')).not.toBe(refOf('eu-west'));
    expect(refOf('prod.lock')).toBe('refs/deploy-actions/prod%2Elock');
    expect(refOf('München ~1')).toBe('refs/deploy-actions/m%C3%BCnchen%20%7E1');
  });

  it('of any kind can be used', async () => {
    const odd = newStore('EU / west:1');
    await odd.write('lease', 'mine', 0);
    expect(await newStore('eu / west:1').read('lease')).toEqual({ value: 'mine', version: 1 });
  });
});
