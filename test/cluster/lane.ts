// One application in two colours on stand-in pods, released by the built actions through a proxy that misbehaves as told. Cases
// follow each other on it, each from the good state that the one before has to leave.

import { isRecord } from '@deploy-actions/core';
import { createJob, type Job, type StepOptions, type StepResult } from '../support/runner.ts';
import { get } from './api.ts';
import { type ApiProxy, startApiProxy } from './api-proxy.ts';
import { type EndpointWatch, watchEndpoints } from './endpoint-watch.ts';
import { openStage, type Stage } from './stage.ts';
import type { StandIn } from './stand-in.ts';

const app = 'shop';
const repository = 'acme/lane';

/** What there is, as the API server says, without a line of the product's. */
export interface Sight {
  /** The Service's colour, and what its Deployment says. */
  serving: { slot: string; version: string; wanted: number; ready: number };
  /** The other colour. */
  other: { slot: string; version: string; wanted: number };
  /** Pods behind the Service that are ready. */
  endpoints: string[];
  /** Of the journal; null where there is none. */
  phase: string | null;
  history: { version: string; result: string }[];
  /** Who the Lease says holds it. */
  holder: string | null;
}

export interface Lane {
  readonly stage: Stage;
  readonly proxy: ApiProxy;
  readonly endpoints: EndpointWatch;
  readonly job: Job;
  /** A version that was never released. */
  fresh(): string;
  /** Inputs of blue-green-switch to the version; of rollback without one. */
  inputs(version?: string): Record<string, string>;
  release(version: string, options?: StepOptions): Promise<StepResult>;
  rollback(options?: StepOptions): Promise<StepResult>;
  look(): Promise<Sight>;
  end(): Promise<void>;
}

interface Deployment {
  spec: {
    replicas: number;
    template: { metadata: { labels: Record<string, string> }; spec: { containers: { image: string }[] } };
  };
  status?: { readyReplicas?: number };
}

/** Its pods' template is the same for both colours but for the label. */
function colour(slot: string, standIn: StandIn, replicas: number): object {
  const labels = { app, version: slot };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `${app}-${slot}`, labels },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          nodeName: standIn.nodeName,
          containers: [
            { name: 'server', image: `${repository}:v0`, ports: [{ containerPort: standIn.port }] },
          ],
        },
      },
    },
  };
}

/** `shop-blue` with a pod, `shop-green` without, and the Service `shop` that leads to blue. */
export function twoColours(standIn: StandIn): object[] {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: app },
    spec: { selector: { app, version: 'blue' }, ports: [{ port: 80, targetPort: standIn.port }] },
  };
  return [colour('blue', standIn, 1), colour('green', standIn, 0), service];
}

/** Opens it with one version before the one that serves, so that there is something to go back to. */
export async function openLane(standIn: StandIn): Promise<Lane> {
  const stage = await openStage();
  const proxy = await startApiProxy(stage.releaser.access);
  const job = await createJob({ env: { KUBECONFIG: proxy.kubeconfig } });
  let versions = 0;
  let runs = 0;
  const fresh = (): string => `v${(versions += 1)}`;
  const read = (group: string, rest: string): Promise<unknown> =>
    get(stage.access, `${group}/namespaces/${stage.name}/${rest}`);

  await stage.apply(...twoColours(standIn));
  await stage.rolledOut(`${app}-blue`);
  const endpoints = await watchEndpoints(stage.access, stage.name, app);

  const inputs = (version?: string): Record<string, string> => ({
    platform: 'kubernetes',
    service: app,
    watch: '0s',
    // Nothing is in flight to a stand-in.
    'drain-timeout': '1s',
    ...(version === undefined ? {} : { image: `${repository}:${version}` }),
  });
  const ofRun = (options: StepOptions): StepOptions => ({
    ...options,
    env: { GITHUB_RUN_ID: String((runs += 1)), ...options.env },
  });

  const lane: Lane = {
    stage,
    proxy,
    endpoints,
    job,
    fresh,
    inputs,
    release: (version, options = {}) => job.step('blue-green-switch', inputs(version), ofRun(options)),
    rollback: (options = {}) => job.step('rollback', inputs(), ofRun(options)),
    async look() {
      const [service, list, configMaps, leases] = (await Promise.all([
        read('/api/v1', `services/${app}`),
        read('/apis/apps/v1', 'deployments'),
        read('/api/v1', 'configmaps'),
        read('/apis/coordination.k8s.io/v1', 'leases'),
      ])) as [
        { spec: { selector: { version: string } } },
        { items: Deployment[] },
        { items: { metadata: { name: string }; data?: Record<string, string> }[] },
        { items: { spec?: { holderIdentity?: string | null } }[] },
      ];
      const documentOf = (key: string): unknown => {
        const found = configMaps.items.find(({ metadata }) => metadata.name.endsWith(`.${key}`));
        const stored: unknown = JSON.parse(found?.data?.['document'] ?? '{}');
        return isRecord(stored) ? stored['value'] : null;
      };
      const slots = list.items.map(({ spec, status }) => ({
        slot: spec.template.metadata.labels['version'] ?? '',
        version: (spec.template.spec.containers[0]?.image ?? '').replace(/^.*:/, ''),
        wanted: spec.replicas,
        ready: status?.readyReplicas ?? 0,
      }));
      const colourOf = service.spec.selector.version;
      const [serving, other] = [
        slots.find(({ slot }) => slot === colourOf),
        slots.find(({ slot }) => slot !== colourOf),
      ];
      if (serving === undefined || other === undefined) throw new Error('there are no two colours');
      const journal = documentOf('journal');
      const history = documentOf('history') as {
        entries?: { release: { version: string }; result: string }[];
      } | null;
      return {
        serving,
        other,
        endpoints: endpoints.ready(),
        phase: isRecord(journal) ? String(journal['phase']) : null,
        history: (history?.entries ?? []).map(({ release, result }) => ({
          version: release.version,
          result,
        })),
        holder: leases.items[0]?.spec?.holderIdentity ?? null,
      };
    },
    async end() {
      endpoints.stop();
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

/** Everything that is not as it is in the good state in which one of the versions serves. */
export function problemsOf(sight: Sight, wanted: readonly string[]): string[] {
  const { serving, endpoints, phase, history, holder } = sight;
  const problems: string[] = [];
  if (!wanted.includes(serving.version))
    problems.push(`${serving.version} serves, not ${wanted.join(' or ')}`);
  if (serving.wanted < 1 || serving.ready !== serving.wanted)
    problems.push(`${serving.ready} of ${serving.wanted} pods of ${serving.slot} are ready`);
  const strangers = endpoints.filter((pod) => !pod.startsWith(`${app}-${serving.slot}-`));
  if (strangers.length > 0) problems.push(`the Service still leads to ${strangers.join(', ')}`);
  if (phase !== null && phase !== 'finished' && phase !== 'reverted')
    problems.push(`the journal is unfinished: ${phase}`);
  const newest = history.findLast(({ result }) => result === 'serving');
  if (newest?.version !== serving.version)
    problems.push(`${serving.version} serves, the history says ${newest?.version}`);
  if (holder !== null) problems.push(`${holder} holds the lease`);
  return problems;
}
