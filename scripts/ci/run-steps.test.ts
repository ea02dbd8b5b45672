import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Lane, runSteps, type Step } from './run-steps.ts';

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

/** A stage for each step. */
const inTurn = (...steps: Step[]): Lane[][] => steps.map((step) => [{ steps: [step] }]);

async function run(stages: Lane[][], signal = new AbortController().signal) {
  const said: string[] = [];
  const counts = await runSteps(stages, { folder, cwd: folder, say: (text) => void said.push(text), signal });
  return { ...counts, said, text: said.join('') };
}

it('sums up what the steps count, and goes on after one that failed', async () => {
  const { passed, failed, text } = await run(
    inTurn(
      stub('check', 'echo {\\"passed\\":9,\\"failed\\":0} > "$1"'),
      stub('test', 'echo {\\"numPassedTests\\":40,\\"numFailedTests\\":2} > "$1"; exit 1'),
      stub('demo', 'exit 3'),
      stub('load', 'true'),
      stub('lost', 'kill -9 $$'),
    ),
  );
  expect({ passed, failed }).toEqual({ passed: 50, failed: 4 });
  const lines = [
    'check: 9 passed, 0 failed, 0 s (exit code 0)',
    'test: 40 passed, 2 failed, 0 s (exit code 1)',
    'demo: 0 passed, 1 failed, 0 s (exit code 3)',
    'load: 1 passed, 0 failed, 0 s (exit code 0)',
    'lost: 0 passed, 1 failed, 0 s (exit code null)',
  ];
  // As each ends, and all once more at the end.
  const said = text.replace(/\d+ s/g, '0 s').split('\n');
  expect(said.filter((line) => line.includes(' passed, '))).toEqual([...lines, ...lines]);
});

it('says at the end which tests failed, and otherwise what a failed step said last', async () => {
  const report = {
    numPassedTests: 1,
    numFailedTests: 1,
    testResults: [
      {
        name: 'a.test.ts',
        status: 'failed',
        assertionResults: [
          { status: 'passed', fullName: 'is good' },
          { status: 'failed', fullName: 'is slow', failureMessages: ['expected 3 to be below 2\n at a'] },
        ],
      },
      { name: 'b.test.ts', status: 'failed', message: 'no such module', assertionResults: [] },
    ],
  };
  const { failed, text } = await run(
    inTurn(
      stub('test', `printf '%s' '${JSON.stringify(report)}' > "$1"; echo much; exit 1`),
      stub('demo', 'echo the demo broke; exit 1'),
      stub('load', 'echo fine'),
    ),
  );
  expect(failed).toBe(3);
  const summary = text.slice(text.indexOf('In short:'));
  expect(summary).toContain('  a.test.ts: is slow: expected 3 to be below 2');
  expect(summary).toContain('  b.test.ts: no such module');
  expect(summary).toContain('  the demo broke');
  expect(summary).not.toMatch(/is good|much|fine/);
});

it('counts a program that is not there as failed', async () => {
  const { failed, text } = await run(inTurn({ name: 'gone', command: () => [join(folder, 'nothing')] }));
  expect(failed).toBe(1);
  expect(text).toContain('ENOENT');
});

it('runs the lanes of a stage at once, and shows the output of each step whole', async () => {
  const meet = (own: string, other: string) =>
    `echo ${own} 1; touch ${own}; while ! test -e ${other}; do sleep 0.01; done; echo ${own} 2`;
  const { passed, text } = await run([
    [
      { steps: [stub('left', meet('a', 'b'))] },
      { steps: [stub('right', meet('b', 'a')), stub('after', 'echo c')] },
    ],
  ]);
  expect(passed).toBe(3);
  expect(text).toContain('::group::left\na 1\na 2\n\n::endgroup::\nleft: 1 passed');
  expect(text).toContain('::group::right\nb 1\nb 2\n\n::endgroup::\nright: 1 passed');
  expect(text.indexOf('::group::after')).toBeGreaterThan(text.indexOf('right: 1 passed'));
});

it('lets a lane give way to the others', async () => {
  const priority = (name: string) => stub(name, 'nice');
  const { text } = await run([
    [{ steps: [priority('first')] }, { steps: [priority('second')], givesWay: true }],
  ]);
  // These tests may themselves give way.
  expect(text).toContain(`::group::first\n${getPriority()}\n`);
  expect(text).toContain('::group::second\n19\n');
});

it('shows the output of a step that has a stage to itself as it comes', async () => {
  const said: string[] = [];
  const waits = stub('waits', 'echo begun; while ! test -e told; do sleep 0.01; done');
  const running = runSteps(inTurn(waits), {
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
  // As npm does, it does not wait for what it started, which holds its output open.
  const long = stub('long', 'sleep 60 & wait');
  const { passed, failed, text } = await run(
    [[{ steps: [long, stub('next', 'true')] }], ...inTurn(stub('last', 'true'))],
    stop.signal,
  );
  expect({ passed, failed }).toEqual({ passed: 0, failed: 1 });
  expect(text).not.toMatch(/next|last/);
});
