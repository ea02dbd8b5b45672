// Several Services in two colours on stand-in pods, with workers and a scheduler where asked for, released as one by the built
// actions through a proxy that misbehaves as told. As lane.ts, which has one Service.

import { isRecord } from '@deploy-actions/core';
import { createJob, type Job, type StepOptions, type StepResult } from '../support/runner.ts';
import { get } from './api.ts';
import { type ApiProxy, killProcess, type Mutation, onMutation, startApiProxy } from './api-proxy.ts';
import { type EndpointWatch, watchEndpoints } from './endpoint-watch.ts';
import { openStage, type Stage } from './stage.ts';
import type { StandIn } from './stand-in.ts';

export const colours = ['blue', 'green'] as const;
export const services = ['backend', 'realtime'] as const;

interface Deployment {
  metadata: { name: string };
  spec: {
    replicas: number;
    template: { metadata: { labels: Record<string, string> }; spec: { containers: { image: string }[] } };
  };
  status?: { readyReplicas?: number };
}

/** What there is, as the API server says, without a line of the product's. */
export interface UnitSight {
  /** The colour that each Service sends to. */
  serving: Record<string, string>;
  /** By the name of the Deployment. */
  deployments: Record<string, { version: string; wanted: number; ready: number }>;
  phase: string | null;
  history: { version: string; result: string }[];
  holder: string | null;
}

export interface UnitLane {
  readonly stage: Stage;
  readonly proxy: ApiProxy;
  readonly endpoints: Record<string, EndpointWatch>;
  readonly job: Job;
  fresh(): string;
  inputs(version?: string): Record<string, string>;
  release(version: string, options?: StepOptions): Promise<StepResult>;
  rollback(options?: StepOptions): Promise<StepResult>;
  look(): Promise<UnitSight>;
  end(): Promise<void>;
}

export interface UnitLaneOptions {
  workers?: string[];
  schedulers?: string[];
  /** Inputs beside those of every run. */
  inputs?: Record<string, string>;
}

function coloured(
  name: string,
  slot: string,
  standIn: StandIn,
  replicas: number,
  isServing: boolean,
): object {
  const labels = { app: name, version: slot };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `${name}-${slot}`, labels },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      ...(isServing ? {} : { strategy: { type: 'Recreate' } }),
      template: {
        metadata: { labels },
        spec: {
          nodeName: standIn.nodeName,
          terminationGracePeriodSeconds: 600,
          containers: [
            {
              name: 'server',
              image: `acme/unit-${isServing ? name : 'backend'}:v0`,
              ...(isServing ? { ports: [{ containerPort: standIn.port }] } : {}),
            },
          ],
        },
      },
    },
  };
}

const serviceOf = (name: string, standIn: StandIn): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name, version: 'blue' }, ports: [{ port: 80, targetPort: standIn.port }] },
});

