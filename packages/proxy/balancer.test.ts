import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createBalancer, weightedRotation } from './balancer.ts';
import { never } from './test-support.ts';

const target = (slot: string, weight: number, addresses = [`${slot}:1`]) => ({ slot, weight, addresses });

test('every 100 choices in a row follow the weights exactly, wherever they begin', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 100 }), fc.nat(100), fc.nat(500), (first, second, skipped) => {
      const rest = 100 - first;
      const weights = [first, Math.min(second, rest), rest - Math.min(second, rest)];
      const next = weightedRotation(weights.map((weight, index) => target(String(index), weight)));
      for (let index = 0; index < skipped; index++) next();
      const counts = [0, 0, 0];
      for (let index = 0; index < 100; index++) {
        const slot = Number(next()?.slot);
        counts[slot] = (counts[slot] ?? 0) + 1;
      }
      expect(counts).toEqual(weights);
    }),
  );
});

test('choices are spread: at 20 % no two in a row', () => {
  const next = weightedRotation([target('old', 80), target('new', 20)]);
  const chosen = Array.from({ length: 50 }, () => next()?.slot).join(' ');
  expect(chosen).not.toContain('new new');
});

test('whatever comes and goes, what is in flight is what has not left', () => {
  const step = fc.oneof(
    fc.record({
      do: fc.constant('enter' as const),
      kind: fc.constantFrom('request' as const, 'probe' as const),
    }),
    fc.record({ do: fc.constant('leave' as const), which: fc.nat(20) }),
    fc.record({ do: fc.constant('use' as const), weight: fc.integer({ min: 0, max: 100 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const balancer = createBalancer();
      balancer.use([target('blue', 100)]);
      const inside: { slot: string; leave(): void }[] = [];
      for (const now of steps) {
        if (now.do === 'use') balancer.use([target('blue', 100 - now.weight), target('green', now.weight)]);
        else if (now.do === 'leave') {
          const [gone] = inside.splice(now.which % Math.max(1, inside.length), 1);
          gone?.leave();
          gone?.leave();
        } else {
          const passage = balancer.enter(now.kind);
          if (passage !== undefined) inside.push(passage);
        }
        const counted = Object.values(balancer.inFlight()).reduce((sum, count) => sum + count, 0);
        expect(counted).toBe(inside.length);
        for (const slot of ['blue', 'green']) {
          expect(balancer.inFlight()[slot] ?? 0).toBe(
            inside.filter((passage) => passage.slot === slot).length,
          );
        }
      }
    }),
  );
});

test('the least busy instance is tried first, and every instance once', () => {
  const balancer = createBalancer();
  balancer.use([target('blue', 100, ['a:1', 'b:1', 'c:1'])]);
  const first = balancer.enter('request');
  const second = balancer.enter('request');
  const busy = [first?.next(), second?.next()];
  const third = balancer.enter('request');
  const tried = [third?.next(), third?.next(), third?.next(), third?.next()];
  expect(busy).not.toContain(tried[0]);
  expect(new Set(tried.slice(0, 3))).toEqual(new Set(['a:1', 'b:1', 'c:1']));
  expect(tried[3]).toBeUndefined();
});

test('probes do not disturb the rotation of requests', () => {
  const balancer = createBalancer();
  balancer.use([target('blue', 50), target('green', 50)]);
  const chosen = Array.from({ length: 10 }, () => {
    balancer.enter('probe');
    return balancer.enter('request')?.slot;
  });
  expect(chosen.filter((slot) => slot === 'blue')).toHaveLength(5);
});

test('idle waits for the last one only, and for each waiter alone', async () => {
  const balancer = createBalancer();
  balancer.use([target('blue', 100)]);
  const [one, two] = [balancer.enter('request'), balancer.enter('request')];
  let drained = false;
  const impatient = balancer.idle('blue', AbortSignal.timeout(10));
  const patient = balancer.idle('blue', never).then((count) => {
    drained = true;
    return count;
  });
  expect(await impatient).toBe(2);
  one?.leave();
  await Promise.resolve();
  expect(drained).toBe(false);
  two?.leave();
  expect(await patient).toBe(0);
  expect(await balancer.idle('never seen', never)).toBe(0);
});
