import { deadlineIn, DeployError } from '@deploy-actions/core';
import {
  type Fence,
  type Platform,
  type Release,
  revisionsOf,
  type Slot,
} from '@deploy-actions/release-engine';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

/** `good` becomes ready; `exits` ends by itself after writing to its log; `never-ready` runs and answers 503. */
export type Behaviour = 'good' | 'exits' | 'never-ready';

/** What an implementation gives to be tested: itself, releases for it, and ways to see and to hurt it. */
export interface PlatformHarness<R extends Release> {
  platform: Platform<R>;
  /** Two of its slots. */
  slots: [string, string];
  release(version: string, behaviour?: Behaviour, instances?: number): R;
  /** A release that has to be refused before anything is touched. */
  invalidRelease(): R;
  /** Identities of the copies that run in the slot, seen without the platform; different after a restart. */
  running(slot: string): Promise<string[]>;
  /** The version that the copy at the address answers with. */
  versionAt(address: string): Promise<string>;
  /** Ends one copy of the slot without the platform knowing. */
  crash(slot: string): Promise<void>;
  /**
   * Deploys from a process of its own that is killed with SIGKILL at its n-th change, counted from 1. Resolves to
   * whether it was killed; false when it had fewer changes to make.
   */
  deployKilled(slot: string, release: R, change: number): Promise<boolean>;
  /** What the message says of a version that is never ready; default: its answer, and the check that fails. */
  unready?: RegExp;
  /** At how many of the points `deployKilled` is tried: every one, every second one, … */
  killStride: number;
  dispose(): Promise<void>;
}

/** How long things take on a platform, in milliseconds, and how many changes a deploy makes. */
export interface PlatformPace {
  /** One test. */
  test: number;
  /** Until a version that ends by itself is given up. */
  givenUp: number;
  /** Until a version answers that is never ready. */
  answers: number;
  /** The fewest points at which a deploy can be killed. */
  kills: number;
}

const quick: PlatformPace = { test: 20_000, givenUp: 10_000, answers: 5_000, kills: 3 };

const held: Fence = { token: 1, check: async () => {} };

