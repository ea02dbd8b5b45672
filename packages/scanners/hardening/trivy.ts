import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Scanned } from '../model.ts';
import { scanTarget, type TrivyOptions } from '../trivy/run.ts';

/** How Trivy is run for its configuration scan; it needs no database. */
export type ConfigurationScan = Pick<
  TrivyOptions,
  'program' | 'timeout' | 'environment' | 'log' | 'signal'
> & {
  /** A folder for copies and reports. */
  temp: string;
};

/**
 * What Trivy's configuration scan says of these files of `root`, on their lines. It is given copies of these alone: it would look at installed
 * packages and hidden folders, too. Throws `scan_failed` when it does not come to its end.
 */
export async function scanByTrivy(
  root: string,
  files: readonly string[],
  { temp, ...options }: ConfigurationScan,
): Promise<Scanned[]> {
  if (files.length === 0) return [];
  await mkdir(temp, { recursive: true });
  const work = await mkdtemp(join(temp, 'hardening-'));
  try {
    const copies = join(work, 'files');
    for (const file of files) {
      await mkdir(dirname(join(copies, file)), { recursive: true });
      await copyFile(join(root, file), join(copies, file));
    }
    const { findings } = await scanTarget(
      { kind: 'config', what: 'files', target: null, prefix: '' },
      join(work, 'report.json'),
      { ...options, cache: join(work, 'cache'), scanners: ['misconfig'], vex: [], directory: work },
    );
    return findings;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
