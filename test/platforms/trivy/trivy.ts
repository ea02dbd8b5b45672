// The real Trivy, built from its Go module, with a small vulnerability database of our own: the public one cannot be had
// everywhere, and changes every day.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, type Say } from '../../cluster/cache.ts';
import { output } from '../../support/command.ts';

const version = '0.69.3';
const sources = join(import.meta.dirname, 'module');
const stamp = `-X github.com/aquasecurity/trivy/pkg/version/app.ver=${version}`;
const flags = ['-trimpath', '-mod=readonly', '-ldflags', `-s -w ${stamp}`];

/** The folder with `trivy` and `database`. The first time they are built, at low priority: about ten minutes on two cores. */
export async function trivyPrograms(say: Say): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([flags, process.platform, process.arch]));
  for (const name of ['go.mod', 'go.sum', 'database/main.go'])
    hash.update(await readFile(join(sources, name)));
  return cached(join(`trivy-${version}`, hash.digest('hex').slice(0, 16)), say, async (folder) => {
    const began = performance.now();
    say(`Building Trivy ${version} from its Go module: about ten minutes on two cores, once`);
    const progress = setInterval(() => say(`  ${Math.round((performance.now() - began) / 1_000)} s`), 15_000);
    try {
      const env = { ...process.env, CGO_ENABLED: '0', GOEXPERIMENT: 'jsonv2' };
      for (const [program, from] of [
        ['trivy', 'github.com/aquasecurity/trivy/cmd/trivy'],
        ['database', './database'],
      ] as const) {
        await output('nice', ['-n', '19', 'go', 'build', '-o', join(folder, program), ...flags, from], {
          cwd: sources,
          env,
        });
      }
    } finally {
      clearInterval(progress);
    }
  });
}

/** A bucket of the database: buckets, or values under the key `value`. */
export interface Bucket {
  [name: string]: Bucket | { value: unknown };
}

/** Replaces the database in a cache folder. `updated` is what it says of its own age, ISO 8601 without fractions. */
export async function writeDatabase(
  programs: string,
  cache: string,
  updated: string,
  content: Bucket,
): Promise<void> {
  await output(join(programs, 'database'), [cache, updated], { input: JSON.stringify(content) });
}
