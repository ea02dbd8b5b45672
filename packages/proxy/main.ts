import { runProxy } from './run.ts';

process.exit(await runProxy(process.argv[2]));
