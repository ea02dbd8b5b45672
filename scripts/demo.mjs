// npm run demo [-- --json FILE] [-- --html FILE]: sets the clone up, then shows the suite at work (scripts/demo/main.ts).
import { join } from 'node:path';
import { root, runWithNode24 } from './setup.mjs';

await runWithNode24([
  '--disable-warning=ExperimentalWarning',
  join(root, 'scripts/demo/main.ts'),
  ...process.argv.slice(2),
]);
