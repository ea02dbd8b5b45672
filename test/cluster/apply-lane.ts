// A lane whose application is a set of manifests: deploy-manifests. With each version of it, a Deployment and a ConfigMap are
// changed, a ConfigMap is made, and the one that the version before had is pruned.

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Deed } from './adversity.ts';
import { type Ground, versionOf } from './ground.ts';
import { app, type Lane, openLane, serviceTo } from './lane.ts';

const labels = { app };
const replicas = 2;

const configMap = (name: string, version: string): object => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, labels },
  data: { version },
});

function manifestsOf(ground: Ground, version: string): object[] {
  return [
    configMap('settings', version),
    configMap(`only-${version}`, version),
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: app, labels },
      spec: { replicas, selector: { matchLabels: labels }, template: ground.template(labels, version) },
    },
    serviceTo(ground, labels),
  ];
}

const inputs = (version: string): Record<string, string> => ({
  manifests: `k8s-${version}`,
  prune: `app=${app}`,
  'prune-kinds': 'ConfigMap',
});

/** Writes the manifests of a version for the steps of the lane's job. */
async function provide(lane: Lane, version: string): Promise<void> {
  const folder = join(lane.job.workspace, `k8s-${version}`);
  await mkdir(folder);
  for (const [index, one] of manifestsOf(lane.ground, version).entries())
    await writeFile(join(folder, `${index}.json`), JSON.stringify(one));
}

/** Opens it with one version that was applied by the action: what others applied is not pruned. */
export async function openApplyLane(ground: Ground): Promise<Lane> {
  const [, , deployment, service] = manifestsOf(ground, 'v0');
  if (deployment === undefined || service === undefined) throw new Error('there are no manifests');
  const lane = await openLane(ground, {
    role: 'kubernetes-manifests',
    objects: [deployment, service],
    ready: app,
  });
  const version = lane.fresh();
  await provide(lane, version);
  const step = await lane.step('deploy-manifests', { ...inputs(version), 'force-conflicts': 'true' });
  if (step.exitCode !== 0) throw new Error(`the lane cannot be made:\n${step.log}`);
  return lane;
}

interface ConfigMap {
  metadata: { name: string; labels?: Record<string, string> };
  data?: Record<string, string>;
}

const settingsOf = async (lane: Lane): Promise<string> =>
  (await lane.read<ConfigMap>('configmaps/settings')).data?.['version'] ?? '';

export const anApply: Deed = {
  name: 'apply',
  action: 'deploy-manifests',
  async begin(lane) {
    const old = await settingsOf(lane);
    const version = lane.fresh();
    await provide(lane, version);
    await rm(join(lane.job.workspace, `k8s-${old}`), { recursive: true, force: true });
    return { old, version };
  },
  inputs: (_lane, version) => inputs(version),
  async problems(lane, wanted) {
    const [deployment, maps, state] = await Promise.all([
      lane.read<{
        metadata: { generation: number };
        spec: { template: { spec: { containers: { image: string }[] } } };
        status?: { observedGeneration?: number; updatedReplicas?: number; readyReplicas?: number };
      }>(`deployments/${app}`),
      lane.read<{ items: ConfigMap[] }>(`configmaps?labelSelector=app%3D${app}`),
      lane.state(),
    ]);
    const found: string[] = [];
    const { status = {} } = deployment;
    const running = versionOf(deployment.spec.template.spec.containers[0]?.image);
    if (!wanted.includes(running)) found.push(`${running} serves, not ${wanted.join(' or ')}`);
    if (status.observedGeneration !== deployment.metadata.generation || status.updatedReplicas !== replicas)
      found.push(`it is not rolled out: ${JSON.stringify(status)}`);
    const names = maps.items
      .map(({ metadata, data }) => `${metadata.name} of ${data?.['version']}`)
      .toSorted();
    const whole = [`only-${running} of ${running}`, `settings of ${running}`];
    if (names.join() !== whole.join()) found.push(`ConfigMaps are ${names.join(', ')}`);
    if (state.applied !== 'applied') found.push(`the record says ${state.applied}`);
    if (state.holder !== null) found.push(`${state.holder} holds the lease`);
    return found;
  },
};
