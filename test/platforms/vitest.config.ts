import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    include: ['test/platforms/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    // The first time, Trivy is built: minutes.
    hookTimeout: 1_500_000,
  },
});
