// Faults of the API and of the runner, at every write of blue-green-switch and rollback, on pods of a stand-in (stand-in.ts): the
// real API server and controller-manager, with the built actions as a runner runs them. Kills with the real
// kubelet are in crash.test.ts.

import { silentLog } from '@deploy-actions/core';
import { createKubernetesStore, stateName } from '@deploy-actions/kubernetes';
import { acquireLease, thisProcess } from '@deploy-actions/release-engine';
import { createServiceSelector } from '@deploy-actions/routers';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Fault, Rule } from '../support/fault-proxy.ts';
import type { StepResult } from '../support/runner.ts';
import { isMutation, killProcess, onMutation } from './api-proxy.ts';
import { type Lane, openLane, problemsOf } from './lane.ts';
import { type StandIn, startStandIn } from './stand-in.ts';

/** `CHAOS=all`: every fault at every call; otherwise each call that writes meets some of them, by turns. Kills are always at all. */
const isExhaustive = process.env['CHAOS'] === 'all';
const laneCount = 4;
/** Milliseconds. Alone on two cores, the whole file takes half of this. */
const timeout = 480_000;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

let standIn: StandIn;
let lanes: Lane[] = [];
/** Writes of an unharmed switch and of an unharmed rollback, and all calls of the switch. */
let writes: { release: number; rollback: number };
let calls: number;

beforeAll(async () => {
  standIn = await startStandIn();
  lanes = await Promise.all(Array.from({ length: laneCount }, () => openLane(standIn)));
  const [lane] = lanes;
  if (lane === undefined) throw new Error('there is no lane');
  const counted = async (step: () => Promise<StepResult>): Promise<[number, number]> => {
    const [before, all] = [lane.proxy.mutations().length, lane.proxy.calls.length];
    const { exitCode, log } = await step();
    expect(exitCode, log).toBe(0);
    return [lane.proxy.mutations().length - before, lane.proxy.calls.length - all];
  };
  const [release, reads] = await counted(() => lane.release(lane.fresh()));
  const [rollback] = await counted(() => lane.rollback());
  writes = { release, rollback };
  calls = reads;
  say(`a switch makes ${release} writes in ${reads} calls, a rollback ${rollback} writes`);
});
afterAll(async () => {
  for (const lane of lanes) await lane.end();
  await standIn.stop();
});

type Action = 'release' | 'rollback';

/** Runs the cases, each on a lane that is free, and resolves to all that is wrong. */
async function onLanes<T>(
  cases: readonly T[],
  run: (lane: Lane, one: T) => Promise<string[]>,
): Promise<string[]> {
  const rest = [...cases];
  const found: string[] = [];
  const began = performance.now();
  await Promise.all(
    lanes.map(async (lane) => {
      for (let one = rest.shift(); one !== undefined; one = rest.shift()) {
        const problems = await run(lane, one);
        problems.forEach(say);
        found.push(...problems);
      }
    }),
  );
  say(`${cases.length} cases in ${((performance.now() - began) / 1_000).toFixed(0)} s`);
  return found;
}

/** One case of an action, from a state in which there is a version to go back to, with what has been seen to be wrong in it. */
async function inCase(
  lane: Lane,
  action: Action,
  name: string,
  act: (old: string, version: string) => Promise<{ problems: string[]; wanted: string[]; logs: string[] }>,
): Promise<string[]> {
  const { proxy, endpoints } = lane;
  proxy.program([]);
  const before = endpoints.problems.length;
  const { serving } = await lane.look();
  let [old, version] = [serving.version, lane.fresh()];
  if (action === 'rollback') {
    const step = await lane.release(version);
    if (step.exitCode !== 0) return [`${name}: the release before it failed: ${step.log}`];
    [old, version] = [version, old];
  }
  const { problems, wanted, logs } = await act(old, version);
  proxy.program([]);
  problems.push(...problemsOf(await lane.look(), wanted), ...endpoints.problems.slice(before));
  return problems.length === 0 ? [] : [`${name}: ${problems.join('; ')}\n${logs.join('\n---\n')}`];
}

