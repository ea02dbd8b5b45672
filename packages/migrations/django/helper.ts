import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import { DeployError, codeOf, isRecord, reasonCodes, type Log, type ReasonCode } from '@deploy-actions/core';
import { boundedText, redact, tail } from '../output.ts';
import { bootstrap, helperSource } from './helper-source.ts';

/** How the application is run. */
export interface Application {
  /** Where manage.py is run from. */
  directory: string;
  python: string;
  manage: string;
  /** The whole environment of its processes. */
  environment: Record<string, string>;
}

/** A message of the helper: an event or an answer. Its fields are checked where they are used. */
export type Message = Record<string, unknown>;

/** One helper process and its lines. */
export interface Helper {
  send(message: Message): void;
  /** Closes its input, which is its life line: it releases the lock or cancels the running statement, and ends. */
  hangUp(): void;
  kill(signal: NodeJS.Signals): void;
  /** Settles when the process is gone and its output was read. Never rejects. */
  readonly ended: Promise<void>;
  /** The error for a process that ended without saying why. */
  unexpectedEnd(doing: string): DeployError;
}

/** Starts the helper; `onMessage` gets each line as it comes. */
export function startHelper(
  application: Application,
  first: Message,
  options: { onMessage(message: Message): void; log: Log; secrets: Iterable<string> },
): Helper {
  const source = helperSource();
  const child: ChildProcessWithoutNullStreams = spawn(application.python, bootstrap(source), {
    cwd: application.directory,
    env: { ...application.environment, PYTHONUNBUFFERED: '1', PYTHONIOENCODING: 'utf-8' },
    stdio: 'pipe',
  });
  const stderr = boundedText();
  let startError: Error | undefined;
  child.on('error', (error) => {
    startError = error;
  });
  child.stdin.on('error', () => {}); // a write to a helper that is gone; `ended` tells
  createInterface({ input: child.stderr }).on('line', (line) => {
    stderr.add(`${line}\n`);
    options.log.debug(redact(line, options.secrets));
  });
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const message: unknown = JSON.parse(line);
    if (isRecord(message)) options.onMessage(message);
  });
  child.stdin.write(source);
  const send = (message: Message) => void child.stdin.write(`${JSON.stringify(message)}\n`);
  send(first);

  return {
    send,
    hangUp: () => child.stdin.end(),
    kill: (signal) => void child.kill(signal),
    ended: new Promise((resolve) => {
      child.on('close', () => resolve());
    }),
    unexpectedEnd: (doing) => {
      if (startError !== undefined && codeOf(startError) !== undefined) {
        return new DeployError('not_found', `The Python ${application.python} cannot be started.`, {
          remedy: 'Name the Python that the application runs with, such as .venv/bin/python.',
          cause: startError,
        });
      }
      const how = child.signalCode ?? `code ${child.exitCode}`;
      return new DeployError('command_failed', `The application's Python ended (${how}) while ${doing}.`, {
        details: tail(redact(stderr.text(), options.secrets)),
      });
    },
  };
}

/** The error that a helper reports, with everything secret taken out. */
export function reportedError(report: unknown, secrets: Iterable<string>): DeployError {
  const fields = isRecord(report) ? report : {};
  const text = (value: unknown) => redact(typeof value === 'string' ? value : '', secrets);
  const details = Array.isArray(fields['details']) ? fields['details'].map(text) : [];
  return new DeployError(
    isReasonCode(fields['code']) ? fields['code'] : 'internal',
    text(fields['message']),
    {
      remedy: text(fields['remedy']) || undefined,
      details,
    },
  );
}

function isReasonCode(value: unknown): value is ReasonCode {
  return typeof value === 'string' && Object.hasOwn(reasonCodes, value);
}
