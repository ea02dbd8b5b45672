// The suite at work, on real parts and under load: six steps from a first release to a switch that is killed half-way. The
// committed dist is run as GitHub's runner runs it.
//
//   npm run demo
//   npm run demo -- --json demo.json    also writes the figures, and next to them the job summaries as a page
//
// Exit code 0 when every step came out as it has to, 1 when one did not, 130 after Ctrl-C.

import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { textTable } from './figures.ts';
import { renderPage } from './page.ts';
import { makePlace, openStage, type Place, rate } from './stage.ts';
import { type Demo, runDemo } from './steps.ts';

interface Options {
  json: string | undefined;
  html: string;
  /** The tree to run; default: the repository's. */
  dist: string | undefined;
}

const usage = 'usage: npm run demo [-- [--json [FILE]] [--html FILE] [--dist FOLDER]]';

/** `--json` alone writes demo.json. The page lies beside the figures unless it is given a place of its own. */
function parseOptions(args: string[]): Options {
  let json: string | undefined;
  let html: string | undefined;
  let dist: string | undefined;
  for (let index = 0; index < args.length; index += 1) {
    const [name = '', inline] = (args[index] ?? '').split(/=(.*)/s);
    const next = args[index + 1];
    const value = inline ?? (next === undefined || next.startsWith('--') ? undefined : args[++index]);
    if (name === '--json') json = value ?? 'demo.json';
    else if (name === '--html' && value !== undefined) html = value;
    else if (name === '--dist' && value !== undefined) dist = value;
    else throw new Error(usage);
  }
  return {
    json,
    dist,
    html: html ?? (json === undefined ? 'demo.html' : `${json.replace(/\.json$/, '')}.html`),
  };
}

const started = performance.now();
let ended = false;

/** A line of progress. What is under way when the demo is interrupted has nothing more to say. */
function progress(text: string): void {
  if (!ended) say(text);
}

function say(text: string): void {
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(6);
  for (const line of text.split('\n')) console.log(line === '' ? '' : `${seconds} s  ${line}`);
}

function tableOf(demo: Demo): string {
  return textTable(
    ['Step', 'Result', 'Requests', 'Lost', 'Failed by the app', 'Seconds'],
    demo.steps.map(({ step, title, result, load, seconds }) => [
      `${step} ${title}`,
      result,
      String(load.requests),
      String(load.lost),
      String(load.failed),
      seconds.toFixed(1),
    ]),
  );
}

async function write(demo: Demo, options: Options, seconds: { setup: number; total: number }): Promise<void> {
  await writeFile(options.html, renderPage(demo));
  if (options.json === undefined) return;
  const content = {
    good: demo.good,
    rate,
    seconds,
    steps: demo.steps.map(({ runs, ...step }) => ({
      ...step,
      runs: runs.map(({ note, result }) => ({
        note,
        action: result.action,
        exitCode: result.exitCode,
        signal: result.signal,
        result: result.outputs['result'],
        reasonCode: result.outputs['reason-code'],
        seconds: result.seconds,
      })),
    })),
  };
  await writeFile(options.json, `${JSON.stringify(content, undefined, 2)}\n`);
}

/** Resolves to the exit code when the demo is interrupted; the first signal counts, whoever sends it. */
function interrupted(): Promise<number> {
  const { promise, resolve: stop } = Promise.withResolvers<number>();
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => stop(code));
  }
  return promise;
}

async function show(place: Place, options: Options): Promise<number> {
  const stage = await openStage(place, options.dist, progress);
  const setup = (performance.now() - started) / 1000;
  const demo = await runDemo(stage, progress);
  const total = (performance.now() - started) / 1000;
  await write(demo, options, { setup, total });
  console.log(`\n${tableOf(demo)}\n`);
  for (const { step, differences } of demo.steps)
    for (const difference of differences) console.log(`step ${step}: ${difference}`);
  const { length } = demo.steps.filter(({ result }) => result === 'as expected');
  console.log(
    `${length} of ${demo.steps.length} steps as expected, in ${total.toFixed(0)} s (${setup.toFixed(0)} s set-up).`,
  );
  console.log(`The job summaries with their charts: ${resolve(options.html)}`);
  if (options.json !== undefined) console.log(`The figures: ${resolve(options.json)}`);
  return demo.good ? 0 : 1;
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  const stopped = interrupted();
  const place = await makePlace();
  let code = 1;
  try {
    code = await Promise.race([show(place, options), stopped]);
  } catch (thrown) {
    console.error(thrown instanceof Error ? (thrown.stack ?? thrown.message) : thrown);
  }
  ended = true;
  if (code > 128) say('interrupted: cleaning up');
  const left = await place.clear();
  for (const { pid, command } of left) console.error(`still running: ${pid} ${command}`);
  if (left.length === 0) say('cleaned up: no process and no file of the demo is left');
  return left.length === 0 ? code : 1;
}

// Whatever was still under way belongs to a place that is gone.
process.exit(await main());