/** Opens it with one version before the one that serves, so that there is something to go back to. */
export async function openUnitLane(standIn: StandIn, options: UnitLaneOptions = {}): Promise<UnitLane> {
  const { workers = [], schedulers = [] } = options;
  const stage = await openStage();
  const proxy = await startApiProxy(stage.releaser.access);
  const job = await createJob({ env: { KUBECONFIG: proxy.kubeconfig } });
  let versions = 0;
  let runs = 0;
  const fresh = (): string => `v${(versions += 1)}`;
  const read = (group: string, rest: string): Promise<unknown> =>
    get(stage.access, `${group}/namespaces/${stage.name}/${rest}`);

  const all = [...services, ...workers, ...schedulers];
  await stage.apply(
    ...all.flatMap((name) =>
      colours.map((slot) =>
        coloured(
          name,
          slot,
          standIn,
          slot === 'blue' ? 1 : 0,
          !workers.includes(name) && !schedulers.includes(name),
        ),
      ),
    ),
    ...services.map((name) => serviceOf(name, standIn)),
  );
  for (const name of all) await stage.rolledOut(`${name}-blue`);
  const endpoints = Object.fromEntries(
    await Promise.all(
      services.map(async (name) => [name, await watchEndpoints(stage.access, stage.name, name)] as const),
    ),
  );

  const inputs = (version?: string): Record<string, string> => ({
    platform: 'kubernetes',
    service: services.join(','),
    ...(workers.length === 0 ? {} : { workers: workers.join(',') }),
    ...(schedulers.length === 0 ? {} : { scheduler: schedulers.join(',') }),
    watch: '0s',
    // Nothing is in flight to a stand-in.
    'drain-timeout': '1s',
    ...(version === undefined
      ? {}
      : { image: services.map((name) => `acme/unit-${name}:${version}`).join(',') }),
    ...options.inputs,
  });
  const ofRun = (of: StepOptions): StepOptions => ({
    ...of,
    env: { GITHUB_RUN_ID: String((runs += 1)), ...of.env },
  });

  const lane: UnitLane = {
    stage,
    proxy,
    endpoints,
    job,
    fresh,
    inputs,
    release: (version, of = {}) => job.step('blue-green-switch', inputs(version), ofRun(of)),
    rollback: (of = {}) => job.step('rollback', inputs(), ofRun(of)),
    async look() {
      const [listed, list, configMaps, leases] = (await Promise.all([
        read('/api/v1', 'services'),
        read('/apis/apps/v1', 'deployments'),
        read('/api/v1', 'configmaps'),
        read('/apis/coordination.k8s.io/v1', 'leases'),
      ])) as [
        { items: { metadata: { name: string }; spec: { selector: { version: string } } }[] },
        { items: Deployment[] },
        { items: { metadata: { name: string }; data?: Record<string, string> }[] },
        { items: { spec?: { holderIdentity?: string | null } }[] },
      ];
      const documentOf = (key: string): unknown => {
        const found = configMaps.items.find(({ metadata }) => metadata.name.endsWith(`.${key}`));
        const stored: unknown = JSON.parse(found?.data?.['document'] ?? '{}');
        return isRecord(stored) ? stored['value'] : null;
      };
      const journal = documentOf('journal');
      const history = documentOf('history') as {
        entries?: { release: { version: string }; result: string }[];
      } | null;
      return {
        serving: Object.fromEntries(
          listed.items.map(({ metadata, spec }) => [metadata.name, spec.selector.version]),
        ),
        deployments: Object.fromEntries(
          list.items.map(({ metadata, spec, status }) => [
            metadata.name,
            {
              version: (spec.template.spec.containers[0]?.image ?? '').replace(/^.*:/, ''),
              wanted: spec.replicas,
              ready: status?.readyReplicas ?? 0,
            },
          ]),
        ),
        phase: isRecord(journal) ? String(journal['phase']) : null,
        history: (history?.entries ?? []).map(({ release, result }) => ({
          version: release.version,
          result,
        })),
        holder: leases.items[0]?.spec?.holderIdentity ?? null,
      };
    },
    async end() {
      for (const watch of Object.values(endpoints)) watch.stop();
      await job.end();
      await proxy.stop();
      await stage.end();
    },
  };
  for (let i = 0; i < 2; i += 1) {
    const step = await lane.release(fresh());
    if (step.exitCode !== 0) throw new Error(`the lane cannot be made:\n${step.log}`);
  }
  return lane;
}

