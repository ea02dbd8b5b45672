import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Lane, runSteps, type Step } from './run-steps.ts';
import { stagesFor } from './stages.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'run-steps-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** A step that is a shell script, to which its file is `$1`. */
const stub = (name: string, script: string): Step => ({
  name,
  command: (file) => ['sh', '-c', script, 'sh', file],
});

async function run(stages: Lane[][], signal = new AbortController().signal) {
  const said: string[] = [];
  const counts = await runSteps(stages, { folder, cwd: folder, say: (text) => void said.push(text), signal });
  return { ...counts, said, text: said.join('') };
}

it('sums up what the steps of all stages count, and goes on after one that failed', async () => {
  const { passed, failed, text } = await run([
    [[stub('check', 'echo {\\"passed\\":9,\\"failed\\":0} > "$1"')]],
    [
      [stub('test', 'echo {\\"numPassedTests\\":40,\\"numFailedTests\\":2} > "$1"; exit 1')],
      [stub('demo', 'exit 3')],
    ],
    [[stub('load', 'true')]],
    [[stub('lost', 'kill -9 $$')]],
  ]);
  expect({ passed, failed }).toEqual({ passed: 50, failed: 4 });
  expect(text.split('\n').filter((line) => line.includes(' passed, '))).toEqual([
    'check: 9 passed, 0 failed, 0 s (exit code 0)',
    expect.stringMatching(/^(test|demo): /),
    expect.stringMatching(/^(test|demo): /),
    'load: 1 passed, 0 failed, 0 s (exit code 0)',
    'lost: 0 passed, 1 failed, 0 s (exit code null)',
  ]);
  expect(text).toContain('test: 40 passed, 2 failed');
  expect(text).toContain('demo: 0 passed, 1 failed, 0 s (exit code 3)');
});

it('counts a program that is not there as failed', async () => {
  const { failed, text } = await run([[[{ name: 'gone', command: () => [join(folder, 'nothing')] }]]]);
  expect(failed).toBe(1);
  expect(text).toContain('ENOENT');
});

it('runs the lanes of a stage at once, and shows the output of each step whole', async () => {
  const meet = (own: string, other: string) =>
    `echo ${own} 1; touch ${own}; while ! test -e ${other}; do sleep 0.01; done; echo ${own} 2`;
  const { passed, text } = await run([
    [[stub('left', meet('a', 'b'))], [stub('right', meet('b', 'a')), stub('after', 'echo c')]],
  ]);
  expect(passed).toBe(3);
  expect(text).toContain('::group::left\na 1\na 2\n\n::endgroup::\nleft: 1 passed');
  expect(text).toContain('::group::right\nb 1\nb 2\n\n::endgroup::\nright: 1 passed');
  expect(text.indexOf('::group::after')).toBeGreaterThan(text.indexOf('right: 1 passed'));
});

it('shows the output of a step that has its stage to itself as it comes', async () => {
  const said: string[] = [];
  const waits = stub('waits', 'echo begun; while ! test -e told; do sleep 0.01; done');
  const running = runSteps([[[waits]]], {
    folder,
    cwd: folder,
    say: (text) => void said.push(text),
    signal: new AbortController().signal,
  });
  while (!said.join('').includes('begun')) await delay(5);
  await writeFile(join(folder, 'told'), '');
  expect((await running).passed).toBe(1);
});

it('ends what runs when it is told to, and starts nothing more', async () => {
  const stop = new AbortController();
  setTimeout(() => stop.abort(), 100);
  const { passed, failed, text } = await run(
    [[[stub('long', 'exec sleep 60'), stub('next', 'true')]], [[stub('last', 'true')]]],
    stop.signal,
  );
  expect({ passed, failed }).toEqual({ passed: 0, failed: 1 });
  expect(text).not.toMatch(/next|last/);
});

it('has a place for every suite of package.json', () => {
  const names = (scripts: Record<string, string>) =>
    stagesFor(scripts)
      .flat(2)
      .map(({ name }) => name);
  expect(names({})).toEqual(expect.arrayContaining(['check', 'test', 'demo', 'test:chaos', 'test:cluster']));
  expect(names({ 'test:new': '', build: '' })).toEqual([...names({}), 'test:new']);
});
