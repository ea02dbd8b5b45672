// Small actions in the place of the foreign ones that workflows pin, so that a run needs no network.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

interface StandIn {
  name: string;
  /** Defaults by name of the input. */
  inputs: Record<string, string>;
  /** CommonJS. */
  code: string;
}

async function write(folder: string, { name, inputs, code }: StandIn): Promise<string> {
  await mkdir(folder, { recursive: true });
  const manifest = {
    name: `A stand-in for ${name}`,
    description: 'For tests.',
    inputs: Object.fromEntries(
      Object.entries(inputs).map(([input, value]) => [input, { description: input, default: value }]),
    ),
    runs: { using: 'node24', main: 'main.cjs' },
  };
  await writeFile(join(folder, 'action.yml'), JSON.stringify(manifest)); // JSON is YAML
  await writeFile(join(folder, 'main.cjs'), code);
  return folder;
}

/**
 * Puts a commit of the repository in the workspace, or in the folder `path` below it. Without `ref` it is the last commit.
 * (Of a checkout without `ref` and `path` act makes a copy itself.)
 */
export function checkout(folder: string, repository: string): Promise<string> {
  return write(folder, {
    name: 'actions/checkout',
    inputs: { ref: '', path: '.', 'persist-credentials': 'true' },
    code: `const { execFileSync } = require('node:child_process');
const { join } = require('node:path');
const directory = join(process.env.GITHUB_WORKSPACE, process.env.INPUT_PATH);
const git = (...args) => execFileSync('git', args, { stdio: 'inherit' });
git('clone', '--quiet', ${JSON.stringify(repository)}, directory);
if (process.env.INPUT_REF) git('-C', directory, 'checkout', '--quiet', process.env.INPUT_REF);
`,
  });
}

/** Puts programs on the PATH of the steps that follow: those of a Python that is there already. */
export function setupPython(folder: string, programs: string): Promise<string> {
  return write(folder, {
    name: 'actions/setup-python',
    inputs: { 'python-version': '' },
    code: `require('node:fs').appendFileSync(process.env.GITHUB_PATH, ${JSON.stringify(`${programs}\n`)});
`,
  });
}
