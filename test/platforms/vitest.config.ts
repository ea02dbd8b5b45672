import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** What holds times of builds against a limit. */
const timed = ['test/platforms/images/helpdesk.test.ts'];

const shared = {
  root: join(import.meta.dirname, '../..'),
  testTimeout: 120_000,
  // The first time, Trivy and the engine are built: minutes.
  hookTimeout: 1_500_000,
  expect: { poll: { timeout: 10_000 } },
};

export default defineConfig({
  test: {
    ...shared,
    globalSetup: [join(import.meta.dirname, 'engine/hold.ts')],
    fileParallelism: false,
    projects: [
      { test: { ...shared, name: 'timed', include: timed, sequence: { groupOrder: 1 } } },
      {
        test: {
          ...shared,
          name: 'untimed',
          include: ['test/platforms/**/*.test.ts'],
          exclude: timed,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
