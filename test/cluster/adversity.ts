// An action at the API as it may be, on lanes (lane.ts): killed before and after each of its writes, refused, cut and left without an
// answer at each call. Every case has to end in a good state, by itself or when the action is run again, and the Service must have a
// ready pod at every moment of it.
//
// How many writes there are is not said anywhere: they are met one after the other until a run makes fewer.

import type { Fault, Rule } from '../support/fault-proxy.ts';
import type { StepResult } from '../support/runner.ts';
import { isMutation, killProcess, onMutation } from './api-proxy.ts';
import { type Lane, lasting } from './lane.ts';

/** What is done to the application of a lane again and again. */
export interface Deed {
  /** For the names of cases. */
  name: string;
  action: string;
  /** Brings about a state in which it can be done: `old` serves, and `version` is what it is to lead to. */
  begin(lane: Lane): Promise<{ old: string; version: string }>;
  inputs(lane: Lane, version: string): Record<string, string>;
  /** Everything that is not as it is in the good state in which one of the versions serves. */
  problems(lane: Lane, wanted: readonly string[]): Promise<string[]>;
  /** Whether it was a whole one for the product, too: run again, it would do another thing. Default: never. */
  isOver?(lane: Lane, version: string): Promise<boolean>;
}

/** What one case came to. */
interface Ended {
  problems: string[];
  /** The versions of which one has to serve. */
  wanted: string[];
  logs: string[];
  /** Whether the run got as far as the write that the case is about. */
  reached?: boolean;
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

export const failed = (step: StepResult): string =>
  `the step ended with ${step.exitCode ?? step.signal}: ${step.outputs['reason-code'] ?? ''} ${step.annotations.map(({ message }) => message).join(' ')}`;

export interface Lanes {
  readonly count: number;
  /** Has the first lane that is free, for as long as the work takes. */
  on<T>(work: (lane: Lane) => Promise<T>): Promise<T>;
  end(): Promise<void>;
}

/** Several at once, for most of a release is waiting; more than a few only wait for the processor. */
export async function openLanes(count: number, open: () => Promise<Lane>): Promise<Lanes> {
  const lanes = await Promise.all(Array.from({ length: count }, open));
  const free = [...lanes];
  const waiting: ((lane: Lane) => void)[] = [];
  return {
    count,
    async on(work) {
      const lane = free.shift() ?? (await new Promise<Lane>((resolve) => waiting.push(resolve)));
      try {
        return await work(lane);
      } finally {
        const next = waiting.shift();
        if (next === undefined) free.push(lane);
        else next(lane);
      }
    },
    async end() {
      await Promise.all(lanes.map((lane) => lane.end()));
    },
  };
}

/** One case of a deed, with what has been seen to be wrong in it. */
async function inCase(
  lane: Lane,
  deed: Deed,
  name: string,
  act: (old: string, version: string) => Promise<Ended>,
): Promise<{ found: string[]; reached: boolean }> {
  const { proxy, endpoints } = lane;
  proxy.program([]);
  const before = endpoints.problems.length;
  const { old, version } = await deed.begin(lane);
  const { problems, wanted, logs, reached = true } = await act(old, version);
  proxy.program([]);
  problems.push(...(await lasting(() => deed.problems(lane, wanted))), ...endpoints.problems.slice(before));
  const found =
    problems.length === 0 ? [] : [`${deed.name} ${name}: ${problems.join('; ')}\n${logs.join('\n---\n')}`];
  found.forEach(say);
  return { found, reached };
}

/** Runs the cases, each on a lane that is free, and resolves to all that is wrong. */
export async function each<T>(
  lanes: Lanes,
  deed: Deed,
  cases: readonly T[],
  nameOf: (one: T) => string,
  act: (lane: Lane, one: T, old: string, version: string) => Promise<Ended>,
): Promise<string[]> {
  const found = await Promise.all(
    cases.map((one) =>
      lanes.on((lane) => inCase(lane, deed, nameOf(one), (old, version) => act(lane, one, old, version))),
    ),
  );
  return found.flatMap((one) => one.found);
}

/**
 * The same for every write of the deed, in each of some variants, until a run does not reach the write any more. With `every`
 * only so many of these cases.
 */
async function atEveryWrite<V>(
  lanes: Lanes,
  deed: Deed,
  variants: readonly [string, V][],
  act: (
    lane: Lane,
    at: { nth: number; variant: V; name: string },
    old: string,
    version: string,
  ) => Promise<Ended>,
  every = 1,
): Promise<{ found: string[]; writes: number }> {
  const found: string[] = [];
  const began = performance.now();
  let last = Number.POSITIVE_INFINITY;
  let next = 0;
  let cases = 0;
  async function work(): Promise<void> {
    for (;;) {
      const nth = Math.floor(next / variants.length) + 1;
      const [name, variant] = variants[next % variants.length] ?? [];
      if (nth > last || name === undefined || variant === undefined) return;
      next += every;
      const one = await lanes.on((lane) =>
        inCase(lane, deed, `${name} write ${nth}`, (old, version) =>
          act(lane, { nth, variant, name }, old, version),
        ),
      );
      found.push(...one.found);
      if (one.reached) cases += 1;
      else last = Math.min(last, nth - 1);
    }
  }
  await Promise.all(Array.from({ length: lanes.count }, work));
  const took = ((performance.now() - began) / 1_000).toFixed(0);
  say(
    `${deed.name}: ${cases} cases up to write ${last} (${variants.map(([name]) => name).join(', ')}) in ${took} s`,
  );
  return { found, writes: last };
}

const again = async (lane: Lane, deed: Deed, version: string): Promise<StepResult> =>
  lane.step(deed.action, deed.inputs(lane, version));

/** SIGKILL before and after every write, or at every so many of these; then the same action again. */
export function killedAtEveryWrite(
  lanes: Lanes,
  deed: Deed,
  every?: number,
): Promise<{ found: string[]; writes: number }> {
  const variants: [string, 'before' | 'after'][] = [
    ['killed before', 'before'],
    ['killed after', 'after'],
  ];
  return atEveryWrite(
    lanes,
    deed,
    variants,
    async (lane, { nth, variant: when }, _old, version) => {
      const kill = () => killProcess(running.pid);
      lane.proxy.program([onMutation({ kind: 'kill', when, kill }, nth)]);
      const running = await lane.start(deed.action, deed.inputs(lane, version));
      const killed = await running.done;
      lane.proxy.program([]);
      if (killed.signal !== 'SIGKILL') {
        const problems = killed.exitCode === 0 ? [] : [failed(killed)];
        return { problems, wanted: [version], logs: [killed.log], reached: false };
      }
      const isOver = (await deed.isOver?.(lane, version)) === true;
      const next = await again(lane, deed, version);
      const problems = next.exitCode === 0 ? [] : [`the run after it: ${failed(next)}`];
      const further = isOver ? [next.outputs['version'] ?? ''] : [];
      return { problems, wanted: [version, ...further], logs: [killed.log, next.log] };
    },
    every,
  );
}

const refusal = 'as a test wants it';
const status = (code: number, reason: string, headers: Record<string, string> = {}): Fault => ({
  kind: 'answer',
  status: code,
  headers,
  body: {
    kind: 'Status',
    apiVersion: 'v1',
    status: 'Failure',
    code,
    reason,
    message: `${reason}, ${refusal}`,
  },
});

const conflict: [string, Fault] = ['409 at', status(409, 'Conflict')];
const passing: [string, Fault][] = [
  ['429 at', status(429, 'TooManyRequests', { 'retry-after': '1' })],
  ['500 at', status(500, 'InternalError')],
  ['a cut before', { kind: 'cut' }],
  ['a cut after', { kind: 'forward-then-cut' }],
];
/** Longer than the product waits for an answer. */
const silence: [string, Fault] = ['no answer to', { kind: 'forward-then-hang', ms: 16_000 }];

/** The deed under this plan: it succeeds, or says that there was a conflict; nothing is written twice. */
async function meet(
  lane: Lane,
  deed: Deed,
  rule: Rule,
  { old, version, isConflict }: { old: string; version: string; isConflict: boolean },
): Promise<Ended> {
  const { proxy } = lane;
  const doubled = proxy.doubleWrites().length;
  let met = false;
  const where = rule.where ?? (() => true);
  let seen = 0;
  proxy.program([
    {
      fault: rule.fault,
      where: (call) => {
        if (!where(call)) return false;
        seen += 1;
        const isIt = rule.nth === undefined || rule.nth === seen;
        met ||= isIt;
        return isIt;
      },
    },
  ]);
  const step = await again(lane, deed, version);
  proxy.program([]);
  const problems = proxy
    .doubleWrites()
    .slice(doubled)
    .map(({ method, path }) => `written twice: ${method} ${path}`);
  if (step.exitCode === 0) return { problems, wanted: [version], logs: [step.log], reached: met };
  if (!isConflict) problems.push(failed(step));
  else if (step.outputs['reason-code'] !== 'state_conflict' || !/as a test wants it|changed/.test(step.log))
    problems.push(`it does not say that there was a conflict: ${failed(step)}`);
  const next = await again(lane, deed, version);
  if (next.exitCode !== 0) problems.push(`the run after it: ${failed(next)}`);
  return { problems, wanted: [version, old], logs: [step.log, next.log], reached: met };
}

/** 409, 429, 500, a cut before and after the effect, and no answer after it, at every write. */
export function faultsAtEveryWrite(lanes: Lanes, deed: Deed): Promise<{ found: string[]; writes: number }> {
  return atEveryWrite(
    lanes,
    deed,
    // Those that only wait come first, while others work.
    [silence, conflict, ...passing],
    (lane, { nth, variant, name }, old, version) =>
      meet(
        lane,
        deed,
        { where: isMutation, nth, fault: variant },
        { old, version, isConflict: name === conflict[0] },
      ),
  );
}

/** Every read fails the first time, and every other time after it: all of them in one run, in each of the ways. */
export function everyReadFails(lanes: Lanes, deed: Deed): Promise<string[]> {
  return each(
    lanes,
    deed,
    passing,
    ([name]) => `${name} every read`,
    (lane, [, fault], old, version) => {
      const seen = new Map<string, number>();
      const where = (call: { method: string; path: string }): boolean => {
        // A watch has no end that it could be kept from, and what passes on to a pod is asked by the clock.
        if (isMutation(call) || call.path.includes('watch=true')) return false;
        const key = `${call.method} ${call.path}`;
        const count = (seen.get(key) ?? 0) + 1;
        seen.set(key, count);
        return count % 2 === 1;
      };
      return meet(lane, deed, { where, fault }, { old, version, isConflict: false });
    },
  );
}

/** A cancel at every write, as the runner makes it, and the post step after it. Resolves with the longest that one took, in ms. */
export async function cancelledAtEveryWrite(
  lanes: Lanes,
  deed: Deed,
): Promise<{ found: string[]; longest: number }> {
  let longest = 0;
  const { found } = await atEveryWrite(
    lanes,
    deed,
    [['cancelled at', true]],
    async (lane, { nth }, old, version) => {
      const { promise: onItsWay, resolve: reach } = Promise.withResolvers<boolean>();
      let seen = 0;
      const where: Rule['where'] = (call) => {
        if (isMutation(call) && (seen += 1) === nth) reach(true);
        return false;
      };
      const before = lane.proxy.mutations().length;
      lane.proxy.program([{ where, fault: { kind: 'pass' } }]);
      // The job's own run, which the post step is of, too.
      const running = await lane.job.start(deed.action, deed.inputs(lane, version));
      const reached = await Promise.race([onItsWay, running.done.then(() => false)]);
      if (!reached) {
        const whole = await running.done;
        const problems = whole.exitCode === 0 ? [] : [failed(whole)];
        return { problems, wanted: [version], logs: [whole.log], reached };
      }
      const began = performance.now();
      const cancelled = await running.cancel();
      longest = Math.max(longest, performance.now() - began);
      const made = lane.proxy.mutations().slice(before);
      const problems: string[] = [];
      if (cancelled.signal !== null) problems.push(`it had to be ended by ${cancelled.signal}`);
      const last = made.findLastIndex(({ path }) => path.includes('/leases/'));
      const journal = made.findLastIndex(({ path }) => /\.(?:journal|manifests)\b/.test(path));
      if (last < journal) problems.push('the journal was written after the lease was given back');
      if (last === 0 && made.length > 1) problems.push('the lease was not given back');
      const post = await lane.job.post(cancelled);
      if (post !== undefined && post.exitCode !== 0) problems.push(`the post step: ${failed(post)}`);
      return { problems, wanted: [old, version], logs: [cancelled.log, post?.log ?? 'no post step'] };
    },
  );
  say(`${deed.name}: a cancelled step ended within ${(longest / 1_000).toFixed(1)} s`);
  return { found, longest };
}
