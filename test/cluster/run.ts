// npm run test:cluster [-- arguments of vitest]
//
// Brings the cluster up where it is not, runs the tests of this folder on it, and takes it down again unless it was up before,
// others use it, or KEEP_CLUSTER=1.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { up, use } from './cluster.ts';

const root = join(import.meta.dirname, '../..');
const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(): Promise<number> {
  const cluster = await use(say);
  if (process.env['KEEP_CLUSTER'] === '1') await up(say);
  try {
    const config = join(import.meta.dirname, 'vitest.config.ts');
    const vitest = join(root, 'node_modules/vitest/vitest.mjs');
    const args = [vitest, 'run', '--config', config, ...process.argv.slice(2)];
    const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit' });
    const pass = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on('SIGINT', pass).on('SIGTERM', pass);
    const [code] = (await once(child, 'close')) as [number | null];
    return code ?? 1;
  } finally {
    await cluster.release();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  for (let one: unknown = error; one instanceof Error; one = one.cause) say(one.message);
  process.exitCode = 1;
}
