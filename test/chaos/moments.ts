// Cases that are no kill at a mutation: the first release of all, with the proxy that it starts; the proxy itself killed;
// a release that is cancelled.

import { setTimeout as delay } from 'node:timers/promises';
import type { Host } from '../support/host.ts';
import type { RunningStep } from '../support/runner.ts';
import {
  type CaseResult,
  killedAt,
  logOf,
  type Mutation,
  mutationsOf,
  nameOfPoint,
  type Point,
  problemsOf,
  problemsOfAnswers,
  problemsOfStep,
  type Release,
  type Stage,
} from './case.ts';

type NewHost = () => Promise<Host>;

/** What the first release does to the proxy's state, its process and the proxy itself. */
export async function mutationsOfFirst(release: Release, newHost: NewHost): Promise<Mutation[]> {
  const host = await newHost();
  try {
    const all = await mutationsOf(host, (options) =>
      host.step(release.action, host.inputs('v1', release.inputs), options),
    );
    return all.filter(({ target }) => target.includes('/state/proxy') || target.includes('program.mjs'));
  } finally {
    await host.end();
  }
}

/** Kills the first release of all on a new host, and runs it again. Nothing serves before, so nothing can be lost. */
export async function killFirst(release: Release, newHost: NewHost, point: Point): Promise<CaseResult> {
  const start = performance.now();
  const host = await newHost();
  try {
    const inputs = host.inputs('v1', release.inputs);
    const killed = await host.step(release.action, inputs, killedAt(point));
    const again = await host.step(release.action, inputs);
    const problems = [
      ...problemsOfStep(again),
      ...problemsOf(await host.look(), release.keepsPrevious, ['v1']),
      ...problemsOfAnswers(await host.ask(20), 'v1'),
    ];
    return {
      name: nameOfPoint(point),
      reached: killed.signal === 'SIGKILL',
      sent: 0,
      lost: 0,
      problems,
      seconds: (performance.now() - start) / 1_000,
      log: logOf([killed, again]),
    };
  } finally {
    await host.end();
  }
}

interface Moment {
  /** The line of the step's log, and how many milliseconds after it. */
  line: RegExp;
  wait: number;
}

/** Moments of a canary with one weight. */
const moments: readonly Moment[] = [
  { line: /^Starting /, wait: 0 },
  { line: /^Starting /, wait: 150 },
  { line: /^Traffic: /, wait: 0 },
  { line: /^Traffic: /, wait: 20 },
  { line: /^Traffic: /, wait: 400 },
  { line: /^Traffic: .* → \S+ 100 %/, wait: 0 },
  { line: /^Traffic: .* → \S+ 100 %/, wait: 20 },
  { line: /^Traffic: .* → \S+ 100 %/, wait: 150 },
];

/** Number 0 is no moment of a release: nothing is under way then. */
export const momentNumbers = [0, ...moments.map((_, index) => index + 1)];

async function startUntil(stage: Stage, release: Release, version: string, number: number, id?: number) {
  const { line, wait } = moments[number - 1] ?? { line: /$/, wait: 0 };
  const running = await stage.host.job.start(release.action, stage.host.inputs(version, release.inputs), {
    env: id === undefined ? stage.run().env : { GITHUB_RUN_ID: String(id) },
  });
  const reached = await running.line(line).then(
    () => true,
    () => false,
  );
  await delay(wait);
  return { running, reached };
}

/**
 * SIGKILL to the proxy. Requests are lost then, that is in its nature; but the next run has to bring it back with the traffic it
 * had, and to finish what was under way.
 */
export function killProxy(stage: Stage, release: Release, number: number): Promise<CaseResult> {
  return stage.attempt(
    String(number),
    async (old, version) => {
      const atRest = number === 0;
      let running: RunningStep | undefined;
      let reached = true;
      if (!atRest) ({ running, reached } = await startUntil(stage, release, version, number));
      const { processes } = await stage.host.look();
      for (const { pid } of processes.proxies) process.kill(pid, 'SIGKILL');
      const harmed = await running?.done;
      const wanted = atRest ? old : version;
      const again = await stage.step(wanted);
      return { reached, steps: [harmed, again], wanted: [wanted], problems: problemsOfStep(again) };
    },
    { mayLose: true },
  );
}

/** Cancels as the runner does, and runs the post step as the runner does. */
export function cancelRelease(stage: Stage, release: Release, number: number): Promise<CaseResult> {
  return stage.attempt(String(number), async (old, version) => {
    const { id, env } = stage.run();
    const { running, reached } = await startUntil(stage, release, version, number, id);
    const cancelled = await running.cancel();
    const post = await stage.host.job.post(cancelled, { env });
    const problems = problemsOfStep(post);
    if (cancelled.signal !== null) problems.push(`the cancelled step ended with ${cancelled.signal}`);
    const result = cancelled.outputs['result'] ?? 'none';
    if (!['cancelled', 'succeeded'].includes(result))
      problems.push(`the cancelled step's result is ${result}`);
    // Cancelled is cancelled: the old version has the traffic, unless the new one had all of it already.
    return { reached, steps: [cancelled, post], wanted: [old, version], problems };
  });
}
