// Colours that HorizontalPodAutoscalers scale, with a PodDisruptionBudget on the application, on pods of a stand-in and with the
// real controllers. There is no metrics API here, so no autoscaler ever computes a number from load: what is seen of them is
// that minReplicas and maxReplicas are enforced, and that a Deployment with 0 replicas is left alone.

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createJob, type Job } from '../support/runner.ts';
import { get, watch } from './api.ts';
import { twoColours } from './blue-green-lane.ts';
import { imageOf, onStandIn } from './ground.ts';
import { app } from './lane.ts';
import { type StandIn, startStandIn } from './stand-in.ts';
import { openStage, type Stage } from './stage.ts';

/** Pods that the budget asks for. */
const least = 3;
/** Milliseconds between two looks of the autoscalers' controller, and some more. */
const autoscalerPeriod = 16_000;

let standIn: StandIn;
let stage: Stage;
let job: Job;
/** Ready pods of the application, whatever their colour, at every moment. */
let fewest = Infinity;
let stopWatch: () => void;

interface Pod {
  metadata: { name: string; deletionTimestamp?: string };
  status?: { conditions?: { type: string; status: string }[] };
}

const autoscaler = (colour: string): object => ({
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: `${app}-${colour}` },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: `${app}-${colour}` },
    minReplicas: 2,
    maxReplicas: 6,
    metrics: [
      {
        type: 'Resource',
        resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
      },
    ],
  },
});

beforeAll(async () => {
  standIn = await startStandIn();
  stage = await openStage();
  job = await createJob({ env: { KUBECONFIG: stage.releaser.kubeconfig } });
  await stage.apply(...twoColours(onStandIn(standIn)), {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name: app },
    spec: { minAvailable: least, selector: { matchLabels: { app } } },
  });
  // As an autoscaler did: the manifests say 1.
  await stage.kubectl('scale', `deployment/${app}-blue`, '--replicas=4');
  await stage.rolledOut(`${app}-blue`);
  await stage.apply(autoscaler('blue'), autoscaler('green'));
  const ready = new Set<string>();
  stopWatch = await watch<Pod>(
    stage.access,
    `/api/v1/namespaces/${stage.name}/pods?labelSelector=app%3D${app}`,
    ({ type, object: { metadata, status } }) => {
      const isReady =
        type !== 'DELETED' &&
        metadata.deletionTimestamp === undefined &&
        status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
      if (isReady) ready.add(metadata.name);
      else ready.delete(metadata.name);
      // The list comes one by one.
      if (ready.size >= 4 || fewest < Infinity) fewest = Math.min(fewest, ready.size);
    },
    () => (fewest = -1),
  );
});
afterAll(async () => {
  stopWatch();
  await job.end();
  await stage.end();
  await standIn.stop();
});

interface Autoscaler {
  metadata: { name: string; resourceVersion: string; annotations?: Record<string, string> };
  spec: { minReplicas?: number };
  status?: { conditions?: { type: string; status: string; reason: string }[] };
}

async function autoscalerOf(colour: string): Promise<Autoscaler> {
  const path = `/apis/autoscaling/v2/namespaces/${stage.name}/horizontalpodautoscalers/${app}-${colour}`;
  return (await get(stage.access, path)) as Autoscaler;
}

const replicas = async (colour: string): Promise<number> =>
  Number(await stage.kubectl('get', 'deployment', `${app}-${colour}`, '-o', 'jsonpath={.spec.replicas}'));
const serving = (): Promise<string> =>
  stage.kubectl('get', 'service', app, '-o', 'jsonpath={.spec.selector.version}');

interface Entry {
  revision: number;
  what: string;
  value: unknown;
}

/** The values of a release's objects, in the order in which the cluster wrote them. */
async function recordHistory() {
  const entries: Entry[] = [];
  const add = (metadata: { resourceVersion: string }, what: string, value: unknown): void => {
    entries.push({ revision: Number(metadata.resourceVersion), what, value });
    entries.sort((one, other) => one.revision - other.revision);
  };
  const fail = (cause: unknown): void =>
    void entries.push({ revision: Infinity, what: 'failed', value: cause });
  const path = (api: string, kinds: string, name: string): string =>
    `/${api}/namespaces/${stage.name}/${kinds}?fieldSelector=metadata.name%3D${name}`;
  const stops = await Promise.all([
    watch<Autoscaler>(
      stage.access,
      path('apis/autoscaling/v2', 'horizontalpodautoscalers', `${app}-green`),
      ({ object: { metadata, spec } }) => add(metadata, 'minReplicas of green', spec.minReplicas),
      fail,
    ),
    watch<{ metadata: { resourceVersion: string }; spec: { replicas: number } }>(
      stage.access,
      path('apis/apps/v1', 'deployments', `${app}-green`),
      ({ object: { metadata, spec } }) => add(metadata, 'replicas of green', spec.replicas),
      fail,
    ),
    watch<{ metadata: { resourceVersion: string }; spec: { selector: Record<string, string> } }>(
      stage.access,
      path('api/v1', 'services', app),
      ({ object: { metadata, spec } }) => add(metadata, 'serving', spec.selector['version']),
      fail,
    ),
  ]);
  return {
    stop: () => stops.forEach((stop) => stop()),
    /** Each value that it had, once for as long as it had it. */
    valuesOf: (what: string): unknown[] =>
      entries
        .filter((entry) => entry.what === what)
        .map(({ value }) => value)
        .filter((value, index, all) => index === 0 || value !== all[index - 1]),
    /** The last value of `what` that was written before `event` was first `value`. */
    valueBefore(event: string, value: unknown, what: string): unknown {
      const end = entries.findIndex((entry) => entry.what === event && entry.value === value);
      return entries.slice(0, Math.max(end, 0)).findLast((entry) => entry.what === what)?.value;
    },
  };
}

