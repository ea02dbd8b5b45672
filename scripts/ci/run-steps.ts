import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Counts, countsOf, failuresIn } from './counts.ts';

export interface Step {
  name: string;
  /** The command; it writes its counts to `file`, where it can (see `countsOf`). */
  command(file: string): string[];
}

/** Steps that run one after the other, beside other lanes. */
export interface Lane {
  steps: readonly Step[];
  /** Gives way to the lanes beside it whenever they want the processor (nice(1)). */
  givesWay?: boolean;
}

export interface Surroundings {
  /** A folder for the files with counts. */
  folder: string;
  cwd: string;
  say(text: string): void;
  signal: AbortSignal;
}

interface Outcome extends Counts {
  /** What it came to, in a line. */
  line: string;
  /** Empty for a step without failures. */
  failures: string[];
}

/** How much of what a step said last is shown again, where it does not say which tests failed. */
const tailLength = 3_000;

/**
 * Runs stage after stage, the lanes of a stage at once, and sums up. Every step runs, whether the one before failed or not. The output
 * of a step that has a stage to itself is seen as it comes; of steps beside others, each whole when it has ended. What failed is said
 * once more at the end, where it is looked for. An abort passes SIGTERM on, and starts nothing more.
 */
export async function runSteps(stages: readonly (readonly Lane[])[], around: Surroundings): Promise<Counts> {
  const outcomes: Outcome[] = [];
  for (const lanes of stages) {
    const all = lanes.map(async ({ steps, givesWay = false }) => {
      for (const step of steps) {
        if (around.signal.aborted) return;
        const kept: string[] = [];
        const say = lanes.length === 1 ? around.say : (text: string) => void kept.push(text);
        const outcome = await runStep(step, givesWay, { ...around, say });
        around.say(`${kept.join('')}${outcome.line}\n`);
        outcomes.push(outcome);
      }
    });
    await Promise.all(all);
  }
  around.say(`\nIn short:\n`);
  for (const { line, failures } of outcomes)
    around.say([line, ...failures.map((failure) => failure.replaceAll(/^/gm, '  '))].join('\n') + '\n');
  return {
    passed: outcomes.reduce((sum, { passed }) => sum + passed, 0),
    failed: outcomes.reduce((sum, { failed }) => sum + failed, 0),
  };
}

async function runStep({ name, command }: Step, givesWay: boolean, around: Surroundings): Promise<Outcome> {
  const { folder, cwd, say, signal } = around;
  const start = performance.now();
  const file = join(folder, `${name.replaceAll(/\W/g, '-')}.json`);
  say(`::group::${name}\n`);
  const [program = '', ...args] = [...(givesWay ? ['nice', '-n', '19'] : []), ...command(file)];
  // A group of its own: npm ends by the signal without telling the shell that it started.
  const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const end = () => endGroup(child);
  signal.addEventListener('abort', end, { once: true });
  let tail = '';
  const hear = (text: string): void => {
    tail = (tail + text).slice(-tailLength);
    say(text);
  };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', hear);
  const code = await codeOf(child, hear);
  signal.removeEventListener('abort', end);
  const written = await readFile(file, 'utf8').catch(() => undefined);
  const { passed, failed } = countsOf(written, code);
  const seconds = ((performance.now() - start) / 1_000).toFixed(0);
  say('\n::endgroup::\n');
  return {
    passed,
    failed,
    line: `${name}: ${passed} passed, ${failed} failed, ${seconds} s (exit code ${code})`,
    failures: failed === 0 ? [] : failuresOf(written, tail),
  };
}

/** Which tests failed; what was said last, where the step does not tell. */
function failuresOf(written: string | undefined, tail: string): string[] {
  const told = failuresIn(written);
  return told.length > 0 ? told : [tail.trim()];
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGTERM');
  } catch (error) {
    // It has ended by itself.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
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
