// One case: a release is killed at one of its mutations, something comes after the kill, and then there has to be exactly
// one good state, with no request lost since the case began.

import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord } from '@deploy-actions/core';
import { isAlive, isSettled, type ProcessIdentity } from '@deploy-actions/release-engine';
import { forgetPast, type Host, type Sight } from '../support/host.ts';
import { startGenerator } from '../support/load/generator.ts';
import { planLoad } from '../support/load/options.ts';
import { countsOf } from '../support/load/tally.ts';
import type { StepOptions, StepResult } from '../support/runner.ts';

export interface Mutation {
  n: number;
  kind: string;
  target: string;
}

export type When = 'before' | 'after';

/** What comes after the kill: the same step again; a step for another version; the post step of the killed one. */
export type Ending = 'again' | 'other' | 'post';
export const endings: readonly Ending[] = ['again', 'other', 'post'];

export interface Point {
  n: number;
  when: When;
  ending: Ending;
}

export interface CaseResult {
  /** `17:after`, which `--only` takes with the group's name before it. */
  name: string;
  /** False when the release was over before it came to that point. */
  reached: boolean;
  sent: number;
  lost: number;
  /** What is wrong; empty in a good state. */
  problems: string[];
  seconds: number;
  log: string;
}

/** How versions are released in a group of cases. */
export interface Release {
  action: string;
  inputs: Record<string, string>;
  /** Whether the old version goes on running. */
  keepsPrevious: boolean;
}

/** What a case did between two good states. */
export interface Done {
  reached: boolean;
  steps: (StepResult | undefined)[];
  /** The versions of which one has to serve now. */
  wanted: string[];
  problems?: string[];
}

const crash = new URL('../support/crash.mjs', import.meta.url).href;
/** One request each 25 ms on the average: what is there to be seen is whether any is lost, and each costs three processes their time. */
const rate = { requests: 40, long: 2, longSeconds: 0.3 };

/** A host on which one version serves under load, release after release. */
export interface Stage {
  readonly host: Host;
  fresh(): string;
  /** A step of a run of its own, unless `run` is that of an earlier one. */
  step(version: string, options?: StepOptions & { run?: number }): Promise<StepResult>;
  /** The variables of a run, for steps that are started otherwise. */
  run(): { id: number; env: Record<string, string> };
  /** From one good state to the next, under load. `mayLose`: what is lost is counted and is no problem. */
  attempt(
    name: string,
    act: (old: string, version: string) => Promise<Done>,
    options?: { mayLose: boolean },
  ): Promise<CaseResult>;
  end(options?: { keepFolder?: boolean }): Promise<void>;
}

/** Puts two versions on the host, so that both slots have their history. */
export async function createStage(host: Host, release: Release): Promise<Stage> {
  let versions = 0;
  let runs = 0;
  let tookBack = false;
  const fresh = () => `v${(versions += 1)}`;
  const run = (id = (runs += 1)) => ({ id, env: { GITHUB_RUN_ID: String(id) } });
  const quiet = { watch: '0s', 'keep-previous': String(release.keepsPrevious) };
  await host.release('blue-green-switch', fresh(), quiet);
  let serving = fresh();
  await host.release('blue-green-switch', serving, quiet);

  return {
    host,
    fresh,
    run,

    step: (version, { run: id, env, ...options } = {}) =>
      host.step(release.action, host.inputs(version, release.inputs), {
        ...options,
        env: { ...run(id).env, ...env },
      }),

    async attempt(name, act, { mayLose } = { mayLose: false }) {
      const start = performance.now();
      if (release.keepsPrevious && tookBack) {
        // The slot is filled again, so that each case begins alike.
        serving = fresh();
        await host.release('blue-green-switch', serving, quiet);
      }
      await forgetPast(host.stateDirectory);
      const load = startLoad(host);
      const old = serving;
      const done = await act(old, fresh()).catch(async (error: unknown) => {
        await load.stop();
        throw error;
      });
      const sight = await host.look();
      serving = servingVersion(sight) ?? old;
      tookBack = serving === old;
      const answers = await host.ask(20);
      const counts = await load.stop();
      return {
        name,
        reached: done.reached,
        sent: counts.sent,
        lost: counts.lost,
        problems: [
          ...(done.problems ?? []),
          ...problemsOf(sight, release.keepsPrevious, done.wanted),
          ...problemsOfAnswers(answers, serving),
          ...(mayLose ? [] : counts.problems),
        ],
        seconds: (performance.now() - start) / 1_000,
        log: logOf(done.steps),
      };
    },

    end: (options) => host.end(options),
  };
}

