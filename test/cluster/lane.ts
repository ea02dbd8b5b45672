// A namespace with one application, released by the built actions through a proxy that misbehaves as told. Cases
// follow each other on it (adversity.ts), each from the good state that the one before has to leave. What there is, is told by the
// API server, without a line of the product's.

import { setTimeout as delay } from 'node:timers/promises';
import { isRecord } from '@deploy-actions/core';
import {
  createJob,
  type Job,
  type RunningStep,
  type StepOptions,
  type StepResult,
} from '../support/runner.ts';
import { get } from './api.ts';
import { type ApiProxy, startApiProxy } from './api-proxy.ts';
import { type EndpointWatch, watchEndpoints } from './endpoint-watch.ts';
import type { Ground } from './ground.ts';
import { openStage, type Stage } from './stage.ts';

/** Of every lane, with the Service of the same name. */
export const app = 'shop';
export interface Lane {
  readonly ground: Ground;
  readonly stage: Stage;
  readonly proxy: ApiProxy;
  readonly endpoints: EndpointWatch;
  readonly job: Job;
  /** A version that was never released. */
  fresh(): string;
  /** A step of a run of its own. */
  start(action: string, inputs: Record<string, string>, options?: StepOptions): Promise<RunningStep>;
  step(action: string, inputs: Record<string, string>, options?: StepOptions): Promise<StepResult>;
  /** Of the namespace: `services/shop`, `deployments`. */
  read<T>(path: string): Promise<T>;
  state(): Promise<State>;
  end(): Promise<void>;
}

/** What the suite keeps in the namespace. */
export interface State {
  /** Of the journal; null where there is none. */
  phase: string | null;
  history: { version: string; result: string }[];
  /** The record of deploy-manifests: `applied`; null where there is none. */
  applied: string | null;
  /** Who the Lease says holds it. */
  holder: string | null;
}

const groups: Record<string, string> = {
  deployments: '/apis/apps/v1',
  statefulsets: '/apis/apps/v1',
  replicasets: '/apis/apps/v1',
  leases: '/apis/coordination.k8s.io/v1',
};

export function serviceTo(ground: Ground, selector: Record<string, string>): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: app },
    spec: { selector, ports: [{ port: 80, targetPort: ground.port }] },
  };
}

/** Opens it with these objects once the Deployment `ready` of them is rolled out; `role` is that of an example. */
export async function openLane(
  ground: Ground,
  { role, objects, ready }: { role: string; objects: readonly object[]; ready: string },
): Promise<Lane> {
  const stage = await openStage(role);
  const proxy = await startApiProxy(stage.releaser.access);
  const job = await createJob({ env: { KUBECONFIG: proxy.kubeconfig } });
  let versions = 0;
  let runs = 0;
  await stage.apply(...objects);
  await stage.rolledOut(ready);
  const endpoints = await watchEndpoints(stage.access, stage.name, app);

  const start: Lane['start'] = (action, inputs, options = {}) =>
    job.start(action, inputs, { ...options, env: { GITHUB_RUN_ID: String((runs += 1)), ...options.env } });
  const read = async <T>(path: string): Promise<T> => {
    const group = groups[path.replace(/[/?].*$/, '')] ?? '/api/v1';
    return (await get(stage.access, `${group}/namespaces/${stage.name}/${path}`)) as T;
  };

  return {
    ground,
    stage,
    proxy,
    endpoints,
    job,
    fresh: () => `v${(versions += 1)}`,
    start,
    step: async (action, inputs, options) => (await start(action, inputs, options)).done,
    read,
    async state() {
      const [configMaps, leases] = await Promise.all([
        read<{ items: { metadata: { name: string }; data?: Record<string, string> }[] }>('configmaps'),
        read<{ items: { spec?: { holderIdentity?: string | null } }[] }>('leases'),
      ]);
      const documentOf = (key: string): Record<string, unknown> => {
        const found = configMaps.items.find(({ metadata }) => metadata.name.endsWith(`.${key}`));
        const stored: unknown = JSON.parse(found?.data?.['document'] ?? '{}');
        return isRecord(stored) && isRecord(stored['value']) ? stored['value'] : {};
      };
      const { entries = [] } = documentOf('history') as {
        entries?: { release: { version: string }; result: string }[];
      };
      const { phase = null } = documentOf('journal') as { phase?: string };
      const { record } = documentOf('manifests') as { record?: { phase: string } };
      return {
        phase,
        history: entries.map(({ release, result }) => ({ version: release.version, result })),
        applied: record?.phase ?? null,
        holder:
          leases.items.find(({ spec }) => typeof spec?.holderIdentity === 'string')?.spec?.holderIdentity ??
          null,
      };
    },
    async end() {
      endpoints.stop();
      await job.end();
      await proxy.stop();
      await stage.end();
    },
  };
}

/**
 * The problems that are there still when controllers and watches, which tell of the pods a moment later, have had their time. Nothing
 * that a step leaves wrong becomes right by itself.
 */
export async function lasting(problems: () => Promise<string[]>, timeoutMs = 30_000): Promise<string[]> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = await problems();
    if (found.length === 0 || performance.now() > end) return found;
    await delay(100);
  }
}

/** What of the state is not as it is when a release has come to its end, with this version serving. */
export function unsettled({ phase, history, holder }: State, serving: string): string[] {
  const problems: string[] = [];
  if (phase !== null && phase !== 'finished' && phase !== 'reverted')
    problems.push(`the journal is unfinished: ${phase}`);
  const newest = history.findLast(({ result }) => result === 'serving');
  if (newest?.version !== serving) problems.push(`${serving} serves, the history says ${newest?.version}`);
  if (holder !== null) problems.push(`${holder} holds the lease`);
  return problems;
}
