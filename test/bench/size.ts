import { limits, sizes } from '../../scripts/build/budget.ts';
import { readTree } from '../../scripts/build/tree.ts';
import type { Row } from './measure.ts';
import { dist } from './step.ts';

/** Bytes of the tree of a version tag, and of the tarball that a job downloads. */
export async function size(): Promise<Row[]> {
  const { bytes, tarball } = sizes(await readTree(dist));
  const row = (subject: string, value: number, goal: number): Row => {
    return { measure: 'size', subject, unit: 'bytes', best: value, median: value, goal };
  };
  return [row('dist', bytes, limits.bytes), row('dist, gzipped tarball', tarball, limits.tarball)];
}
