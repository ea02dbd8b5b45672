// The files of tests run one after another, each in a process of its own: the engine that the first starts lives until the last has
// ended.

import { holdEngine } from './engine.ts';

const say = (line: string): void => void process.stderr.write(`${line}\n`);

export async function setup(): Promise<() => Promise<void>> {
  return holdEngine(say);
}
