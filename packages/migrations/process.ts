import { spawn } from 'node:child_process';
import { DeployError, cancelled, codeOf } from '@deploy-actions/core';

/** How much of a stream is kept: enough for any error, never enough to fill the memory. */
const keptCharacters = 256 * 1024;
const lastLines = 15;

export interface Command {
  file: string;
  arguments: string[];
  /** The whole environment of the process; nothing of this process is added. */
  environment: Record<string, string>;
  directory?: string;
  input?: string;
  signal: AbortSignal;
  /** Milliseconds. */
  limit: number;
  /** Characters of its output that are kept, from the end. */
  keep?: number;
}

export interface Finished {
  code: number | null;
  killedBy: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Text that grows at its end and is forgotten at its beginning. */
export function boundedText(limit = keptCharacters): { add: (chunk: string) => void; text: () => string } {
  let kept = '';
  return {
    add: (chunk) => {
      kept = (kept + chunk).slice(-limit);
    },
    text: () => kept,
  };
}

export function tail(text: string, lines = lastLines): string[] {
  return text.trimEnd().split('\n').slice(-lines).filter(Boolean);
}

/**
 * Runs a program to its end. A program that cannot be started is `not_found`; one that is stopped by the signal or
 * the limit gets SIGTERM, then SIGKILL after two seconds, and is `cancelled` or `timeout`. The exit code is the
 * caller's to judge.
 */
export async function runProcess(command: Command): Promise<Finished> {
  if (command.signal.aborted) throw cancelled(`starting ${command.file}`);
  const child = spawn(command.file, command.arguments, {
    cwd: command.directory,
    env: command.environment,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const stdout = boundedText(command.keep);
  const stderr = boundedText();
  child.stdout.setEncoding('utf8').on('data', stdout.add);
  child.stderr.setEncoding('utf8').on('data', stderr.add);
  child.stdin.on('error', () => {}); // the program may end without reading its input
  child.stdin.end(command.input ?? '');

  let stoppedBy: 'cancelled' | 'timeout' | undefined;
  let killer: NodeJS.Timeout | undefined;
  const stop = (why: 'cancelled' | 'timeout') => {
    stoppedBy ??= why;
    child.kill('SIGTERM');
    killer ??= setTimeout(() => child.kill('SIGKILL'), 2_000);
  };
  const onAbort = () => stop('cancelled');
  command.signal.addEventListener('abort', onAbort);
  const timer = setTimeout(() => stop('timeout'), command.limit);
  try {
    const finished = await new Promise<Finished>((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code, killedBy) =>
        resolve({ code, killedBy, stdout: stdout.text(), stderr: stderr.text() }),
      );
    });
    if (stoppedBy === 'cancelled') throw cancelled(`running ${command.file}`);
    if (stoppedBy === 'timeout') {
      throw new DeployError('timeout', `${command.file} did not end within ${command.limit / 1_000} s.`, {
        details: tail(finished.stderr),
      });
    }
    return finished;
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'EACCES') {
      throw new DeployError('not_found', `The program ${command.file} cannot be started.`, { cause: thrown });
    }
    throw thrown;
  } finally {
    clearTimeout(timer);
    clearTimeout(killer);
    command.signal.removeEventListener('abort', onAbort);
  }
}

/** Takes out known secrets and the passwords of URLs. */
export function redact(text: string, secrets: Iterable<string>): string {
  let clean = text.replaceAll(/(:\/\/[^\s:@/]*):[^\s@/]+@/g, '$1:***@');
  for (const secret of secrets) {
    if (secret !== '') clean = clean.replaceAll(secret, '***');
  }
  return clean;
}
