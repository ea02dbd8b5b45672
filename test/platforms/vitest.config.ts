import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    include: ['test/platforms/**/*.test.ts'],
    globalSetup: [join(import.meta.dirname, 'engine/hold.ts')],
    fileParallelism: false,
    testTimeout: 120_000,
    // The first time, Trivy and the engine are built: minutes.
    hookTimeout: 1_500_000,
  },
});
