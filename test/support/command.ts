// Programs of the machine, run to their end.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface CommandOptions {
  cwd?: string;
  /** Default: this process's. */
  env?: NodeJS.ProcessEnv;
  /** What its standard input gets; default nothing. */
  input?: string | Buffer;
  /** Each line of either stream as it comes. */
  onLine?: (line: string) => void;
  /** Ends it by SIGTERM. */
  signal?: AbortSignal;
}

export interface Ended {
  /** The exit code; 128 and more when a signal ended it. */
  code: number;
  stdout: string;
  stderr: string;
}

/** Resolves however it ends; rejects when there is no such program. */
export async function end(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<Ended> {
  const { input, onLine, ...where } = options;
  const child = spawn(command, args, { ...where, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {}); // it may end without reading
  child.stdin.end(input ?? '');
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  if (onLine !== undefined) {
    for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', onLine);
  }
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject).once('close', (exitCode) => resolve(exitCode ?? 128));
  });
  return { code, stdout, stderr };
}

/** Its standard output. Throws with its last lines when it fails. */
export async function output(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await end(command, args, options);
  if (code === 0) return stdout;
  const said = `${stdout}${stderr}`.trimEnd().split('\n').slice(-15).join('\n');
  throw new Error(`${command} ${args.join(' ')} ended with ${code}:\n${said}`);
}