const inputsOf = (lane: Lane, action: Action, version: string): [string, Record<string, string>] =>
  action === 'release' ? ['blue-green-switch', lane.inputs(version)] : ['rollback', lane.inputs()];

const runOnce = (lane: Lane, action: Action, version: string): Promise<StepResult> =>
  action === 'release' ? lane.release(version) : lane.rollback();

const failed = (step: StepResult): string =>
  `the step ended with ${step.exitCode ?? step.signal}: ${step.outputs['reason-code'] ?? ''} ${step.annotations.map(({ message }) => message).join(' ')}`;

it(
  'killed before or after any write, the same action run again ends in a good state, and the Service never is without a ready pod',
  { timeout },
  async () => {
    const points = (['release', 'rollback'] as const).flatMap((action) =>
      Array.from({ length: writes[action] }, (_, index) => index + 1).flatMap((nth) =>
        (['before', 'after'] as const).map((when) => ({ action, nth, when })),
      ),
    );
    const found = await onLanes(points, (lane, { action, nth, when }) =>
      inCase(lane, action, `${action} killed ${when} write ${nth}`, async (_old, version) => {
        const kill = () => killProcess(running.pid);
        lane.proxy.program([onMutation({ kind: 'kill', when, kill }, nth)]);
        const running = await lane.job.start(...inputsOf(lane, action, version));
        const killed = await running.done;
        lane.proxy.program([]);
        const again = await runOnce(lane, action, version);
        const problems: string[] = [];
        if (killed.signal !== 'SIGKILL') problems.push(`write ${nth} was not reached`);
        if (again.exitCode !== 0) problems.push(`the run after it: ${failed(again)}`);
        // A rollback whose end was in the history already was a whole one; run again, it goes back one further.
        const isOver =
          action === 'rollback' &&
          nth >= writes.rollback - 1 &&
          (nth > writes.rollback - 1 || when === 'after');
        const further = isOver ? [again.outputs['version'] ?? ''] : [];
        return { problems, wanted: [version, ...further], logs: [killed.log, again.log] };
      }),
    );
    expect(found).toEqual([]);
  },
);

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
    message: `${reason}, as a test wants it`,
  },
});

const faults: Record<string, Fault> = {
  '409': status(409, 'Conflict'),
  '429': status(429, 'TooManyRequests', { 'retry-after': '1' }),
  '500': status(500, 'InternalError'),
  'cut before effect': { kind: 'cut' },
  'cut after effect': { kind: 'forward-then-cut' },
};
const timeOut: Fault = { kind: 'forward-then-hang', ms: 16_000 };

/** The action meets one fault: it succeeds, or says that there was a conflict; nothing is written twice. */
function meet(lane: Lane, action: Action, name: string, rule: Rule): Promise<string[]> {
  return inCase(lane, action, `${action}: ${name}`, async (old, version) => {
    const doubled = lane.proxy.doubleWrites().length;
    lane.proxy.program([rule]);
    const step = await runOnce(lane, action, version);
    lane.proxy.program([]);
    const problems = lane.proxy
      .doubleWrites()
      .slice(doubled)
      .map(({ method, path }) => `written twice: ${method} ${path}`);
    const logs = [step.log];
    if (step.exitCode === 0) return { problems, wanted: [version], logs };
    if (!name.startsWith('409')) problems.push(failed(step));
    else if (step.outputs['reason-code'] !== 'state_conflict' || !/as a test wants it|changed/.test(step.log))
      problems.push(`it does not say that there was a conflict: ${failed(step)}`);
    const again = await runOnce(lane, action, version);
    if (again.exitCode !== 0) problems.push(`the run after it: ${failed(again)}`);
    return { problems, wanted: [version, old], logs: [...logs, again.log] };
  });
}

