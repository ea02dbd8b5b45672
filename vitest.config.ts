import { defineConfig } from 'vitest/config';

// What needs packages of the system or minutes is in test/load and test/chaos: `npm run test:load`, `npm run test:chaos`.
export default defineConfig({
  test: {
    include: ['{actions,packages,scripts,test}/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'test/load/**', 'test/chaos/**'],
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
});