export function logOf(steps: (StepResult | undefined)[]): string {
  return steps
    .map((step) => (step === undefined ? '--- no step' : `--- ${step.action}, ${step.phase}\n${step.log}`))
    .join('\n');
}

/** What is wrong with a step that had to come to its end. */
export function problemsOfStep(step: StepResult | undefined): string[] {
  return step === undefined || step.exitCode === 0
    ? []
    : [`the step after it failed: ${step.outputs['result'] ?? `exit ${step.exitCode ?? step.signal}`}`];
}

async function readMutations(file: string): Promise<Mutation[]> {
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  await rm(file);
  return lines.map((line) => JSON.parse(line) as Mutation);
}

/** Runs a step unharmed and resolves to its mutations. */
export async function mutationsOf(
  host: Host,
  step: (options: StepOptions) => Promise<StepResult>,
): Promise<Mutation[]> {
  const log = join(host.folder, 'mutations.jsonl');
  const whole = await step({ imports: [crash], env: { CRASH_LOG: log } });
  if (whole.exitCode !== 0) throw new Error(`the release fails without a kill:\n${whole.log}`);
  return readMutations(log);
}

/** Preloads what kills the step at the point. */
export function killedAt({
  n,
  when,
}: Pick<Point, 'n' | 'when'>): StepOptions & { env: Record<string, string> } {
  return { imports: [crash], env: { CRASH_AT: String(n), CRASH_WHEN: when } };
}

export const nameOfPoint = ({ n, when, ending }: Point) =>
  `${n}:${when}${ending === 'again' ? '' : `:${ending}`}`;

/** A release is killed at a mutation, and what is to come after the kill comes. */
export function killAndGoOn(stage: Stage, point: Point): Promise<CaseResult> {
  return stage.attempt(nameOfPoint(point), async (old, version) => {
    const { id } = stage.run();
    const killed = await stage.step(version, { ...killedAt(point), run: id });
    const reached = killed.signal === 'SIGKILL';
    const after = async (wanted: string[], step: Promise<StepResult | undefined>): Promise<Done> => {
      const ended = await step;
      return { reached, steps: [killed, ended], wanted, problems: problemsOfStep(ended) };
    };
    switch (point.ending) {
      case 'again':
        return after([version], stage.step(version));
      case 'other': {
        const other = stage.fresh();
        return after([other], stage.step(other));
      }
      case 'post':
        return after([old, version], stage.host.job.post(killed, { env: { GITHUB_RUN_ID: String(id) } }));
    }
  });
}

/** Constant load of three kinds, for one case. */
function startLoad(host: Host) {
  const start = performance.now();
  const generator = startGenerator(
    planLoad({
      url: `${host.url}/`,
      rate: rate.requests,
      durationSeconds: 15 * 60,
      connections: 10,
      inFlightUrl: `${host.url}/slow?ms=${rate.longSeconds * 1_000}`,
      inFlight: rate.long,
      inFlightSeconds: rate.longSeconds,
    }),
  );
  return {
    async stop() {
      const least = Math.floor((((performance.now() - start) / 1_000) * rate.requests) / 2);
      const { total } = await generator.stop();
      const { sent, lost, failed, clientErrors, notSent } = countsOf(total);
      const first = Object.entries(total).flatMap(([kind, report]) =>
        report.firstLost.slice(0, 3).map(({ detail }) => `${kind} ${detail}`),
      );
      const problems: string[] = [];
      if (lost > 0) problems.push(`${lost} of ${sent} requests lost: ${first.join('; ')}`);
      if (failed + clientErrors > 0) problems.push(`${failed + clientErrors} answers of status 4xx or 5xx`);
      if (sent < least) problems.push(`only ${sent} requests were sent, at least ${least} were due`);
      if (notSent > 0) problems.push(`${notSent} requests could not be sent from this machine`);
      return { sent, lost, problems };
    },
  };
}

