import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/**
 * Files whose tests wait for the cluster most of their time, each in a namespace of its own, and hold nothing against the clock that a
 * neighbour could spoil. Whatever is named neither here nor below has the machine to itself: load counts what it loses, and limits are
 * in seconds.
 */
const beside = [
  'actions',
  'api-proxy',
  'cache',
  'cluster',
  'conformance',
  'crash',
  'diagnose',
  'followers',
  'helpdesk',
  'manifests',
  'one-journal',
  'only-api',
  'pipeline',
  'refusals',
  'replica-weight',
  'rolling',
  'rolling-actions',
  'server',
  'service-selector',
  'units',
  'workers',
].map(pathOf);

/** Faults at every write of an action, in lanes of their own (adversity.ts): as busy as they are let be. */
const kills = ['apply-chaos', 'chaos', 'rolling-chaos'].map(pathOf);

function pathOf(name: string): string {
  return `test/cluster/${name}.test.ts`;
}

const shared = {
  root: join(import.meta.dirname, '../..'),
  testTimeout: 400_000,
  hookTimeout: 300_000,
  expect: { poll: { timeout: 10_000 } },
};

export default defineConfig({
  test: {
    ...shared,
    projects: [
      {
        test: {
          ...shared,
          name: 'alone',
          include: ['test/cluster/**/*.test.ts'],
          exclude: [...beside, ...kills],
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
      {
        // They share two cores with the cluster.
        test: { ...shared, name: 'beside', include: beside, maxWorkers: 2, sequence: { groupOrder: 2 } },
      },
      { test: { ...shared, name: 'kills', include: kills, maxWorkers: 1, sequence: { groupOrder: 3 } } },
    ],
  },
});
