import { openEngine } from '../platforms/engine/engine.ts';
import { goal, measureBuilds } from '../platforms/images/build-times.ts';
import type { BenchOptions, Row } from './measure.ts';

/**
 * The four images of the sample platform by build-images, on a real builder and registry: all at once with an empty cache, beside each
 * by itself; unchanged; and with one that changed.
 */
export async function imageBuilds({ say }: BenchOptions): Promise<Row[]> {
  const engine = await openEngine(say);
  try {
    const { alone, middle, cold, unchanged, changed } = await measureBuilds(engine, say);
    if (changed.rebuilt.join() !== 'ai')
      throw new Error(`one changed, and ${changed.rebuilt.join()} were built`);
    const row = (subject: string, value: number, goal?: number): Row => ({
      measure: 'four images',
      subject,
      unit: 'ms',
      best: value,
      median: value,
      ...(goal === undefined ? {} : { goal }),
    });
    const each = Object.values(alone);
    return [
      row('the slowest alone, cold', Math.max(...each)),
      row(
        'one after another, cold',
        each.reduce((sum, one) => sum + one, 0),
      ),
      row('all at once, cold', middle.cold.took, goal * middle.least),
      row('unchanged', unchanged.took, cold.took / 10),
      row('one changed', changed.took),
    ];
  } finally {
    await engine.end();
  }
}

/** The engine needs Linux and root; where this machine has neither, that is said, unless it was asked for. */
export async function withEngine(
  { say }: BenchOptions,
  isAskedFor: boolean,
  run: () => Promise<void>,
): Promise<void> {
  const mayHaveOne = process.platform === 'linux' && process.getuid?.() === 0;
  if (mayHaveOne || isAskedFor) await run();
  else say('Left out: what needs a container engine of its own, which needs Linux and root.');
}