const release = (version: string, own: Record<string, string> = {}) =>
  job.step('blue-green-switch', {
    platform: 'kubernetes',
    service: app,
    image: imageOf(version),
    watch: '0s',
    'drain-timeout': '1s',
    ...own,
  });

describe('colours that are scaled by themselves', { timeout: 300_000 }, () => {
  it('get as many pods as serve, are not made smaller before the switch, and are let go after it', async () => {
    const history = await recordHistory();
    const step = await release('v1', { watch: '2s' });
    expect(step.exitCode, step.log).toBe(0);
    expect(step.log).toMatch(
      /HorizontalPodAutoscaler shop-green: minReplicas 2 → 4 for the time of the release/,
    );
    await expect.poll(() => history.valuesOf('minReplicas of green')).toEqual([2, 4, 2]);
    history.stop();
    expect(history.valuesOf('failed')).toEqual([]);
    expect(history.valueBefore('serving', 'green', 'minReplicas of green')).toBe(4);
    expect(history.valueBefore('serving', 'green', 'replicas of green')).toBe(4);
    expect([await serving(), await replicas('green'), await replicas('blue')]).toEqual(['green', 4, 4]);
    for (const colour of ['blue', 'green']) {
      const { spec, metadata } = await autoscalerOf(colour);
      expect([spec.minReplicas, metadata.annotations?.['deploy-actions.dev/min-replicas']]).toEqual([
        2,
        undefined,
      ]);
    }
  });

  it('are brought up before they are gone back to where they were made smaller meanwhile', async () => {
    // As an autoscaler makes a colour without load.
    await stage.kubectl('scale', `deployment/${app}-blue`, '--replicas=2');
    const step = await job.step('rollback', {
      platform: 'kubernetes',
      service: app,
      'drain-timeout': '1s',
    });
    expect(step.exitCode, step.log).toBe(0);
    expect([await serving(), await replicas('blue')]).toEqual(['blue', 4]);
  });

  it('stay at 0 when the old one is stopped: its autoscaler lets it be', async () => {
    const step = await release('v2', { 'keep-previous': 'false' });
    expect(step.exitCode, step.log).toBe(0);
    expect([await serving(), await replicas('blue')]).toEqual(['green', 0]);
    await delay(autoscalerPeriod);
    expect([await replicas('blue'), await replicas('green')]).toEqual([0, 4]);
    await expect
      .poll(
        async () =>
          (await autoscalerOf('blue')).status?.conditions?.find(({ type }) => type === 'ScalingActive'),
        { timeout: 40_000 },
      )
      .toMatchObject({ status: 'False', reason: 'ScalingDisabled' });
    // What is honest to say of the other: it has no figures, and does nothing.
    expect(
      (await autoscalerOf('green')).status?.conditions?.find(({ type }) => type === 'ScalingActive'),
    ).toMatchObject({ status: 'False', reason: 'FailedGetResourceMetric' });
  });

  it('are warned of where only the one that serves has an autoscaler', async () => {
    await stage.kubectl('delete', 'hpa', `${app}-blue`);
    const step = await release('v3', { 'dry-run': 'true' });
    expect(step.exitCode, step.log).toBe(0);
    expect(step.annotations.map(({ message }) => message).join('\n')).toMatch(
      /No HorizontalPodAutoscaler scales shop-blue/,
    );
  });

  it('never had fewer ready pods than the disruption budget asks for', async () => {
    const path = `/apis/policy/v1/namespaces/${stage.name}/poddisruptionbudgets/${app}`;
    const { status } = (await get(stage.access, path)) as {
      status: { currentHealthy: number; desiredHealthy: number };
    };
    expect(status.currentHealthy).toBeGreaterThanOrEqual(status.desiredHealthy);
    process.stderr.write(`at least ${fewest} pods were ready; the budget asks for ${least}\n`);
    expect(fewest).toBeGreaterThanOrEqual(least);
    expect(standIn.problems).toEqual([]);
  });
});