it(
  '409, 429, 500 and a cut before or after the effect, at any write of a switch or a rollback, are overcome',
  { timeout },
  async () => {
    const points = (['release', 'rollback'] as const).flatMap((action) =>
      Array.from({ length: writes[action] }, (_, index) => index + 1).flatMap((nth) =>
        Object.entries(faults).map(([name, fault]) => ({ action, nth, name, fault })),
      ),
    );
    const chosen = points.filter(
      ({ action }, index) => isExhaustive || index % (action === 'release' ? 2 : 3) === 0,
    );
    const found = await onLanes(chosen, (lane, { action, nth, name, fault }) =>
      meet(lane, action, `${name} at write ${nth}`, onMutation(fault, nth)),
    );
    expect(found).toEqual([]);
  },
);

it('the same at any call, reads too, is overcome', { timeout }, async () => {
  const kinds = Object.entries(faults).filter(([name]) => name !== '409');
  const every = isExhaustive ? 1 : 7;
  const points = Array.from({ length: Math.floor(calls / every) }, (_, index) => {
    const [name, fault] = kinds[index % kinds.length] ?? ['', { kind: 'pass' }];
    return { nth: index * every + 1, name, fault };
  });
  const found = await onLanes(points, (lane, { nth, name, fault }) => {
    // A watch has no end to wait for.
    const rule: Rule = { where: ({ path }) => !path.includes('watch=true'), nth, fault };
    return meet(lane, 'release', `${name} at call ${nth}`, rule);
  });
  expect(found).toEqual([]);
});

it('a write whose answer never comes is not made again', { timeout }, async () => {
  const kinds = ['/leases/', '\\.journal', '/services/', '/deployments/'];
  const found = await onLanes(kinds, (lane, kind) =>
    meet(lane, 'release', `no answer to the write of ${kind}`, {
      where: (call) => isMutation(call) && new RegExp(kind).test(call.path),
      nth: kind === '/services/' ? 2 : 1,
      fault: timeOut,
    }),
  );
  expect(found).toEqual([]);
});

it(
  'a cancel at any write ends in time, with the journal written before the lease is given back, and the post step settles it',
  { timeout },
  async () => {
    const points = (['release', 'rollback'] as const).flatMap((action) =>
      Array.from({ length: writes[action] - 1 }, (_, index) => ({ action, nth: index + 1 })),
    );
    let longest = 0;
    const found = await onLanes(points, (lane, { action, nth }) =>
      inCase(lane, action, `${action} cancelled at write ${nth}`, async (old, version) => {
        const { promise: reached, resolve: onReached } = Promise.withResolvers<void>();
        let seen = 0;
        const look: Rule = {
          where(call) {
            if (isMutation(call) && (seen += 1) === nth) onReached();
            return false;
          },
          fault: { kind: 'pass' },
        };
        const before = lane.proxy.mutations().length;
        lane.proxy.program([look]);
        const running = await lane.job.start(...inputsOf(lane, action, version));
        await Promise.race([reached, running.done]);
        const began = performance.now();
        const cancelled = await running.cancel();
        longest = Math.max(longest, performance.now() - began);
        const made = lane.proxy.mutations().slice(before);
        const problems: string[] = [];
        if (cancelled.signal !== null) problems.push(`it had to be ended by ${cancelled.signal}`);
        const last = made.findLastIndex(({ path }) => path.includes('/leases/'));
        const journal = made.findLastIndex(({ path }) => path.includes('.journal'));
        if (last < journal) problems.push('the journal was written after the lease was given back');
        if (last === 0 && made.length > 1) problems.push('the lease was not given back');
        const post = await lane.job.post(cancelled);
        if (post !== undefined && post.exitCode !== 0) problems.push(`the post step: ${failed(post)}`);
        return { problems, wanted: [old, version], logs: [cancelled.log, post?.log ?? 'no post step'] };
      }),
    );
    say(`a cancelled step ended within ${(longest / 1_000).toFixed(1)} s`);
    expect(longest).toBeLessThan(7_500);
    expect(found).toEqual([]);
  },
);

