import { defineConfig } from 'vitest/config';

// What needs packages of the system or minutes is in test/load, test/chaos, test/cluster and test/platforms: `npm run test:load` and so on.
export default defineConfig({
  test: {
    include: ['{actions,packages,scripts,test}/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'test/load/**', 'test/chaos/**', 'test/cluster/**', 'test/platforms/**'],
    // Most of the time is spent waiting for processes, not computing.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 120_000,
    expect: { poll: { timeout: 10_000 } },
  },
});
