import type { Lane, Step } from './run-steps.ts';

const npm = (...args: string[]): string[] => ['npm', 'run', '--silent', ...args];

/** A script of package.json that writes `{passed, failed}` with `--json FILE`. */
const own = (name: string, ...args: string[]): Step => ({
  name,
  command: (file) => npm(name, '--', ...args, '--json', file),
});

/** A script that is vitest, or those of its tests that are in these projects. */
function vitest(script: string, ...projects: string[]): Step {
  const only = projects.flatMap((project) => ['--project', project]);
  return {
    name: [script, ...projects].join(' '),
    command: (file) =>
      npm(script, '--', ...only, '--reporter=default', '--reporter=json', `--outputFile.json=${file}`),
  };
}

const alone = (step: Step): Lane[] => [{ steps: [step] }];

/**
 * What holds times against a limit waits for most of its time: on a host for requests, on the cluster for controllers. Beside it, and
 * giving way to it, goes what only has to come to an end.
 */
const stages: readonly (readonly Lane[])[] = [
  [{ steps: [own('demo'), own('test:load')] }, { steps: [vitest('test')], givesWay: true }],
  [
    { steps: [vitest('test:cluster', 'alone', 'beside')] },
    // Fewer cases at once than where it is alone: they share what the others leave. Kills, which keep the API server busy, begin
    // when the cluster's tests of times are over.
    { steps: [own('test:chaos', '--lanes', '4'), vitest('test:cluster', 'kills')], givesWay: true },
    { steps: [own('check'), vitest('test:platforms', 'untimed'), own('test:pages')], givesWay: true },
  ],
  // Last, when nothing is built in the background any more, as it is on a new machine (scripts/prebuild.ts).
  alone(vitest('test:platforms', 'timed')),
];

/** With a stage of its own for every `test:…` script that has no place yet: none is forgotten. */
export function stagesFor(scripts: Record<string, string>): (readonly Lane[])[] {
  const placed = new Set(stages.flat().flatMap(({ steps }) => steps.map(({ name }) => name.split(' ')[0])));
  const others = Object.keys(scripts).filter((name) => name.startsWith('test:') && !placed.has(name));
  return [...stages, ...others.map((name) => alone({ name, command: () => npm(name) }))];
}
