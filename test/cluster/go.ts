// Programs that are built from Go modules, because there are no packages of them that every machine can have. Versions and
// checksums of everything in them are in a go.mod and go.sum of the repository.

import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { end, output } from '../support/command.ts';
import { cached, type Say } from './cache.ts';
import { withProgress } from './progress.ts';

export interface ProgramsOptions {
  /** Of the folder in the cache; what they are built from is added to it. */
  name: string;
  /** What is built and how long that takes, for people. */
  title: string;
  /** The folder of go.mod and go.sum. */
  sources: string;
  /** Of `go build`. */
  flags: string[];
  /** Each is a program, named for the last part of its path. */
  packages: string[];
  say: Say;
}

/**
 * The folder with the programs. The first time they are built, at low priority. Throws with what to do when there is no Go, or with
 * its last lines.
 */
export async function buildPrograms(options: ProgramsOptions): Promise<string> {
  const { name, title, sources, flags, packages, say } = options;
  return cached(join(name, await keyOf(sources, flags)), say, async (folder) => {
    say(`Building ${title}, once`);
    // -v names each package as its compilation ends.
    let [compiled, last] = [0, 'starting'];
    const at = (): string => `${compiled} packages compiled, ${last}`;
    const args = ['build', '-v', '-o', `${folder}/`, ...flags, ...packages];
    const seconds = await withProgress(say, at, () =>
      go(args, sources, (line) => {
        if (!line.startsWith('go: ')) compiled += 1;
        last = line;
      }),
    );
    say(`Built ${name} in ${seconds} s`);
  });
}

/** Changes with all that a build is made of. */
export async function keyOf(folder: string, buildFlags: string[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([buildFlags, process.platform, process.arch]));
  const files = (await readdir(folder)).filter((name) => name.endsWith('.go')).toSorted();
  for (const name of ['go.mod', 'go.sum', ...files])
    hash.update(await readFile(join(folder, name)).catch(() => ''));
  return hash.digest('hex').slice(0, 16);
}

export async function go(args: string[], cwd: string, onLine?: Say): Promise<void> {
  const there = await end('go', ['version']).catch(() => undefined);
  if (there === undefined)
    throw new Error(
      'Go 1.24 or newer is needed to build what the tests run, and there is no `go` on PATH: https://go.dev/dl',
    );
  await output('nice', ['-n', '19', 'go', ...args], {
    cwd,
    env: { ...process.env, CGO_ENABLED: '0' },
    ...(onLine === undefined ? {} : { onLine }),
  });
}
