import { use } from '../cluster/cluster.ts';
import type { BenchOptions } from './measure.ts';

/**
 * Runs what needs the test cluster, which is brought up where it is not and left as it was found. Where this machine cannot have
 * one, that is said and nothing is run, unless it was asked for.
 */
export async function withCluster(
  { say }: BenchOptions,
  isAskedFor: boolean,
  run: () => Promise<void>,
): Promise<void> {
  const mayHaveOne = process.platform === 'linux' && process.getuid?.() === 0;
  if (!mayHaveOne && !isAskedFor) {
    say('Left out: what needs the test cluster, which needs Linux and root.');
    return;
  }
  const cluster = await use(say);
  try {
    await run();
  } finally {
    await cluster.release();
  }
}
