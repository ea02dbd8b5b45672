// The four images of the sample platform, from nothing: built at once in hardly more time than the slowest takes, and not again.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Engine, openEngine } from '../engine/engine.ts';
import { manifestAt } from '../engine/registry-client.ts';
import { type BuildTimes, goal, measureBuilds, seconds } from './build-times.ts';

const say = (line: string) => void process.stderr.write(`${line}\n`);
let engine: Engine;
let times: BuildTimes;

beforeAll(async () => {
  engine = await openEngine(say);
  times = await measureBuilds(engine, say);
});
afterAll(() => engine?.end());

it('all four are built and pushed, for which the registry vouches', async () => {
  expect(times.cold.rebuilt).toEqual(['backend', 'frontend', 'ai', 'realtime']);
  for (const { reference, digest, size } of Object.values(times.cold.details)) {
    const path = reference.slice(reference.indexOf('/') + 1, reference.indexOf('@'));
    expect((await manifestAt(engine.registry, path, digest))?.digest).toBe(digest);
    expect(size).toBeGreaterThan(1_000_000);
  }
});

it('at once they take at most 1.15 of the slowest, or of their CPU time on the cores', () => {
  const { middle, rounds, alone } = times;
  const sum = Object.values(alone).reduce((total, each) => total + each, 0);
  say(
    `cold ${seconds(middle.cold.took)}, the middle of ${rounds}; at least ${seconds(middle.least)}; one after another ${seconds(sum)}`,
  );
  expect(middle.cold.took).toBeLessThanOrEqual(goal * middle.least);
});

it('unchanged they take less than a tenth, and no builder', () => {
  expect(times.unchanged.rebuilt).toEqual([]);
  expect(times.unchanged.took).toBeLessThan(times.cold.took / 10);
  for (const [name, { digest }] of Object.entries(times.cold.details))
    expect(times.unchanged.details[name]?.digest).toBe(digest);
});

it('of one that changed, only that is built', () => {
  expect(times.changed.rebuilt).toEqual(['ai']);
  expect(times.changed.details['backend']?.digest).toBe(times.cold.details['backend']?.digest);
  expect(times.changed.details['ai']?.digest).not.toBe(times.cold.details['ai']?.digest);
});
