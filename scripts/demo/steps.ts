// The six steps: what is done in each, and what has to come of it.

import { setTimeout as delay } from 'node:timers/promises';
import type { Load, LoadReport } from '../../test/support/load/index.ts';
import { freePort } from '../../test/support/ports.ts';
import type { Job, StepResult } from '../../test/support/runner.ts';
import { type Figures, figuresOf, lostBy, mostFailures } from './figures.ts';
import { type OnSecond, rate, type Stage } from './stage.ts';

export interface StepReport {
  step: number;
  title: string;
  result: 'as expected' | 'not as expected';
  /** What came of it, in a few words. */
  outcome: string;
  /** What differed from what has to be. */
  differences: string[];
  load: Figures;
  /** Of the whole step. */
  seconds: number;
  /** The actions that were run, in order. */
  runs: Run[];
}

export interface Run {
  /** Which try of a job it was, when there was another. */
  note: string | undefined;
  result: StepResult;
}

export interface Second {
  at: number;
  step: number;
  ok: number;
  failed: number;
  lost: number;
}

export interface Demo {
  steps: StepReport[];
  /** Answers, failures and losses in each second of the load. */
  seconds: Second[];
  /** Whether every step came out as it has to. */
  good: boolean;
}

/** At least this many requests a second have to have been sent in each step. */
const leastRate = 200;
/** Release 3 fails every fifth request. */
const failing = 0.2;
const canaryWeight = 20;

export type Say = (text: string) => void;

/** What a step has to work with. */
interface StepContext {
  run(
    job: Job,
    action: string,
    inputs: Record<string, string>,
    env?: Record<string, string>,
  ): Promise<StepResult>;
  keep(result: StepResult, note?: string): void;
  expect(what: string, ok: boolean, saw?: unknown): void;
  /** The outputs of a run are as these say. */
  expectOutputs(result: StepResult, outputs: Record<string, string>): void;
  say: Say;
}

interface StepDefinition {
  title: string;
  /** Returns what came of it, in a few words. */
  body(context: StepContext): Promise<string>;
  /** The names of the load's phases; default: the step's number. */
  phases?: string[];
  /** Where the figures come from; default: the load that goes on. */
  load?(): Promise<LoadReport>;
  /** The bounds of what the load may have seen; by default nothing lost and nothing failed. */
  judge?(of: (...phases: string[]) => Figures, context: StepContext): void;
}

