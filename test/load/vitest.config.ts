import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    include: ['test/load/**/*.test.ts'],
    testTimeout: 90_000,
    hookTimeout: 300_000,
  },
});
