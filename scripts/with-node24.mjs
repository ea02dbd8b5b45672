// node scripts/with-node24.mjs <script or program of a package> [arguments]: sets the clone up and runs it with Node ≥ 24.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureReady, root, runWithNode24 } from './setup.mjs';

/** The file that a package declares as its program, so that no shell or platform wrapper is between. */
function programOf(name) {
  const folder = join(root, 'node_modules', name);
  if (!existsSync(join(folder, 'package.json')))
    throw new Error(`${name} is neither a file nor an installed package`);
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return join(folder, typeof bin === 'string' ? bin : bin[name]);
}

const [target = '', ...args] = process.argv.slice(2);
await ensureReady();
await runWithNode24([existsSync(target) ? target : programOf(target), ...args]);
