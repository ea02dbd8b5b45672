// Two Services in two colours with workers and a scheduler where asked for, released as one (lane.ts).

import type { StepOptions, StepResult } from '../support/runner.ts';
import { isMutation, killProcess, type Mutation } from './api-proxy.ts';
import { type EndpointWatch, watchEndpoints } from './endpoint-watch.ts';
import { type Ground, versionOf } from './ground.ts';
import { app, type Lane, lasting, openLane, serviceTo, type State, unsettled } from './lane.ts';

export const colours = ['blue', 'green'] as const;
/** The first is that of every lane. */
export const services = [app, 'realtime'] as const;

/** What there is. */
export interface UnitSight extends State {
  /** The colour that each Service sends to. */
  serving: Record<string, string>;
  /** By the name of the Deployment. */
  deployments: Record<string, { version: string; wanted: number; ready: number }>;
}

export interface UnitLane extends Omit<Lane, 'endpoints' | 'start' | 'step'> {
  readonly endpoints: readonly EndpointWatch[];
  inputs(version?: string): Record<string, string>;
  /** To the version; without one, a rollback. */
  start(version?: string, options?: StepOptions): ReturnType<Lane['start']>;
  release(version: string, own?: Record<string, string>): Promise<StepResult>;
  rollback(): Promise<StepResult>;
  look(): Promise<UnitSight>;
}

export interface UnitLaneOptions {
  workers?: string[];
  schedulers?: string[];
}

/** Workers and schedulers have the image of the first Service, and no port. */
function coloured(name: string, slot: string, ground: Ground): object {
  const labels = { app: name, version: slot };
  const isServing = services.some((one) => one === name);
  const template = ground.template(labels, 'v0') as { spec: { containers: Record<string, unknown>[] } };
  for (const container of template.spec.containers) {
    if (name === 'realtime') container['image'] = 'acme/realtime:v0';
    if (!isServing) delete container['ports'];
  }
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `${name}-${slot}`, labels },
    spec: {
      replicas: slot === 'blue' ? 1 : 0,
      selector: { matchLabels: labels },
      ...(isServing ? {} : { strategy: { type: 'Recreate' } }),
      template: { ...template, spec: { ...template.spec, terminationGracePeriodSeconds: 600 } },
    },
  };
}

/** Opens it with one version before the one that serves, so that there is something to go back to. */
export async function openUnitLane(ground: Ground, options: UnitLaneOptions = {}): Promise<UnitLane> {
  const { workers = [], schedulers = [] } = options;
  const all = [...services, ...workers, ...schedulers];
  const objects = [
    ...all.flatMap((name) => colours.map((slot) => coloured(name, slot, ground))),
    ...services.map((name) => ({
      ...serviceTo(ground, { app: name, version: 'blue' }),
      metadata: { name },
    })),
  ];
  const lane = await openLane(ground, { role: 'kubernetes-blue-green', objects, ready: `${app}-blue` });
  for (const name of all) await lane.stage.rolledOut(`${name}-blue`);
  const other = await watchEndpoints(lane.stage.access, lane.stage.name, 'realtime');

  const inputs = (version?: string): Record<string, string> => ({
    platform: 'kubernetes',
    service: services.join(','),
    ...(workers.length === 0 ? {} : { workers: workers.join(',') }),
    ...(schedulers.length === 0 ? {} : { scheduler: schedulers.join(',') }),
    watch: '0s',
    // Nothing is in flight to a stand-in.
    'drain-timeout': '1s',
    ...(version === undefined ? {} : { image: `acme/lane:${version},acme/realtime:${version}` }),
  });

  const unit: UnitLane = {
    ...lane,
    endpoints: [lane.endpoints, other],
    inputs,
    start: (version, of) =>
      lane.start(version === undefined ? 'rollback' : 'blue-green-switch', inputs(version), of),
    release: (version, own) => lane.step('blue-green-switch', { ...inputs(version), ...own }),
    rollback: () => lane.step('rollback', inputs()),
    async look() {
      const [listed, list, state] = await Promise.all([
        lane.read<{ items: { metadata: { name: string }; spec: { selector: { version: string } } }[] }>(
          'services',
        ),
        lane.read<{
          items: {
            metadata: { name: string };
            spec: { replicas: number; template: { spec: { containers: { image: string }[] } } };
            status?: { readyReplicas?: number };
          }[];
        }>('deployments'),
        lane.state(),
      ]);
      return {
        ...state,
        serving: Object.fromEntries(
          listed.items.map(({ metadata, spec }) => [metadata.name, spec.selector.version]),
        ),
        deployments: Object.fromEntries(
          list.items.map(({ metadata, spec, status }) => [
            metadata.name,
            {
              version: versionOf(spec.template.spec.containers[0]?.image),
              wanted: spec.replicas,
              ready: status?.readyReplicas ?? 0,
            },
          ]),
        ),
      };
    },
    async end() {
      other.stop();
      await lane.end();
    },
  };
  for (let i = 0; i < 2; i += 1) {
    const step = await unit.release(unit.fresh());
    if (step.exitCode !== 0) throw new Error(`the lane cannot be made:\n${step.log}`);
  }
  return unit;
}

