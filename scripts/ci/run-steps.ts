import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Counts, countsOf } from './counts.ts';

export interface Step {
  name: string;
  /** The command; it writes its counts to `file`, where it can (see `countsOf`). */
  command(file: string): string[];
}

/** What goes on at the same time: steps one after the other, beside others. */
export type Lane = readonly Step[];

export interface Surroundings {
  /** A folder for the files with counts. */
  folder: string;
  cwd: string;
  say(text: string): void;
  signal: AbortSignal;
}

interface Ended extends Counts {
  code: number | null;
}

/**
 * Runs stage after stage, the lanes of a stage at once, and sums up. Every step runs, whether the one before failed or not. The output
 * of a step that has a stage to itself is seen as it comes; of steps beside others, each whole when it has ended. An abort passes
 * SIGTERM on, and starts nothing more.
 */
export async function runSteps(stages: readonly (readonly Lane[])[], around: Surroundings): Promise<Counts> {
  const sum: Counts = { passed: 0, failed: 0 };
  for (const lanes of stages) {
    const isAlone = lanes.length === 1;
    const all = lanes.map(async (lane) => {
      for (const step of lane) {
        if (around.signal.aborted) return;
        const { passed, failed } = await runStep(step, isAlone, around);
        sum.passed += passed;
        sum.failed += failed;
      }
    });
    await Promise.all(all);
  }
  return sum;
}

async function runStep({ name, command }: Step, isAlone: boolean, around: Surroundings): Promise<Ended> {
  const { folder, cwd, signal } = around;
  const start = performance.now();
  const file = join(folder, `${name.replaceAll(/\W/g, '-')}.json`);
  const kept: string[] = [];
  const say = isAlone ? around.say : (text: string) => void kept.push(text);
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
  if (!isAlone) around.say(kept.join(''));
  return { ...counts, code };
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
