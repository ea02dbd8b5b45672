// A lane whose application is one workload: rolling-update, and rollback by the templates that the cluster keeps.

import type { Deed } from './adversity.ts';
import { ask, until } from './api.ts';
import { type Ground, imageOf, versionOf } from './ground.ts';
import { app, type Lane, openLane, serviceTo, unsettled } from './lane.ts';

interface Workload {
  metadata: { uid: string; generation: number; annotations?: Record<string, string> };
  spec: {
    replicas: number;
    minReadySeconds?: number;
    template: { spec: { containers: { image: string; lifecycle?: object }[] } };
  };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    availableReplicas?: number;
  };
}

interface Pod {
  metadata: {
    name: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
  };
  spec: { containers: { image: string }[] };
}

const deployment = `deployments/${app}`;
const workload = `deployment/${app}`;
const labels = { app };
const replicas = 2;

/** Every pod is of the newest template and ready, and there is no other. */
function isRolledOut({ metadata, spec, status }: Workload): boolean {
  const { observedGeneration, ...counts } = status ?? {};
  return (
    observedGeneration === metadata.generation &&
    [counts.replicas, counts.updatedReplicas, counts.readyReplicas, counts.availableReplicas].every(
      (count) => count === spec.replicas,
    )
  );
}

export function openRollingLane(ground: Ground): Promise<Lane> {
  const template = ground.template(labels, 'v0');
  return openLane(ground, {
    role: 'kubernetes-rolling',
    objects: [
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: app, labels },
        spec: { replicas, selector: { matchLabels: labels }, template },
      },
      serviceTo(ground, labels),
    ],
    ready: app,
  });
}

const present = (lane: Lane): Promise<Workload> => lane.read<Workload>(deployment);
const servingOf = ({ spec }: Workload): string => versionOf(spec.template.spec.containers[0]?.image);

const pathOf = (namespace: string): string => `/apis/apps/v1/namespaces/${namespace}/deployments`;

function settled({ stage }: Lane): Promise<Workload> {
  const path = `${pathOf(stage.name)}?fieldSelector=metadata.name%3D${app}`;
  return until<Workload>(stage.access, path, isRolledOut);
}

/** Takes the preStop hook away that an update gave: its pods have to be handed over the next time. */
async function withoutHook(lane: Lane): Promise<void> {
  const { access, name } = lane.stage;
  const { spec } = (await present(lane)).spec.template;
  const containers = spec.containers.map((container) => {
    const { lifecycle: _, ...rest } = container;
    return rest;
  });
  const patch = { spec: { template: { spec: { containers, terminationGracePeriodSeconds: null } } } };
  const { status, body } = await ask(access, 'PATCH', `${pathOf(name)}/${app}`, patch, {
    type: 'application/merge-patch+json',
  });
  if (status >= 300) throw new Error(`the hook cannot be taken away: ${JSON.stringify(body)}`);
  await settled(lane);
}

async function problems(lane: Lane, wanted: readonly string[]): Promise<string[]> {
  const [now, sets, pods, state] = await Promise.all([
    present(lane),
    lane.read<{ items: { metadata: { name: string }; spec: { replicas: number } }[] }>('replicasets'),
    lane.read<{ items: Pod[] }>('pods'),
    lane.state(),
  ]);
  const serving = servingOf(now);
  const found: string[] = [];
  if (!wanted.includes(serving)) found.push(`${serving} serves, not ${wanted.join(' or ')}`);
  if (!isRolledOut(now)) found.push(`it is not rolled out: ${JSON.stringify(now.status)}`);
  if (now.spec.replicas !== replicas) found.push(`${now.spec.replicas} replicas are wanted`);
  if ((now.spec.minReadySeconds ?? 0) !== 0) found.push(`minReadySeconds is ${now.spec.minReadySeconds}`);
  const held = now.metadata.annotations?.['deploy-actions.dev/min-ready-seconds'];
  if (held !== undefined) found.push('the note of what minReadySeconds was is still there');
  const sized = sets.items.filter(({ spec }) => spec.replicas > 0).map(({ metadata }) => metadata.name);
  if (sized.length !== 1) found.push(`ReplicaSets with pods are ${sized.join(', ')}`);
  const staying = pods.items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const strangers = staying.filter(({ metadata }) => !metadata.name.startsWith(`${sized[0]}-`));
  if (strangers.length > 0)
    found.push(`pods are left: ${strangers.map(({ metadata }) => metadata.name).join(', ')}`);
  const behind = lane.endpoints.ready().filter((pod) => !pod.startsWith(`${sized[0]}-`));
  if (behind.length > 0) found.push(`the Service still leads to ${behind.join(', ')}`);
  return [...found, ...unsettled(state, serving)];
}

export const updateTo = (version: string): Record<string, string> => ({
  workload,
  image: imageOf(version),
  'drain-seconds': '1',
  watch: '0s',
});
const back = { workload, platform: 'kubernetes' };

/** Of pods without a preStop hook, which are handed over. */
export const anUpdate: Deed = {
  name: 'rolling update',
  action: 'rolling-update',
  async begin(lane) {
    await withoutHook(lane);
    return { old: servingOf(await present(lane)), version: lane.fresh() };
  },
  inputs: (_lane, version) => updateTo(version),
  problems,
};

export const aWayBack: Deed = {
  name: 'rollback of a rolling update',
  action: 'rollback',
  async begin(lane) {
    const version = servingOf(await present(lane));
    const bad = lane.fresh();
    const step = await lane.step('rolling-update', updateTo(bad));
    if (step.exitCode !== 0) throw new Error(`the update before it failed: ${step.log}`);
    return { old: bad, version };
  },
  inputs: () => back,
  problems,
  isOver: async (lane, version) => {
    const [now, { history }] = await Promise.all([present(lane), lane.state()]);
    return servingOf(now) === version && history.at(-1)?.version === version;
  },
};

/** To a version that is named: where it ran before, nothing has to be released first. */
export const aNamedWayBack: Deed = {
  name: 'rollback of a rolling update to a version',
  action: 'rollback',
  async begin(lane) {
    const [now, { history }] = await Promise.all([present(lane), lane.state()]);
    const old = servingOf(now);
    const before = history.findLast(({ version, result }) => version !== old && result === 'serving');
    return before === undefined ? aWayBack.begin(lane) : { old, version: before.version };
  },
  inputs: (_lane, version) => ({ ...back, version }),
  problems,
};
