import { spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';
import { cancelled, codeOf, DeployError } from './errors.ts';
import { formatDuration, longestTimer } from './time.ts';

export interface ProcessOptions {
  command: string[];
  cwd?: string;
  /** The whole environment of the child; nothing is inherited besides. Secrets belong here, never in `command`. */
  env: NodeJS.ProcessEnv;
  input?: string;
  signal: AbortSignal;
  /** Milliseconds until the child is ended. */
  timeout: number;
  /** Milliseconds between SIGTERM and SIGKILL; default 5 s, within what a runner gives a cancelled step. */
  grace?: number;
  /** Bytes of stdout and of stderr that are kept, the last ones; default 1 MiB each. */
  keep?: number;
  onLine?(line: string, from: 'stdout' | 'stderr'): void;
}

export interface ProcessResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** The end of a stream, in bounded memory. */
function tail(keep: number) {
  let chunks: Buffer[] = [];
  let size = 0;
  return {
    add(chunk: Buffer) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > keep * 2) {
        const last = Buffer.concat(chunks).subarray(-keep);
        chunks = [last];
        size = last.length;
      }
    },
    text: () => Buffer.concat(chunks).subarray(-keep).toString('utf8'),
  };
}

/** A line that is longer is told in pieces, so that output without line ends takes bounded memory too. */
const longestLine = 64 * 1024;

/** How long after the end of a child its output is still read: a daemon that it left behind may hold the pipes for ever. */
const drainTime = 2_000;

function byLine(report: (line: string) => void) {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  return {
    add(chunk: Buffer) {
      const lines = (rest + decoder.write(chunk)).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) report(line);
      for (; rest.length > longestLine; rest = rest.slice(longestLine)) report(rest.slice(0, longestLine));
    },
    end() {
      rest += decoder.end();
      if (rest !== '') report(rest);
    },
  };
}

export function lastLines(text: string, count: number): string[] {
  return text.trimEnd().split('\n').slice(-count);
}

/**
 * Runs a child in a process group of its own and waits for its end. On abort or time-out the group gets SIGTERM and,
 * after the grace, SIGKILL; then it throws `cancelled` or `timeout`. What the child leaves behind in a session of its own
 * goes on, and its output is not waited for. Throws `not_found` when the program is missing.
 * Any exit code is a result: the caller decides.
 */
export async function runProcess(options: ProcessOptions): Promise<ProcessResult> {
  const [program = '', ...args] = options.command;
  const what = `running ${program}`;
  if (options.signal.aborted) throw cancelled(what);
  const keep = options.keep ?? 1024 * 1024;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const stdout = tail(keep);
  const stderr = tail(keep);
  const lines = {
    stdout: byLine((line) => options.onLine?.(line, 'stdout')),
    stderr: byLine((line) => options.onLine?.(line, 'stderr')),
  };
  child.stdout.on('data', (chunk: Buffer) => {
    stdout.add(chunk);
    lines.stdout.add(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr.add(chunk);
    lines.stderr.add(chunk);
  });
  // A child that ends without reading its input is not an error of ours.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');

  let ended: 'cancelled' | 'timeout' | undefined;
  const signalGroup = (signal: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch {
      // The group has ended already, or what is left of it runs as another user.
    }
  };
  const closePipes = () => {
    child.stdout.destroy();
    child.stderr.destroy();
  };
  let killTimer: NodeJS.Timeout | undefined;
  const end = (why: 'cancelled' | 'timeout') => {
    if (ended !== undefined) return;
    ended = why;
    signalGroup('SIGTERM');
    killTimer = setTimeout(() => signalGroup('SIGKILL'), options.grace ?? 5_000);
  };
  const onAbort = () => end('cancelled');
  const timer = setTimeout(() => end('timeout'), Math.min(options.timeout, longestTimer));
  let pipeTimer: NodeJS.Timeout | undefined;
  child.once('exit', () => {
    pipeTimer = setTimeout(closePipes, drainTime);
  });
  options.signal.addEventListener('abort', onAbort, { once: true });

  try {
    const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode, exitSignal) => resolve([exitCode, exitSignal]));
    });
    lines.stdout.end();
    lines.stderr.end();
    const result = { code, signal, stdout: stdout.text(), stderr: stderr.text() };
    if (ended === 'cancelled') throw cancelled(what);
    if (ended === 'timeout') {
      throw new DeployError('timeout', `${program} was ended after ${formatDuration(options.timeout)}.`, {
        details: lastLines(result.stderr, 20),
      });
    }
    return result;
  } catch (thrown) {
    const code = codeOf(thrown);
    if (code === 'ENOENT' || code === 'EACCES') {
      throw new DeployError(
        code === 'EACCES' ? 'permission_denied' : 'not_found',
        `${program} cannot be run${options.cwd === undefined ? '' : ` in ${options.cwd}`}: ${
          code === 'EACCES' ? 'it is not executable' : 'there is no such program or folder'
        }.`,
        { remedy: 'Install it, correct the name, or add its folder to PATH.', cause: thrown },
      );
    }
    throw thrown;
  } finally {
    clearTimeout(timer);
    clearTimeout(killTimer);
    clearTimeout(pipeTimer);
    // What ignored SIGTERM and outlived the child.
    if (ended !== undefined) signalGroup('SIGKILL');
    options.signal.removeEventListener('abort', onAbort);
  }
}
