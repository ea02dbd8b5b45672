// A service of the sample platform as a process of this machine.

import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';

export type Instance = {
  origin: string;
  /** What it wrote on standard output so far, a JSON object a line. */
  logs(): Record<string, unknown>[];
  /** Sends SIGTERM, or another signal; the exit code. */
  stop(signal?: 'SIGTERM' | 'SIGQUIT'): Promise<number | null>;
};

/** Starts it, and resolves when it answers /version on that port of 127.0.0.1. Throws with what it wrote when it does not in 20 s. */
export async function startInstance(
  command: readonly string[],
  options: { cwd: string; env: NodeJS.ProcessEnv; port: number },
): Promise<Instance> {
  const [program = '', ...args] = command;
  const { cwd, env, port } = options;
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output += chunk));
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const origin = `http://127.0.0.1:${port}`;
  const deadline = performance.now() + 20_000;
  const answers = (): Promise<boolean> =>
    fetch(`${origin}/version`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await answers())) {
    if (child.exitCode !== null || performance.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`it does not answer:\n${output}`);
    }
    await delay(50);
  }
  return {
    origin,
    logs: () =>
      output
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>),
    stop: (signal = 'SIGTERM') => (child.kill(signal), exited),
  };
}