export async function runDemo(stage: Stage, say: Say): Promise<Demo> {
  const steps: StepReport[] = [];
  const seconds: Second[] = [];
  let load: Load | undefined;
  let jobs = 0;
  const startJob = () => stage.startJob(String(1000 + ++jobs));
  const watcher = watchVersions(stage.url);

  const versionsSince = () => watcher.take();

  /** What the load saw up to now, once the last request of this step has ended: the next step begins here. */
  async function settled(number: number, phases: string[]): Promise<LoadReport> {
    if (load === undefined) throw new Error(`there is no load in step ${number}`);
    await load.mark(`${number + 1}`);
    for (;;) {
      const report = await load.snapshot();
      if (figuresOf(report, phases).pending === 0) return report;
      await delay(50);
    }
  }

  async function step(number: number, definition: StepDefinition): Promise<void> {
    say(`\nStep ${number}: ${definition.title}`);
    const start = performance.now();
    const differences: string[] = [];
    const runs: Run[] = [];
    const keep = (result: StepResult, note?: string) => {
      runs.push({ note, result });
      const { outputs, action, seconds: took, exitCode, signal } = result;
      const ending = signal ?? `${outputs['result']} (${outputs['reason-code']})`;
      say(`  ${action}${note === undefined ? '' : `, ${note}`}: ${ending} in ${took.toFixed(1)} s`);
      if (exitCode !== 0 || signal !== null) for (const line of firstLines(result)) say(`    ${line}`);
    };
    const expect = (what: string, ok: boolean, saw?: unknown) => {
      if (ok) return;
      differences.push(saw === undefined ? what : `${what}; saw ${JSON.stringify(saw)}`);
      say(`  NOT AS EXPECTED: ${differences.at(-1)}`);
    };
    const context: StepContext = {
      say,
      keep,
      expect,
      async run(job, action, inputs, env = {}) {
        const result = await job.step(action, inputs, { env });
        keep(result);
        return result;
      },
      expectOutputs(result, outputs) {
        for (const [name, value] of Object.entries(outputs)) {
          expect(
            `${result.action}: ${name} is ${value}`,
            result.outputs[name] === value,
            result.outputs[name],
          );
        }
      },
    };
    versionsSince();
    const outcome = await definition.body(context);
    const phases = definition.phases ?? [`${number}`];
    const report = await (definition.load?.() ?? settled(number, phases));
    const figures = figuresOf(report, phases);
    expect(
      `at least ${leastRate} requests a second`,
      figures.requests / figures.seconds >= leastRate,
      figures.requests / figures.seconds,
    );
    expect('nothing but what the application may answer', figures.refused === 0, figures.refused);
    expect('every request sent', figures.notSent === 0, figures.notSent);
    if (definition.judge === undefined) {
      expect('no request lost', figures.lost === 0, figures.lost);
      expect('no request failed', figures.failed === 0, figures.failed);
    } else definition.judge((...names) => figuresOf(report, names), context);
    const took = (performance.now() - start) / 1000;
    steps.push({
      step: number,
      title: definition.title,
      result: differences.length === 0 ? 'as expected' : 'not as expected',
      outcome,
      differences,
      load: figures,
      seconds: took,
      runs,
    });
    say(
      `  ${differences.length === 0 ? 'as expected' : 'NOT as expected'}: ${outcome}; ` +
        `${figures.requests} requests, ${figures.lost} lost, ${figures.failed} failed, ${took.toFixed(1)} s`,
    );
  }

  try {
    // --- 1 -----------------------------------------------------------------------------------------------------------
    const first = await stage.release(1);
    let token = '';
    await step(1, {
      title: 'release 1 serves',
      async body({ run, expect, expectOutputs }) {
        const job = await startJob();
        const { inputs, env } = stage.migration(first);
        const migrated = await run(job, 'migrate-db', inputs, env);
        expectOutputs(migrated, { result: 'succeeded', 'reason-code': 'ok' });
        const switched = await run(job, 'blue-green-switch', { ...stage.deliveryInputs(first), watch: '1s' });
        expectOutputs(switched, { result: 'succeeded', version: first.version, 'previous-version': '' });
        token = await stage.createToken(first);
        // Before there is a release there is nobody to lose a request: the load begins now, and all that follows is under it.
        load = await stage.startLoad(stage.url, '1', token, recorder(seconds));
        say(`  load: ${rate} requests a second from here on`);
        const again = await run(job, 'blue-green-switch', { ...stage.deliveryInputs(first), watch: '1s' });
        expectOutputs(again, { result: 'unchanged', 'reason-code': 'already_current' });
        const health = await run(job, 'health-check', {
          ...{ url: `${stage.url}/health/`, json: 'status=healthy', successes: '4', interval: '1s' },
        });
        expectOutputs(health, { result: 'succeeded', 'last-status': '200' });
        await endJob(job, expect);
        return `${first.version} serves; a second run finds nothing to do`;
      },
    });

    // --- 2 -----------------------------------------------------------------------------------------------------------
    const second = await stage.release(2);
    await step(2, {
      title: 'release 2: migration with a verified backup, then blue-green switch',
      async body({ run, expect, expectOutputs }) {
        const job = await startJob();
        const { inputs, env } = stage.migration(second);
        const migrated = await run(job, 'migrate-db', { ...inputs, backup: 'restore' }, env);
        expectOutputs(migrated, { result: 'succeeded', planned: '2', applied: '2' });
        expect('the backup has a checksum', /^[0-9a-f]{64}$/.test(migrated.outputs['backup-sha256'] ?? ''));
        const switched = await run(job, 'blue-green-switch', {
          ...stage.deliveryInputs(second),
          ...{ watch: '5s', 'probe-url': `${stage.url}/health/` },
        });
        expectOutputs(switched, {
          ...{ result: 'succeeded', version: second.version, 'previous-version': first.version },
          'requests-lost': '0',
        });
        await endJob(job, expect);
        expect('release 2 answers', versionsSince().has(second.version));
        return `${first.version} → ${second.version}, migrations applied, backup restored to check it`;
      },
    });

    // --- 3 -----------------------------------------------------------------------------------------------------------
    const third = await stage.release(3, 'errors');
    const returned = '3, after the return';
    await step(3, {
      title: 'release 3 fails 20 % of its requests: the canary is taken back',
      phases: ['3', returned],
      async body({ run, expect, expectOutputs }) {
        const job = await startJob();
        const judged = await run(job, 'canary', {
          ...stage.deliveryInputs(third),
          ...{ weights: `${canaryWeight},50`, pause: '15s', 'analysis-interval': '1s' },
        });
        await load?.mark(returned);
        expectOutputs(judged, {
          ...{ result: 'rolled-back', 'reason-code': 'limit_exceeded', verdict: 'fail' },
          ...{ weight: String(canaryWeight), version: second.version },
        });
        expect('the canary answered', versionsSince().has(third.version));
        await delay(3_000);
        const after = [...versionsSince()];
        expect('after the return only release 2 answers', after.join() === second.version, after);
        await endJob(job, expect);
        return `stopped at ${judged.outputs['weight']} %, ${judged.outputs['version']} serves`;
      },
      judge(of, { expect }) {
        const before = of('3');
        const after = of(returned);
        const most = mostFailures(before.requests, canaryWeight / 100, failing);
        expect('no request lost', before.lost + after.lost === 0, before.lost + after.lost);
        expect('the canary failed some', before.failed > 0);
        expect(`at most ${most.toFixed(1)} requests failed`, before.failed <= most, before.failed);
        expect('none failed after the return', after.failed === 0, after.failed);
      },
    });

    // --- 4 -----------------------------------------------------------------------------------------------------------
    const fourth = await stage.release(4, 'never-ready');
    await step(4, {
      title: 'release 4 never gets ready: refused, nothing moves',
      async body({ run, expect, expectOutputs }) {
        const job = await startJob();
        const refused = await run(job, 'blue-green-switch', {
          ...stage.deliveryInputs(fourth),
          'ready-timeout': '8s',
        });
        expectOutputs(refused, { result: 'refused', 'reason-code': 'not_ready', version: second.version });
        const seen = [...versionsSince()];
        expect('release 2 alone answered', seen.join() === second.version, seen);
        await endJob(job, expect);
        return `refused, ${refused.outputs['version']} serves`;
      },
    });

    // --- 5 -----------------------------------------------------------------------------------------------------------
    const fifth = await stage.release(5);
    await step(5, {
      title: 'the switch to release 5 is killed half-way, and run again',
      async load() {
        if (load === undefined) throw new Error('there is no load in step 5');
        const report = await load.stop();
        if (lostBy(report) !== '') say(`  lost: ${lostBy(report)}`);
        return report;
      },
      async body({ run, keep, expect, expectOutputs }) {
        const inputs = { ...stage.deliveryInputs(fifth), watch: '5s' };
        const lostJob = await startJob();
        const killed = await lostJob.start('blue-green-switch', inputs);
        await Promise.race([watcher.answeredBy(fifth.version), killed.done]);
        const ended = await killed.kill();
        keep(ended, 'killed at the first answer of release 5');
        expect('it died of SIGKILL', ended.signal === 'SIGKILL', ended.signal);
        say('  nobody is in charge for 2 s');
        await delay(2_000);
        const again = await stage.startJob(lostJob.runId, '2');
        const resumed = await run(again, 'blue-green-switch', inputs);
        expectOutputs(resumed, { result: 'succeeded', 'reason-code': 'resumed', version: fifth.version });
        await endJob(lostJob, expect);
        await endJob(again, expect);
        versionsSince();
        await delay(1_000);
        const seen = [...versionsSince()];
        expect('release 5 alone answers', seen.join() === fifth.version, seen);
        return `resumed, ${fifth.version} serves`;
      },
    });

    // --- 6 -----------------------------------------------------------------------------------------------------------
    let contrast: LoadReport | undefined;
    await step(6, {
      title: 'for contrast: the same application, stopped and started',
      async body() {
        const port = await freePort();
        const running = await stage.serve(fifth, port);
        load = await stage.startLoad(`http://127.0.0.1:${port}`, '6', token, recorder(seconds));
        await delay(3_000);
        const from = performance.now();
        await running.stop();
        const next = await stage.serve(fifth, port);
        const away = (performance.now() - from) / 1000;
        await delay(3_000);
        contrast = await load.stop();
        await next.stop();
        return `away for ${away.toFixed(1)} s (${lostBy(contrast)})`;
      },
      async load() {
        if (contrast === undefined) throw new Error('there was no load in step 6');
        return Promise.resolve(contrast);
      },
      judge(of, { expect }) {
        expect('requests are lost: the counter works', of('6').lost > 0);
      },
    });
    return { steps, seconds, good: steps.every(({ result }) => result === 'as expected') };
  } finally {
    watcher.stop();
    load?.kill();
  }
}