function servingVersion(sight: Sight): string | undefined {
  const main = sight.proxy?.targets.find(({ weight }) => weight === 100);
  return sight.slots.find(({ name }) => name === main?.slot)?.release?.version;
}

/** Everything that is not as it is in the one good state in which one of the `wanted` versions serves. */
export function problemsOf(sight: Sight, keepsPrevious: boolean, wanted: string[]): string[] {
  const { slots, journal, history, proxy, lease, processes } = sight;
  const problems: string[] = [];
  const say = (problem: string) => problems.push(problem);

  const shares = (proxy?.targets ?? []).filter(({ weight }) => weight > 0);
  const [share] = shares;
  const slot = slots.find(({ name }) => name === share?.slot);
  const version = slot?.release?.version;
  if (proxy === undefined) say('no proxy answers');
  else if (share?.weight !== 100)
    say(`the traffic is ${shares.map((one) => `${one.slot} ${one.weight}`).join(', ') || 'nothing'}`);
  else if (version === undefined || !wanted.includes(version))
    say(`${version} serves, not ${wanted.join(' or ')}`);
  if (slot !== undefined) {
    if (slot.wanted < 1 || slot.ready !== slot.wanted)
      say(`${slot.ready} of ${slot.wanted} instances are ready`);
    const addresses = slot.instances.map(({ address }) => address).toSorted();
    if (addresses.join() !== share?.addresses.toSorted().join())
      say(`the proxy sends to ${share?.addresses.join()}, the slot is at ${addresses.join()}`);
  }

  if (journal !== null && !isSettled(journal)) say(`the journal is unfinished: ${journal.phase}`);
  const entries = history.filter(
    ({ release, result }) => release.version === version && result === 'serving',
  );
  if (entries.length !== 1) say(`${version} is in the history ${entries.length} times`);
  if (!isFree(lease)) say(`a living process holds the lease: ${JSON.stringify(lease)}`);

  const others = slots.filter(({ name, release }) => name !== share?.slot && release !== null);
  if (!keepsPrevious && others.length > 0 && wanted.length === 1)
    say(`${others.map((other) => `${other.release?.version} is in ${other.name}`).join(', ')} still`);
  const instances = slots.reduce((sum, one) => sum + one.instances.length, 0);
  if (processes.applications.length !== instances)
    say(`${processes.applications.length} instances run, the slots have ${instances}`);
  if (processes.proxies.length !== 1) say(`${processes.proxies.length} proxies run`);
  if (processes.others.length > 0)
    say(`stray processes: ${processes.others.map(({ pid, command }) => `${pid} ${command}`).join('; ')}`);
  return problems;
}

/** A killed holder's lease is free to whoever sees that its process has ended. */
function isFree(lease: unknown): boolean {
  if (lease === null) return true;
  const holder = isRecord(lease) && isRecord(lease['holder']) ? lease['holder'] : undefined;
  return holder !== undefined && isAlive(holder['process'] as ProcessIdentity) === false;
}

export function problemsOfAnswers(answers: Record<string, number>, version: string | undefined): string[] {
  const wrong = Object.entries(answers).filter(([answer]) => answer !== version);
  return wrong.map(
    ([answer, count]) => `${count} of 20 requests were answered by "${answer}", not by ${version}`,
  );
}
