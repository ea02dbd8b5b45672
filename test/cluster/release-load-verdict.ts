import { expect } from 'vitest';
import type { ReleaseFigures } from './release-load.ts';

/**
 * Nothing was lost of what can be kept, neither before the releases nor in their phase, and enough was sent for that to mean
 * something. The phase `set-image`, which is to lose some, shows that losses are counted.
 */
export function expectNothingLost(figures: ReleaseFigures, phase: string): void {
  process.stderr.write(`${figures.text}\n`);
  for (const each of ['steady', phase]) {
    for (const part of ['new', 'inflight', 'announced'] as const) {
      expect(figures.of(each, part), `${part}: ${figures.lost(each)}`).toMatchObject({ lost: 0, failed: 0 });
    }
  }
  expect(figures.of(phase, 'new').answered).toBeGreaterThan(1_000);
  expect(figures.of(phase, 'announced').answered).toBeGreaterThan(500);
  expect(figures.of('set-image', 'new').lost, figures.text).toBeGreaterThan(0);
}
