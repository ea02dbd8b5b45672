import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deadlineIn, DeployError } from '@deploy-actions/core';
import type { Fence, Router, Target } from '@deploy-actions/release-engine';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

/** A router on a data plane that is the test's own, empty at first. */
export interface RouterUnderTest {
  /** A router object as a run would make it; two of them are two runs on the same data plane. */
  connect(): Router;
  /** `host:port` by which clients reach the data plane. */
  address: string;
  /**
   * Everything that the router stores: a refused write must leave it byte for byte. What the router's own holder of
   * state may change without a write to the traffic is left out.
   */
  stored(): Promise<string>;
  /** What users wrote beside the router's own parts, and what the router stored of it, if it shares a file with them. */
  foreign?: { put(): Promise<void>; kept(): Promise<boolean> };
  /** Has an apply of these targets killed with SIGKILL somewhere within, for each of the moments there are. */
  kill(targets: Target[]): AsyncIterable<string>;
  dispose(): Promise<void>;
}

const never = new AbortController().signal;

export function fence(token = 1, check: () => Promise<void> = async () => {}): Fence {
  return { token, check };
}

function deposed(): Fence {
  return fence(0, async () => {
    throw new DeployError('lock_lost', 'Somebody else holds the lease.');
  });
}

interface Backend {
  address: string;
  server: Server;
}

