import childProcess from 'node:child_process';
import { EventEmitter } from 'node:events';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

/**
 * Preloaded with `node --import` into a process whose death is to be tested: counts what the process changes (files
 * and folders made, written, linked, renamed, removed; processes started and signalled) and kills it with SIGKILL
 * at one point. `KILL_AT=before:3` dies instead of making the third change, `after:3` directly after it. Without
 * KILL_AT it prints `mutations: N` to standard error at the end, so that a test knows how many points there are.
 */
const [when, number] = (process.env['KILL_AT'] ?? ':').split(':');
const point = Number(number);
let count = 0;

function die(): never {
  process.kill(process.pid, 'SIGKILL');
  // The signal is delivered when the system call returns; nothing after it may run.
  for (;;);
}

type Anything = (...all: unknown[]) => unknown;

function isPromise(value: unknown): value is Promise<unknown> {
  return value instanceof Promise;
}

function counted(original: Anything, counts: (...all: unknown[]) => boolean = () => true): Anything {
  return function (this: unknown, ...all: unknown[]) {
    if (!counts(...all)) return original.apply(this, all);
    count += 1;
    const mine = count;
    if (when === 'before' && mine === point) die();
    const result = original.apply(this, all);
    const done = () => {
      if (when === 'after' && mine === point) die();
    };
    if (isPromise(result)) return result.finally(done);
    if (result instanceof EventEmitter) {
      // A child process: it exists when spawn returns.
      done();
      return result;
    }
    done();
    return result;
  };
}

function wrap(holder: object, name: string, counts?: (...all: unknown[]) => boolean): void {
  const original: unknown = Reflect.get(holder, name);
  if (typeof original !== 'function') throw new Error(`${name} is not a function`);
  const target = (...all: unknown[]): unknown => Reflect.apply(original, holder, all);
  Reflect.set(holder, name, counted(target, counts));
}

const writes = (_path: unknown, flags: unknown = 'r') => typeof flags !== 'string' || flags !== 'r';
for (const name of ['mkdir', 'link', 'rename', 'rm', 'unlink', 'utimes', 'writeFile', 'truncate']) {
  wrap(fs.promises, name);
}
wrap(fs.promises, 'open', writes);
for (const name of ['mkdirSync', 'linkSync', 'renameSync', 'rmSync', 'unlinkSync', 'writeFileSync']) {
  wrap(fs, name);
}
wrap(fs, 'openSync', writes);
wrap(childProcess, 'spawn');
wrap(process, 'kill', (_pid, signal) => signal !== 0 && _pid !== process.pid);
syncBuiltinESMExports();

if (when === '') process.on('exit', () => process.stderr.write(`mutations: ${count}\n`));
