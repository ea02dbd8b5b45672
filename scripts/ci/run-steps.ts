import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Counts, countsOf } from './counts.ts';

export interface Step {
  name: string;
  /** The command; it writes its counts to `file`, where it can (see `countsOf`). */
  command(file: string): string[];
}

export interface Surroundings {
  /** A folder for the files with counts. */
  folder: string;
  cwd: string;
  say(text: string): void;
  signal: AbortSignal;
}

/**
 * Runs step after step and sums up. Every step runs, whether the one before failed or not; what it says is seen as it comes. An abort
 * passes SIGTERM on, and starts nothing more.
 */
export async function runSteps(steps: readonly Step[], around: Surroundings): Promise<Counts> {
  const sum: Counts = { passed: 0, failed: 0 };
  for (const step of steps) {
    if (around.signal.aborted) break;
    const { passed, failed } = await runStep(step, around);
    sum.passed += passed;
    sum.failed += failed;
  }
  return sum;
}

async function runStep({ name, command }: Step, around: Surroundings): Promise<Counts> {
  const { folder, cwd, say, signal } = around;
  const start = performance.now();
  const file = join(folder, `${name.replaceAll(/\W/g, '-')}.json`);
  say(`::group::${name}\n`);
  const [program = '', ...args] = command(file);
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const end = () => void child.kill('SIGTERM');
  signal.addEventListener('abort', end, { once: true });
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', say);
  const code = await codeOf(child, say);
  signal.removeEventListener('abort', end);
  const counts = countsOf(await readFile(file, 'utf8').catch(() => undefined), code);
  const seconds = ((performance.now() - start) / 1_000).toFixed(0);
  say('\n::endgroup::\n');
  say(`${name}: ${counts.passed} passed, ${counts.failed} failed, ${seconds} s (exit code ${code})\n`);
  return counts;
}

/** Null when it was ended by a signal, or could not be started. */
function codeOf(child: ChildProcess, say: (text: string) => void): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      say(`${error.message}\n`);
      resolve(null);
    });
    child.once('close', resolve);
  });
}