/** The one suite that every platform passes. */
export function platformConformance<R extends Release>(
  name: string,
  setup: () => Promise<PlatformHarness<R>>,
  pace: PlatformPace = quick,
): void {
  describe(`platform conformance: ${name}`, { timeout: pace.test }, () => {
    let harness: PlatformHarness<R>;
    let platform: Platform<R>;
    let blue: string;
    let green: string;
    beforeEach(async () => {
      harness = await setup();
      platform = harness.platform;
      [blue, green] = harness.slots;
    });
    afterEach(() => harness.dispose());

    async function see(slot: string): Promise<Slot<R>> {
      const found = (await platform.observe()).find((one) => one.name === slot);
      if (found === undefined) throw new Error(`${slot} is not observed`);
      return found;
    }

    async function wait(slot: string, milliseconds = pace.test / 2, signal = new AbortController().signal) {
      const seen: boolean[] = [];
      for await (const { ready } of platform.ready(slot, deadlineIn(milliseconds), signal)) seen.push(ready);
      return seen;
    }

    async function start(slot: string, release: R): Promise<void> {
      await platform.deploy(slot, release, held);
      await wait(slot);
    }

    it('lists every slot when nothing was ever deployed', async () => {
      const empty = { release: null, revision: null, wanted: 0, ready: 0, instances: [] };
      expect(await platform.observe()).toEqual(
        expect.arrayContaining([
          { name: blue, ...empty },
          { name: green, ...empty },
        ]),
      );
    });

    it('deploys, waits, observes, and does nothing when asked for the same again', async () => {
      const release = harness.release('1', 'good', 2);
      await platform.deploy(blue, release, held);
      const seen = await wait(blue);
      expect(seen.at(-1)).toBe(true);
      expect(seen.slice(0, -1)).not.toContain(true);
      const slot = await see(blue);
      expect(slot).toMatchObject({ release, revision: revisionsOf(platform)(release), wanted: 2, ready: 2 });
      expect(new Set(slot.instances.map(({ address }) => address)).size).toBe(2);
      for (const { address } of slot.instances) expect(await harness.versionAt(address)).toBe('1');

      const before = await harness.running(blue);
      expect(before.length).toBeGreaterThanOrEqual(2);
      await platform.deploy(blue, release, held);
      expect(await harness.running(blue)).toEqual(before);
      expect(await see(blue)).toEqual(slot);
      expect(await see(green)).toMatchObject({ release: null, wanted: 0 });
    });

    it('replaces one version by another and never touches the other slot', async () => {
      await start(green, harness.release('other'));
      const untouched = await harness.running(green);
      const [neighbour] = (await see(green)).instances;
      await start(blue, harness.release('1'));
      const before = await harness.running(blue);
      await start(blue, harness.release('2'));
      const after = await harness.running(blue);
      expect(after).toHaveLength(before.length);
      for (const copy of before) expect(after).not.toContain(copy);
      const slot = await see(blue);
      expect(slot).toMatchObject({ release: { version: '2' }, wanted: 1, ready: 1 });
      const address = slot.instances[0]?.address ?? '';
      expect(await harness.versionAt(address)).toBe('2');
      expect(address).not.toBe(neighbour?.address);
      await platform.scale(blue, 2, held);
      await platform.retire(blue, held);
      expect(await harness.running(blue)).toEqual([]);
      expect(await harness.running(green)).toEqual(untouched);
      expect(await see(green)).toMatchObject({ wanted: 1, ready: 1 });
    });

    it('sees an instance that crashed and brings back only that one', async () => {
      const release = harness.release('1', 'good', 2);
      await start(blue, release);
      const before = await harness.running(blue);
      await harness.crash(blue);
      const slot = await see(blue);
      expect(slot).toMatchObject({ wanted: 2, ready: 1 });
      expect(slot.instances.filter(({ ready }) => !ready)).toEqual([
        expect.objectContaining({ reason: expect.stringMatching(/ended/) }),
      ]);
      // A platform may have started another in its place already.
      const left = (await harness.running(blue)).filter((copy) => before.includes(copy));
      expect(left.length).toBeLessThan(before.length);
      await start(blue, release);
      expect(await harness.running(blue)).toEqual(expect.arrayContaining(left));
      expect(await see(blue)).toMatchObject({ wanted: 2, ready: 2 });
    });

    it('fails fast, with the last log lines, when an instance ends by itself', async () => {
      await platform.deploy(blue, harness.release('1', 'exits'), held);
      const started = performance.now();
      const failure = await wait(blue, 60_000).catch((thrown: unknown) => thrown);
      expect(performance.now() - started).toBeLessThan(pace.givenUp);
      expect(failure).toMatchObject({
        reasonCode: 'start_failed',
        details: expect.arrayContaining([expect.stringContaining('cannot start')]),
      });
    });

    it('says at the deadline what was answered last and which check fails', async () => {
      await platform.deploy(blue, harness.release('1', 'never-ready'), held);
      const started = performance.now();
      const failure = await wait(blue, pace.answers).catch((thrown: unknown) => thrown);
      expect(performance.now() - started).toBeGreaterThanOrEqual(pace.answers - 10);
      expect(performance.now() - started).toBeLessThan(pace.answers + 20_000);
      expect(failure).toBeInstanceOf(DeployError);
      expect(failure).toMatchObject({
        reasonCode: 'not_ready',
        message: expect.stringMatching(harness.unready ?? /503.*database/),
      });
      expect(await see(blue)).toMatchObject({ wanted: 1, ready: 0 });
    });

    it('stops waiting when it is cancelled', async () => {
      await platform.deploy(blue, harness.release('1', 'never-ready'), held);
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 300);
      const started = performance.now();
      await expect(wait(blue, 60_000, controller.signal)).rejects.toMatchObject({ reasonCode: 'cancelled' });
      expect(performance.now() - started).toBeLessThan(20_000);
    });

    it('retires a slot, and again without harm', async () => {
      await start(blue, harness.release('1', 'good', 2));
      for (let time = 0; time < 2; time++) {
        await platform.retire(blue, held);
        expect(await harness.running(blue)).toEqual([]);
        expect(await see(blue)).toEqual({
          name: blue,
          release: null,
          revision: null,
          wanted: 0,
          ready: 0,
          instances: [],
        });
      }
    });

    it('scales up and down and leaves the others running', async () => {
      await start(blue, harness.release('1'));
      const first = await harness.running(blue);
      await platform.scale(blue, 3, held);
      await wait(blue);
      expect(await harness.running(blue)).toEqual(expect.arrayContaining(first));
      expect(await see(blue)).toMatchObject({ wanted: 3, ready: 3 });
      const three = await harness.running(blue);
      await platform.scale(blue, 1, held);
      // Which of them goes is up to the platform.
      const [left = '', ...others] = await harness.running(blue);
      expect(others).toEqual([]);
      expect(three).toContain(left);
      expect(await see(blue)).toMatchObject({ wanted: 1, ready: 1 });
    });

    it('writes nothing once the fence is lost', async () => {
      await start(blue, harness.release('1'));
      const before = [await harness.running(blue), await see(blue)];
      const lost: Fence = {
        token: 1,
        check: () => Promise.reject(new DeployError('lock_lost', 'Somebody else holds the lease.')),
      };
      for (const write of [
        () => platform.deploy(blue, harness.release('2'), lost),
        () => platform.deploy(green, harness.release('2'), lost),
        () => platform.scale(blue, 2, lost),
        () => platform.scale(blue, 0, lost),
        () => platform.retire(blue, lost),
      ]) {
        await expect(write()).rejects.toMatchObject({ reasonCode: 'lock_lost' });
        expect([await harness.running(blue), await see(blue)]).toEqual(before);
        expect(await harness.running(green)).toEqual([]);
      }
    });

    it('refuses what cannot run before it touches anything', async () => {
      await start(blue, harness.release('1'));
      const before = [await harness.running(blue), await see(blue)];
      await expect(platform.deploy(blue, harness.invalidRelease(), held)).rejects.toBeInstanceOf(DeployError);
      await expect(platform.deploy('no-such-slot', harness.release('2'), held)).rejects.toMatchObject({
        reasonCode: 'invalid_input',
        remedy: expect.stringContaining(blue),
      });
      expect([await harness.running(blue), await see(blue)]).toEqual(before);
    });

    it(
      'heals a deploy that was killed in the middle',
      async () => {
        await start(green, harness.release('other'));
        const untouched = await harness.running(green);
        let killed = 0;
        for (let change = 1; ; change += harness.killStride) {
          const release = harness.release(`version-${change}`);
          if (!(await harness.deployKilled(blue, release, change))) break;
          killed += 1;
          // Between the kill and the repair the slot can be observed, whatever is in it.
          expect(await see(blue)).toMatchObject({ name: blue });
          await start(blue, release);
          const slot = await see(blue);
          expect(slot).toMatchObject({ release: { version: release.version }, wanted: 1, ready: 1 });
          expect(await harness.versionAt(slot.instances[0]?.address ?? '')).toBe(release.version);
          expect(await harness.running(blue)).toHaveLength(1);
        }
        expect(killed).toBeGreaterThanOrEqual(pace.kills);
        await platform.retire(blue, held);
        expect(await harness.running(blue)).toEqual([]);
        expect(await harness.running(green)).toEqual(untouched);
      },
      3 * pace.test,
    );
  });
}