/** Answers its name. `/hang` is never answered, `/slow` after 400 ms. */
async function startBackend(name: string): Promise<Backend> {
  const server = createServer((incoming, response) => {
    incoming.resume();
    if (incoming.url === '/hang') return;
    if (incoming.url === '/slow') setTimeout(() => response.end(name), 400);
    else response.end(name);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

async function stopBackend({ server }: Backend): Promise<void> {
  if (!server.listening) return;
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}

/** One request on a connection of its own: the body, which is the name of the backend. */
async function ask(address: string, path = '/'): Promise<string> {
  const url = new URL(`http://${address}${path}`);
  return new Promise((resolve, reject) => {
    request(url, { agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('error', reject);
      response.on('end', () =>
        response.statusCode === 200 ? resolve(body) : reject(new Error(`${response.statusCode} ${body}`)),
      );
    })
      .on('error', reject)
      .end();
  });
}

/**
 * What every router has to do, whatever it is made of. `setup` gives a fresh, never configured data plane; it may be
 * called for each test.
 */
export function routerConformance(name: string, setup: () => Promise<RouterUnderTest>): void {
  describe(`${name} conforms to the port`, { timeout: 30_000 }, () => {
    let plane: RouterUnderTest;
    let router: Router;
    let blue: Backend;
    let green: Backend;

    beforeEach(async () => {
      [plane, blue, green] = await Promise.all([setup(), startBackend('blue'), startBackend('green')]);
      router = plane.connect();
    });

    afterEach(async () => {
      await plane.dispose();
      await Promise.all([blue, green].map(stopBackend));
    });

    const split = (weight: number): Target[] => [
      { slot: 'blue', weight: 100 - weight, addresses: [blue.address] },
      { slot: 'green', weight, addresses: [green.address] },
    ];
    const applied = async (targets: Target[]) =>
      router.apply(targets, (await router.read()).version, fence());
    const verified = async (milliseconds = 10_000) =>
      router.verify(await router.read(), deadlineIn(milliseconds), never);
    const asked = async (count: number) => {
      const seen: Record<string, number> = {};
      for (let index = 0; index < count; index++) {
        const body = await ask(plane.address);
        seen[body] = (seen[body] ?? 0) + 1;
      }
      return seen;
    };
    const reasonOf = async (work: Promise<unknown>) => {
      try {
        await work;
      } catch (thrown) {
        if (thrown instanceof DeployError) return thrown.reasonCode;
        throw thrown;
      }
      return 'it did not throw';
    };

    test('read of nothing gives no targets, and changes nothing', async () => {
      const before = await plane.stored();
      const traffic = await router.read();
      expect(traffic.targets).toEqual([]);
      expect(traffic.version).not.toBe('');
      expect(await plane.stored()).toBe(before);
      expect(await router.verify(traffic, deadlineIn(500), never)).toMatchObject({ matches: false });
    });

    test('what is applied is read back, by another run too, and verified where clients are', async () => {
      const first = await applied(split(0));
      expect(first.targets).toEqual(split(0));
      expect(await plane.connect().read()).toEqual(first);
      expect(await verified()).toMatchObject({ matches: true, answers: { green: 0 } });
      expect(await asked(5)).toEqual({ blue: 5 });
      const second = await router.apply(split(100), first.version, fence());
      expect(second.version).not.toBe(first.version);
      expect(await verified()).toMatchObject({ matches: true, answers: { blue: 0 } });
      expect(await asked(5)).toEqual({ green: 5 });
    });

    test('weights are what clients get', async () => {
      if (!router.capabilities.weights) {
        expect(await reasonOf(applied(split(50)))).toBe('unsupported');
        return;
      }
      for (const weight of [20, 40, 60, 80]) {
        await applied(split(weight));
        expect(await verified(), `at weight ${weight}`).toMatchObject({ matches: true });
        const seen = await asked(100);
        expect(Math.abs((seen['green'] ?? 0) - weight), `at weight ${weight}`).toBeLessThanOrEqual(5);
      }
    });

    test('the earlier traffic can be restored as it was read', async () => {
      await applied(split(0));
      const earlier = await router.read();
      await applied(split(100));
      const restored = await applied(earlier.targets);
      expect(restored.targets).toEqual(earlier.targets);
      expect(await verified()).toMatchObject({ matches: true });
      expect(await asked(5)).toEqual({ blue: 5 });
    });

    test('applying the same again changes nothing', async () => {
      const first = await applied(split(0));
      const before = await plane.stored();
      const second = await router.apply(split(0), first.version, fence());
      expect(second).toEqual(first);
      expect(await plane.stored()).toBe(before);
      expect(await verified()).toMatchObject({ matches: true });
    });

    test('a stale version is a conflict, and nothing is written', async () => {
      const first = await applied(split(0));
      await plane.connect().apply(split(100), first.version, fence());
      const before = await plane.stored();
      expect(await reasonOf(router.apply(split(0), first.version, fence()))).toBe('state_conflict');
      expect(await reasonOf(router.apply(split(0), 'no version', fence()))).toBe('state_conflict');
      expect(await plane.stored()).toBe(before);
      expect(await asked(3)).toEqual({ green: 3 });
    });

    test('of two runs at once one wins, and the other knows', async () => {
      const { version } = await applied(split(0));
      const results = await Promise.allSettled([
        router.apply(split(100), version, fence()),
        plane.connect().apply(split(20), version, fence()),
      ]);
      const won = results.filter((result) => result.status === 'fulfilled');
      const lost = results.filter((result) => result.status === 'rejected');
      expect([won.length, lost.length]).toEqual([1, 1]);
      expect(lost[0]?.reason).toMatchObject({ reasonCode: 'state_conflict' });
      expect((await router.read()).targets).toEqual(won[0]?.value.targets);
    });

    test('a deposed run writes nothing', async () => {
      const { version } = await router.apply(split(0), (await router.read()).version, fence(5));
      const before = await plane.stored();
      expect(await reasonOf(router.apply(split(100), version, deposed()))).toBe('lock_lost');
      if (router.capabilities.fencing === 'atomic') {
        // It was asleep when it was deposed, and its own check said yes.
        expect(await reasonOf(router.apply(split(100), version, fence(4)))).toBe('lock_lost');
      }
      expect(await plane.stored()).toBe(before);
      expect(await asked(3)).toEqual({ blue: 3 });
    });

    test('targets that cannot be served are rejected and leave the old in force', async () => {
      await applied(split(0));
      const before = await plane.stored();
      const wrong: Target[][] = [
        [{ slot: 'blue', weight: 90, addresses: [blue.address] }],
        [{ slot: 'blue', weight: 100, addresses: [] }],
        [{ slot: 'blue', weight: 100, addresses: ['127.0.0.1'] }],
        [{ slot: 'blue; }', weight: 100, addresses: [blue.address] }],
        [],
      ];
      for (const targets of wrong) expect(await reasonOf(applied(targets))).toBe('router_rejected');
      expect(await plane.stored()).toBe(before);
      expect(await asked(3)).toEqual({ blue: 3 });
    });

    test('what users wrote stays byte for byte', async ({ skip }) => {
      if (plane.foreign === undefined) return skip('this router shares nothing with users');
      await plane.foreign.put();
      await applied(split(0));
      await applied(split(40));
      expect(await plane.foreign.kept()).toBe(true);
      expect(await verified()).toMatchObject({ matches: true });
    });

    test('killed anywhere in a write, one of the two states is there and the next run goes on', async () => {
      await applied(split(0));
      let kills = 0;
      for await (const moment of plane.kill(split(100))) {
        kills++;
        const found = (await plane.connect().read()).targets;
        expect([split(0), split(100)], moment).toContainEqual(found);
        // Whichever it is, or still becomes: clients are answered.
        await asked(3);
        await applied(split(100));
        expect(await verified(), moment).toMatchObject({ matches: true });
        await applied(split(0));
        expect(await verified(), moment).toMatchObject({ matches: true });
      }
      expect(kills).toBeGreaterThan(0);
    });

    test('with a dead backend verify says no, why, and in time', async () => {
      await applied(split(100));
      expect(await verified()).toMatchObject({ matches: true });
      await stopBackend(green);
      const deadline = deadlineIn(700);
      const observed = await router.verify(await router.read(), deadline, never);
      expect(observed.matches).toBe(false);
      expect(observed.detail).not.toBe('');
      expect(deadline.elapsed()).toBeLessThan(2_500);
    });

    test('verify of traffic that is not in force says no', async () => {
      await applied(split(100));
      const asked = { targets: split(0), version: (await router.read()).version };
      expect(await router.verify(asked, deadlineIn(500), never)).toMatchObject({ matches: false });
    });

    test('drain waits for what is in flight, to its deadline, and can be aborted', async ({ skip }) => {
      if (!router.capabilities.drain) return skip('this router cannot drain');
      await applied(split(0));
      expect(await verified()).toMatchObject({ matches: true });
      const slow = ask(plane.address, '/slow');
      const hanging = ask(plane.address, '/hang').catch(() => 'cut');
      await new Promise((done) => setTimeout(done, 100));
      await applied(split(100));
      expect(await asked(3)).toEqual({ green: 3 });

      const deadline = deadlineIn(800);
      expect(await router.drain('blue', deadline, never)).toMatchObject({ complete: false });
      expect(deadline.elapsed()).toBeGreaterThanOrEqual(790);
      expect(deadline.elapsed()).toBeLessThan(3_000);
      expect(await slow).toBe('blue');

      const abort = new AbortController();
      const aborted = router.drain('blue', deadlineIn(60_000), abort.signal);
      setTimeout(() => abort.abort(), 50);
      expect(await reasonOf(aborted)).toBe('cancelled');

      await stopBackend(blue);
      await hanging;
      expect(await router.drain('blue', deadlineIn(10_000), never)).toMatchObject({
        complete: true,
        inFlight: 0,
      });
    });

    test('verify can be aborted', async () => {
      await applied(split(100));
      await stopBackend(green);
      const abort = new AbortController();
      const verify = router.verify(await router.read(), deadlineIn(60_000), abort.signal);
      setTimeout(() => abort.abort(), 50);
      expect(await reasonOf(verify)).toBe('cancelled');
      expect(await reasonOf(router.verify(await router.read(), deadlineIn(1_000), AbortSignal.abort()))).toBe(
        'cancelled',
      );
    });
  });
}