/** Nothing of a job may be left running: the runner would end it with the job. */
async function endJob(job: Job, expect: StepContext['expect']): Promise<void> {
  const orphans = await job.end();
  expect('the runner finds no orphans to kill at the end of the job', orphans.length === 0, orphans);
}

function firstLines(result: StepResult): string[] {
  const errors = result.annotations.filter(({ level }) => level === 'error');
  return errors.flatMap(({ message }) => message.split('\n')).map((line) => line.slice(0, 300));
}

/** Asks the served application for its version ten times a second, beside the load. */
function watchVersions(url: string): {
  /** The versions that answered since it was last asked. */
  take(): Set<string>;
  answeredBy(version: string): Promise<void>;
  stop(): void;
} {
  let seen = new Set<string>();
  const waiting = new Map<string, () => void>();
  const ask = async () => {
    try {
      const answer = await fetch(`${url}/version`, { headers: { connection: 'close' } });
      const { version } = (await answer.json()) as { version: string };
      seen.add(version);
      waiting.get(version)?.();
    } catch {
      // Not there yet, or no answer of the application: the load counts that.
    }
  };
  const timer = setInterval(() => void ask(), 100);
  return {
    take() {
      const taken = seen;
      seen = new Set();
      return taken;
    },
    answeredBy(version) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.set(version, resolve);
      return promise;
    },
    stop: () => clearInterval(timer),
  };
}

/** Turns the running totals of a load into what each second added. */
function recorder(seconds: Second[]): OnSecond {
  const before = { ok: 0, failed: 0, lost: 0 };
  const offset = seconds.at(-1)?.at ?? 0;
  return ({ seconds: at, phase, phases }) => {
    const now = { ok: 0, failed: 0, lost: 0 };
    for (const kinds of Object.values(phases)) {
      for (const counts of Object.values(kinds)) {
        now.ok += counts.ok;
        now.failed += counts.failed;
        now.lost += counts.lost;
      }
    }
    seconds.push({
      at: offset + at,
      step: Number.parseInt(phase, 10),
      ok: now.ok - before.ok,
      failed: now.failed - before.failed,
      lost: now.lost - before.lost,
    });
    Object.assign(before, now);
  };
}