/** Everything that is not as it is in the good state in which one of the versions serves, with all that belongs to it. */
export function problemsOfUnit(
  sight: UnitSight,
  wanted: readonly string[],
  { workers = [], schedulers = [] }: UnitLaneOptions = {},
): string[] {
  const { serving, deployments, phase, history, holder } = sight;
  const problems: string[] = [];
  const slots = new Set(Object.values(serving));
  if (slots.size !== 1) problems.push(`the Services are apart: ${JSON.stringify(serving)}`);
  const [slot = ''] = slots;
  const other = colours.find((one) => one !== slot) ?? '';
  const of = (name: string, colour: string) => deployments[`${name}-${colour}`];
  const versions = new Set(
    [...services, ...workers, ...schedulers].map((name) => of(name, slot)?.version ?? ''),
  );
  const [version = ''] = versions;
  if (versions.size !== 1 || !wanted.includes(version))
    problems.push(`${[...versions].join(' and ')} serve, not ${wanted.join(' or ')}`);
  for (const name of [...services, ...workers, ...schedulers]) {
    const there = of(name, slot);
    if (there === undefined || there.wanted < 1 || there.ready !== there.wanted)
      problems.push(`${there?.ready} of ${there?.wanted} pods of ${name}-${slot} are ready`);
  }
  for (const name of [...workers, ...schedulers]) {
    const left = of(name, other);
    if (left?.wanted !== 0) problems.push(`${name}-${other} still has ${left?.wanted} replicas`);
  }
  if (phase !== null && phase !== 'finished' && phase !== 'reverted')
    problems.push(`the journal is unfinished: ${phase}`);
  const newest = history.findLast(({ result }) => result === 'serving');
  if (newest?.version !== version) problems.push(`${version} serves, the history says ${newest?.version}`);
  if (holder !== null) problems.push(`${holder} holds the lease`);
  return problems;
}

/** `CHAOS=all`: at every write; otherwise at those that are chosen and some of the others. */
const isExhaustive = process.env['CHAOS'] === 'all';
const others = 6;
const say = (line: string): void => void process.stderr.write(`${line}\n`);

/**
 * Kills a release, and then a rollback, at one write after the other, each time followed by a run that is not killed: by turns
 * of the same version and of another. Resolves to all that is not as it has to be then, and to how often a kill left the
 * Services apart.
 */
export async function killAtWrites(
  lane: UnitLane,
  choose: (write: Mutation) => boolean,
  options: UnitLaneOptions = {},
): Promise<{ found: string[]; apart: number }> {
  const chosen = async (work: () => Promise<StepResult>): Promise<number[]> => {
    const before = lane.proxy.mutations().length;
    const { exitCode, log } = await work();
    if (exitCode !== 0) throw new Error(log);
    return lane.proxy
      .mutations()
      .slice(before)
      .flatMap((write, index) => (isExhaustive || choose(write) || index % others === 0 ? [index + 1] : []));
  };
  const writes = {
    release: await chosen(() => lane.release(lane.fresh())),
    rollback: await chosen(() => lane.rollback()),
  };
  const found: string[] = [];
  let apart = 0;
  for (const action of ['release', 'rollback'] as const) {
    for (const [index, nth] of writes[action].entries()) {
      const when = index % 2 === 0 ? 'before' : 'after';
      const problems: string[] = [];
      if (action === 'rollback') {
        const step = await lane.release(lane.fresh());
        if (step.exitCode !== 0) problems.push(`the release before it failed: ${step.log}`);
      }
      const version = lane.fresh();
      lane.proxy.program([onMutation({ kind: 'kill', when, kill: () => killProcess(running.pid) }, nth)]);
      const running = await (action === 'release'
        ? lane.job.start('blue-green-switch', lane.inputs(version))
        : lane.job.start('rollback', lane.inputs()));
      const killed = await running.done;
      lane.proxy.program([]);
      if (killed.signal !== 'SIGKILL') problems.push('it was not reached');
      if (new Set(Object.values((await lane.look()).serving)).size > 1) apart += 1;
      const next = action === 'release' && index % 3 === 0 ? lane.fresh() : version;
      const again = await (action === 'release' ? lane.release(next) : lane.rollback());
      if (again.exitCode !== 0) problems.push(`the run after it: ${again.log}`);
      const wanted = action === 'release' ? [next] : [again.outputs['version'] ?? ''];
      problems.push(...problemsOfUnit(await lane.look(), wanted, options));
      const named = problems.map((problem) => `${action} killed ${when} write ${nth}: ${problem}`);
      named.forEach(say);
      found.push(...named);
    }
  }
  say(
    `killed at ${writes.release.length + writes.rollback.length} writes; ${apart} times the Services were apart`,
  );
  return { found, apart };
}
