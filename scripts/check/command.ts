import { spawn } from 'node:child_process';

/** Runs a program to its end; its output, of both streams, when it fails. Rejects when there is no such program. */
export async function failureOf(
  command: string,
  args: string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<string[]> {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => (output += part));
  }
  const code = await new Promise<number | string | null>((resolve, reject) => {
    child.once('error', reject).once('close', (exitCode, signal) => resolve(exitCode ?? signal));
  });
  return code === 0 ? [] : [output.trim() === '' ? `${command} ended with ${code}` : output.trim()];
}
