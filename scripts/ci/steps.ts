import type { Step } from './run-steps.ts';

const npm = (...args: string[]): string[] => ['npm', 'run', '--silent', ...args];

/** A script of package.json that writes `{passed, failed}` with `--json FILE`, or vitest, which has a reporter for it. */
const own = (name: string): Step => ({ name, command: (file) => npm(name, '--', '--json', file) });
const vitest = (name: string): Step => ({
  name,
  command: (file) => npm(name, '--', '--reporter=default', '--reporter=json', `--outputFile.json=${file}`),
});

/** One after the other: each counts lost requests, holds times against a limit, or keeps both cores busy anyway. */
const steps: readonly Step[] = [
  own('check'),
  vitest('test'),
  own('demo'),
  own('test:load'),
  own('test:chaos'),
  vitest('test:platforms'),
  own('test:pages'),
  vitest('test:cluster'),
];

/** With every `test:…` script that has no place yet at the end: none is forgotten. */
export function stepsFor(scripts: Record<string, string>): Step[] {
  const placed = new Set(steps.map(({ name }) => name));
  const others = Object.keys(scripts).filter((name) => name.startsWith('test:') && !placed.has(name));
  return [...steps, ...others.map((name) => ({ name, command: () => npm(name) }))];
}
