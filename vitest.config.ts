import { defineConfig } from 'vitest/config';

// What needs packages of the system or minutes is in test/load and test/chaos: `npm run test:load`, `npm run test:chaos`.
export default defineConfig({
  test: {
    include: ['{actions,packages,scripts,test}/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'test/load/**', 'test/chaos/**'],
    // Most of the time is spent waiting for processes, not computing.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
});
