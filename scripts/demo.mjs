// npm run demo [-- --json FILE] [-- --html FILE]: sets the clone up, then shows the suite at work (scripts/demo/main.ts).
import { runWithNode24 } from './setup.mjs';

await runWithNode24([
  '--disable-warning=ExperimentalWarning',
  new URL('demo/main.ts', import.meta.url).pathname,
  ...process.argv.slice(2),
]);