/** Everything that is not as it is in the good state in which one of the versions serves, with all that belongs to it. */
export function problemsOfUnit(
  sight: UnitSight,
  wanted: readonly string[],
  { workers = [], schedulers = [] }: UnitLaneOptions = {},
): string[] {
  const { serving, deployments } = sight;
  const problems: string[] = [];
  const slots = new Set(Object.values(serving));
  if (slots.size !== 1) problems.push(`the Services are apart: ${JSON.stringify(serving)}`);
  const [slot = ''] = slots;
  const other = colours.find((one) => one !== slot) ?? '';
  const all = [...services, ...workers, ...schedulers];
  const versions = new Set(all.map((name) => deployments[`${name}-${slot}`]?.version ?? ''));
  const [version = ''] = versions;
  if (versions.size !== 1 || !wanted.includes(version))
    problems.push(`${[...versions].join(' and ')} serve, not ${wanted.join(' or ')}`);
  for (const name of all) {
    const there = deployments[`${name}-${slot}`];
    if (there === undefined || there.wanted < 1 || there.ready !== there.wanted)
      problems.push(`${there?.ready} of ${there?.wanted} pods of ${name}-${slot} are ready`);
  }
  for (const name of [...workers, ...schedulers]) {
    const left = deployments[`${name}-${other}`];
    if (left?.wanted !== 0) problems.push(`${name}-${other} still has ${left?.wanted} replicas`);
  }
  return [...problems, ...unsettled(sight, version)];
}

/** Moments at which a Service had no ready endpoint. */
export const endpointProblems = ({ endpoints }: UnitLane): string[] =>
  endpoints.flatMap(({ problems }) => [...problems]);

/** `CHAOS=all`: at every write; otherwise at those that are chosen and some of the others. */
const isExhaustive = process.env['CHAOS'] === 'all';
const others = 8;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/**
 * Kills a release, and then a rollback, at one write after the other, each time followed by a run that is not killed: by turns
 * of the same version and of another. Resolves to all that is not as it has to be then, to how often it was killed, and to
 * how often that left the Services apart.
 */
export async function killAtWrites(
  lane: UnitLane,
  choose: (write: Mutation) => boolean,
  options: UnitLaneOptions = {},
): Promise<{ found: string[]; apart: number; kills: number }> {
  // How often a lease is renewed depends on how long a run takes; kills at its writes are those of crash.test.ts.
  const isCounted = (write: { method: string; path: string }) =>
    isMutation(write) && !write.path.includes('/leases/');
  const chosen = async (work: () => Promise<StepResult>): Promise<number[]> => {
    const before = lane.proxy.mutations().length;
    const { exitCode, log } = await work();
    if (exitCode !== 0) throw new Error(log);
    return lane.proxy
      .mutations()
      .slice(before)
      .filter(isCounted)
      .flatMap((write, index) => (isExhaustive || choose(write) || index % others === 0 ? [index + 1] : []));
  };
  const writes = {
    release: await chosen(() => lane.release(lane.fresh())),
    rollback: await chosen(() => lane.rollback()),
  };
  const found: string[] = [];
  let [apart, kills] = [0, 0];
  for (const action of ['release', 'rollback'] as const) {
    for (const [index, nth] of writes[action].entries()) {
      const when = index % 2 === 0 ? 'before' : 'after';
      const problems: string[] = [];
      if (action === 'rollback') {
        const step = await lane.release(lane.fresh());
        if (step.exitCode !== 0) problems.push(`the release before it failed: ${step.log}`);
      }
      const version = lane.fresh();
      lane.proxy.program([
        { where: isCounted, nth, fault: { kind: 'kill', when, kill: () => killProcess(running.pid) } },
      ]);
      const running = await lane.start(action === 'release' ? version : undefined);
      const killed = await running.done;
      lane.proxy.program([]);
      if (killed.signal === 'SIGKILL') kills += 1;
      else if (killed.exitCode !== 0) problems.push(`it ended with ${killed.exitCode}: ${killed.log}`);
      if (new Set(Object.values((await lane.look()).serving)).size > 1) apart += 1;
      const next = action === 'release' && index % 3 === 0 ? lane.fresh() : version;
      const again = await (action === 'release' ? lane.release(next) : lane.rollback());
      if (again.exitCode !== 0) problems.push(`the run after it: ${again.log}`);
      const wanted = action === 'release' ? [next] : [again.outputs['version'] ?? ''];
      problems.push(...(await lasting(async () => problemsOfUnit(await lane.look(), wanted, options))));
      const named = problems.map((problem) => `${action} killed ${when} write ${nth}: ${problem}`);
      named.forEach(say);
      found.push(...named);
    }
  }
  say(`killed at ${kills} writes; ${apart} times the Services were apart`);
  return { found, apart, kills };
}
