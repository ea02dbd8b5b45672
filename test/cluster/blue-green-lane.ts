// A lane whose application has two colours: blue-green-switch, and rollback.

import type { StepOptions, StepResult } from '../support/runner.ts';
import type { Deed } from './adversity.ts';
import { type Ground, imageOf, versionOf } from './ground.ts';
import { app, type Lane, openLane, serviceTo, type State, unsettled } from './lane.ts';

export interface Sight extends State {
  /** The Service's colour, and what its Deployment says. */
  serving: { slot: string; version: string; wanted: number; ready: number };
  /** The other colour. */
  other: { slot: string; version: string; wanted: number };
  /** Pods behind the Service that are ready. */
  endpoints: string[];
}

interface Deployment {
  spec: {
    replicas: number;
    template: { metadata: { labels: Record<string, string> }; spec: { containers: { image: string }[] } };
  };
  status?: { readyReplicas?: number };
}

/** Its pods' template is the same for both colours but for the label. */
function colour(slot: string, ground: Ground, replicas: number): object {
  const labels = { app, version: slot };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: `${app}-${slot}`, labels },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: ground.template(labels, 'v0'),
    },
  };
}

/** `shop-blue` with a pod, `shop-green` without, and the Service `shop` that leads to blue. */
export function twoColours(ground: Ground): object[] {
  return [colour('blue', ground, 1), colour('green', ground, 0), serviceTo(ground, { app, version: 'blue' })];
}

/** Inputs of blue-green-switch to the version; of rollback without one. */
export const inputsTo = (version?: string): Record<string, string> => ({
  platform: 'kubernetes',
  service: app,
  watch: '0s',
  // Nothing is in flight to a stand-in.
  'drain-timeout': '1s',
  ...(version === undefined ? {} : { image: imageOf(version) }),
});

export const release = (lane: Lane, version: string, options?: StepOptions): Promise<StepResult> =>
  lane.step('blue-green-switch', inputsTo(version), options);

/** Opens it with one version before the one that serves, so that there is something to go back to. */
export async function openBlueGreenLane(ground: Ground): Promise<Lane> {
  const lane = await openLane(ground, {
    role: 'kubernetes-blue-green',
    objects: twoColours(ground),
    ready: `${app}-blue`,
  });
  for (let i = 0; i < 2; i += 1) {
    const step = await release(lane, lane.fresh());
    if (step.exitCode !== 0) throw new Error(`the lane cannot be made:\n${step.log}`);
  }
  return lane;
}

export async function look(lane: Lane): Promise<Sight> {
  const [service, list, state] = await Promise.all([
    lane.read<{ spec: { selector: { version: string } } }>(`services/${app}`),
    lane.read<{ items: Deployment[] }>('deployments'),
    lane.state(),
  ]);
  const slots = list.items.map(({ spec, status }) => ({
    slot: spec.template.metadata.labels['version'] ?? '',
    version: versionOf(spec.template.spec.containers[0]?.image),
    wanted: spec.replicas,
    ready: status?.readyReplicas ?? 0,
  }));
  const colourOf = service.spec.selector.version;
  const serving = slots.find(({ slot }) => slot === colourOf);
  const other = slots.find(({ slot }) => slot !== colourOf);
  if (serving === undefined || other === undefined) throw new Error('there are no two colours');
  return { ...state, serving, other, endpoints: lane.endpoints.ready() };
}

/** Everything that is not as it is in the good state in which one of the versions serves. */
export function problemsOf(sight: Sight, wanted: readonly string[]): string[] {
  const { serving, endpoints } = sight;
  const problems: string[] = [];
  if (!wanted.includes(serving.version))
    problems.push(`${serving.version} serves, not ${wanted.join(' or ')}`);
  if (serving.wanted < 1 || serving.ready !== serving.wanted)
    problems.push(`${serving.ready} of ${serving.wanted} pods of ${serving.slot} are ready`);
  const strangers = endpoints.filter((pod) => !pod.startsWith(`${app}-${serving.slot}-`));
  if (strangers.length > 0) problems.push(`the Service still leads to ${strangers.join(', ')}`);
  return [...problems, ...unsettled(sight, serving.version)];
}

const problems: Deed['problems'] = async (lane, wanted) => problemsOf(await look(lane), wanted);

export const aSwitch: Deed = {
  name: 'switch',
  action: 'blue-green-switch',
  begin: async (lane) => ({ old: (await look(lane)).serving.version, version: lane.fresh() }),
  inputs: (_lane, version) => inputsTo(version),
  problems,
};

export const aRollback: Deed = {
  name: 'rollback',
  action: 'rollback',
  async begin(lane) {
    const { serving } = await look(lane);
    const bad = lane.fresh();
    const step = await release(lane, bad);
    if (step.exitCode !== 0) throw new Error(`the release before it failed: ${step.log}`);
    return { old: bad, version: serving.version };
  },
  inputs: () => inputsTo(),
  problems,
  isOver: async (lane, version) => {
    const { history, serving } = await look(lane);
    return serving.version === version && history.at(-1)?.version === version;
  },
};

/** To a version that is named: where it served before, nothing has to be released first. */
export const aReturn: Deed = {
  name: 'rollback to a version',
  action: 'rollback',
  async begin(lane) {
    const { serving, other, history } = await look(lane);
    const hasServed = history.some(
      ({ version, result }) => version === other.version && result === 'serving',
    );
    return hasServed ? { old: serving.version, version: other.version } : aRollback.begin(lane);
  },
  inputs: (_lane, version) => ({ ...inputsTo(), version }),
  problems,
};