it('of 20 runs at once one wins, and the others say who holds the lease', { timeout }, async () => {
  const [lane] = lanes;
  if (lane === undefined) throw new Error('there is no lane');
  const { promise: ended, resolve: onEnded } = Promise.withResolvers<void>();
  // Whoever has the lease waits at its first write of the Service until the others have ended.
  const isService = (call: { method: string; path: string }) =>
    isMutation(call) && call.path.includes('/services/');
  lane.proxy.program([{ where: isService, fault: { kind: 'kill', when: 'before', kill: () => ended } }]);
  const runs = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const id = String(1_000 + index);
      const running = await lane.job.start(
        'blue-green-switch',
        { ...lane.inputs(lane.fresh()), 'lock-timeout': '0s' },
        { env: { GITHUB_RUN_ID: id } },
      );
      return { id, running };
    }),
  );
  let open = runs.length;
  const results = await Promise.all(
    runs.map(async ({ id, running }) => {
      const result = await running.done;
      if ((open -= 1) === 1) {
        lane.proxy.program([]);
        onEnded();
      }
      return { id, result };
    }),
  );
  const winners = results.filter(({ result }) => result.exitCode === 0);
  expect(
    winners.map(({ id }) => id),
    results.map(({ result }) => result.log).join('\n'),
  ).toHaveLength(1);
  const [winner] = winners;
  for (const { id, result } of results) {
    if (id === winner?.id) continue;
    expect(result.outputs['reason-code'], result.log).toBe('lock_held');
    expect(result.log).toContain(`run ${winner?.id}`);
  }
  expect(problemsOf(await lane.look(), [winner?.result.outputs['version'] ?? ''])).toEqual([]);
});

it('a deposed holder’s write is refused by the API server itself, and it says who took over', async () => {
  const [lane] = lanes;
  if (lane === undefined) throw new Error('there is no lane');
  lane.proxy.program([]);
  const { serving } = await lane.look();
  // The write that moves the traffic is on its way for as long as it takes to depose its writer.
  const { promise: onItsWay, resolve: leave } = Promise.withResolvers<void>();
  let services = 0;
  const isSwitch = (call: { method: string; path: string }): boolean => {
    if (!isMutation(call) || !call.path.includes('/services/')) return false;
    services += 1;
    if (services === 2) leave();
    return services === 2;
  };
  lane.proxy.program([{ where: isSwitch, fault: { kind: 'delay', ms: 3_000 } }]);
  const before = lane.proxy.mutations().length;
  const running = await lane.job.start('blue-green-switch', lane.inputs(lane.fresh()));
  await onItsWay;
  const client = await lane.stage.connect();
  const lease = await acquireLease({
    store: createKubernetesStore(client, stateName('service', 'shop')),
    run: { id: 'the-newer-one', url: '', actor: '' },
    process: thisProcess(),
    isAlive: () => false,
    wait: 0,
    signal: new AbortController().signal,
    log: silentLog,
  });
  await createServiceSelector({ client, service: 'shop', log: silentLog }).claim?.(lease.fence);
  const deposed = await running.done;
  const moved = lane.proxy
    .mutations()
    .slice(before)
    .filter(({ path }) => path.includes('/services/'));
  expect(
    moved.map(({ status: seen }) => seen),
    deposed.log,
  ).toEqual([200, 409]);
  expect(deposed.exitCode).toBe(1);
  expect(deposed.outputs['reason-code'], deposed.log).toBe('lock_lost');
  expect((await lane.look()).serving).toMatchObject({ slot: serving.slot, version: serving.version });
  await lease.release();
  // Whoever comes next settles what was left.
  const version = lane.fresh();
  const next = await lane.release(version);
  expect(next.exitCode, next.log).toBe(0);
  expect(problemsOf(await lane.look(), [version])).toEqual([]);
});

it('the faults were the API’s: nothing failed in the stand-in', () => {
  expect(standIn.problems).toEqual([]);
});
