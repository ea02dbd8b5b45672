// Preloaded with `node --import`: prints how many bytes of modules the process has loaded, as its last line of standard error.
import { registerHooks } from 'node:module';
import { writeSync } from 'node:fs';

let bytes = 0;
registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (url.startsWith('file:')) bytes += Buffer.byteLength(loaded.source ?? '');
    return loaded;
  },
});
process.on('exit', () => writeSync(2, `\nloaded ${bytes}\n`));
