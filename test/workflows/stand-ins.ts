// Small actions in the place of the foreign ones that workflows pin, so that a run needs no network.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * A stand-in for actions/checkout: puts a commit of the repository in the workspace, or in the folder `path` below it.
 * Without `ref` it is the last commit. (Of a checkout without any input act makes a copy itself.)
 */
export async function checkoutStandIn(folder: string, repository: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const manifest = {
    name: 'A stand-in for actions/checkout',
    description: 'Clones the repository of the test.',
    inputs: {
      ref: { description: 'The commit.', default: '' },
      path: { description: 'The folder.', default: '.' },
      'persist-credentials': { description: 'There are none.', default: 'true' },
      'fetch-depth': { description: 'All of it is there.', default: '1' },
    },
    runs: { using: 'node24', main: 'main.cjs' },
  };
  await writeFile(join(folder, 'action.yml'), JSON.stringify(manifest)); // JSON is YAML
  await writeFile(
    join(folder, 'main.cjs'),
    `const { execFileSync } = require('node:child_process');
const { join } = require('node:path');
const directory = join(process.env.GITHUB_WORKSPACE, process.env.INPUT_PATH);
const git = (...args) => execFileSync('git', args, { stdio: 'inherit' });
git('clone', '--quiet', ${JSON.stringify(repository)}, directory);
if (process.env.INPUT_REF) git('-C', directory, 'checkout', '--quiet', process.env.INPUT_REF);
`,
  );
  return folder;
}
