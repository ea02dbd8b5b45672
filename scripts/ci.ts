// Everything that CI runs, once the clone is set up (see .ci/run). The last line is `N passed, N failed`.

import { spawn } from 'node:child_process';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runSteps } from './ci/run-steps.ts';
import { stagesFor } from './ci/stages.ts';

const root = join(import.meta.dirname, '..');
const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};
const folder = await mkdtemp(join(tmpdir(), 'ci-'));
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());

// What takes long to make and no step needs at once. The steps that need it wait for it, or make it themselves.
const log = await open(join(folder, 'prebuild.log'), 'w');
const prebuild = spawn(process.execPath, [join(root, 'scripts/prebuild.ts')], {
  cwd: root,
  stdio: ['ignore', log.fd, log.fd],
});
try {
  const { passed, failed } = await runSteps(stagesFor(scripts), {
    folder,
    cwd: root,
    say: (text) => void process.stdout.write(text),
    signal: stop.signal,
  });
  process.stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = stop.signal.aborted ? 130 : failed > 0 ? 1 : 0;
} finally {
  prebuild.kill();
  await log.close();
  await rm(folder, { recursive: true, force: true });
}
