// The load generator as a process of its own, so that a busy or killed deployment cannot slow it down:
//
//   node test/support/load/main.ts --url http://127.0.0.1:8080/ --rate 200 --duration 30 --out report.json
//
// It takes JSON lines on stdin, {"command":"mark","name":"switch"}, {"command":"snapshot"} and {"command":"stop"}, and
// writes JSON lines (see Message) on stdout: one a second, an answer to each command, and at the end the report.

import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { startGenerator, type Generator } from './generator.ts';
import { parseArguments, planLoad } from './options.ts';
import type { LoadReport } from './tally.ts';

export type Command = { command: 'mark'; name: string } | { command: 'snapshot' } | { command: 'stop' };
export type Progress = ReturnType<Generator['progress']>;
export type Message =
  | { type: 'started' }
  | ({ type: 'second' } & Progress)
  | { type: 'marked'; name: string }
  | { type: 'snapshot'; report: LoadReport }
  | { type: 'report'; report: LoadReport };

/** Set by the typed client: when its parent is gone (stdin at its end), the generator stops instead of running on. */
const stopAtEnd = process.env['LOAD_STOP_AT_END'] === '1';

function say(message: Message): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function parseCommand(line: string): Command | undefined {
  try {
    const value = JSON.parse(line) as Partial<{ command: string; name: string }>;
    if (value.command === 'mark' && typeof value.name === 'string')
      return { command: 'mark', name: value.name };
    if (value.command === 'snapshot' || value.command === 'stop') return { command: value.command };
  } catch {
    // not JSON: told by the caller
  }
  return undefined;
}

async function main(args: string[]): Promise<void> {
  const options = parseArguments(args);
  const generator = startGenerator(planLoad(options));
  say({ type: 'started' });
  const everySecond = setInterval(() => say({ type: 'second', ...generator.progress() }), 1000);
  const stop = (): void => void generator.stop();
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  process.stdout.on('error', stop); // the reader is gone
  const input = createInterface({ input: process.stdin });
  input.on('line', (line) => {
    const command = parseCommand(line);
    if (command === undefined) {
      process.stderr.write(`load: not a command: ${line}\n`);
    } else if (command.command === 'mark') {
      generator.mark(command.name);
      say({ type: 'marked', name: command.name });
    } else if (command.command === 'snapshot') {
      say({ type: 'snapshot', report: generator.snapshot() });
    } else {
      stop();
    }
  });
  if (stopAtEnd) input.on('close', stop);
  const report = await generator.finished;
  clearInterval(everySecond);
  if (options.out !== undefined) writeFileSync(options.out, `${JSON.stringify(report, null, 2)}\n`);
  say({ type: 'report', report });
  input.close();
  process.stdin.destroy();
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`load: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 2;
});
