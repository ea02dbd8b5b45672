import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { silentLog } from '@deploy-actions/core';
import {
  createKubernetesStore,
  type KubernetesClient,
  type Pod,
  resources,
} from '@deploy-actions/kubernetes';
import { createKubernetes, type KubernetesRelease } from '@deploy-actions/platforms';
import { afterAll, beforeAll } from 'vitest';
import { type PlatformHarness, platformConformance } from '../../packages/platforms/conformance.ts';
import { storeConformance } from '../../packages/release-engine/store-conformance.ts';
import { output } from '../support/command.ts';
import { containerdSocket } from './place.ts';
import { publishServer } from './server-image.ts';
import { bothColours, openStage, type Stage } from './stage.ts';

const behaviours = {
  // Long enough for what crashed to be seen before it is ready again.
  good: { START_DELAY: '3s' },
  // What it says of this value is its last word.
  exits: { ON_SIGTERM: 'cannot start' },
  'never-ready': { READY_AFTER: 'never' },
} as const;
const crash = join(import.meta.dirname, '../support/crash.mjs');
const fixture = join(import.meta.dirname, 'deploy-killed.fixture.ts');

let stage: Stage;
let client: KubernetesClient;
/** The test's own, which sees and may do everything. */
let admin: KubernetesClient;
beforeAll(async () => {
  stage = await openStage();
  client = await stage.connect();
  admin = await stage.connect(stage.kubeconfig);
  const versions = ['1', '2', 'other', ...Array.from({ length: 4 }, (_, at) => `version-${at + 1}`)];
  for (const version of versions)
    await publishServer(`${repository}:good-${version}`, { VERSION: version, ...behaviours.good });
  for (const behaviour of ['exits', 'never-ready'] as const) {
    await publishServer(`${repository}:${behaviour}-1`, { VERSION: '1', ...behaviours[behaviour] });
  }
});
afterAll(() => stage.end());

/** Of this run: nodes keep what they have pulled under a name. */
const repository = `acme/conform-${process.pid}`;
let applications = 0;

/** The id of its container in containerd: another after a restart. */
function containerOf(pod: Pod): string {
  const status = pod.status?.containerStatuses?.[0] as { containerID?: string } | undefined;
  return status?.containerID?.replace('containerd://', '') ?? pod.metadata.uid ?? '';
}

async function setup(): Promise<PlatformHarness<KubernetesRelease>> {
  const app = `conform-${(applications += 1)}`;
  const objects = bothColours(app, { image: `${repository}:good-other`, replicas: 0, graceSeconds: 1 });
  await stage.apply(...objects);

  /** What runs or will, once the controller has seen the last change. */
  async function settled(slot: string): Promise<Pod[]> {
    for (const end = performance.now() + 10_000; ;) {
      const deployment = await admin.get(resources.deployments, `${app}-${slot}`);
      const { items } = await admin.list(resources.pods, { labelSelector: `app=${app},version=${slot}` });
      const pods = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      const { status, metadata, spec } = deployment;
      const isSettled =
        status?.observedGeneration === metadata.generation && pods.length === (spec.replicas ?? 1);
      if (isSettled || performance.now() > end) return pods;
      await delay(50);
    }
  }

  return {
    platform: createKubernetes({ client, service: app, log: silentLog }),
    slots: ['blue', 'green'],
    release: (version, behaviour = 'good', instances = 1) => ({
      version,
      images: [`${repository}:${behaviour}-${version}`],
      container: null,
      replicas: instances,
    }),
    invalidRelease: () => ({ version: '1', images: ['acme/other:1'], container: null, replicas: 1 }),
    async running(slot) {
      const up = (await settled(slot)).filter(
        ({ status }) => status?.containerStatuses?.[0]?.state?.running !== undefined,
      );
      return up.map(containerOf).toSorted();
    },
    async versionAt(address) {
      const answer = (await (await fetch(`http://${address}/`)).json()) as { version: string };
      return answer.version;
    },
    async crash(slot) {
      const [pod] = await settled(slot);
      const container = pod === undefined ? '' : containerOf(pod);
      await output('ctr', [
        '-a',
        containerdSocket,
        '-n',
        'k8s.io',
        'tasks',
        'kill',
        '-s',
        'SIGKILL',
        container,
      ]);
      // Until the node has seen it, everybody would say that it runs.
      for (const end = performance.now() + 10_000; performance.now() < end;) {
        const now = await admin.get(resources.pods, pod?.metadata.name ?? '');
        if (now.status?.containerStatuses?.[0]?.ready === false) return;
        await delay(10);
      }
    },
    async deployKilled(slot, release, change) {
      // Before and after each write.
      const env = {
        CRASH_AT: String(Math.ceil(change / 2)),
        CRASH_WHEN: change % 2 === 1 ? 'before' : 'after',
      };
      const args = [stage.releaser.kubeconfig, stage.name, app, slot, JSON.stringify(release)];
      const child = spawn(process.execPath, ['--import', crash, fixture, ...args], {
        env: { ...process.env, ...env },
        stdio: 'inherit',
      });
      const [, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
      return signal === 'SIGKILL';
    },
    killStride: 1,
    unready: /503/,
    async dispose() {
      await stage.kubectl('delete', 'deployment,service', '-l', `app=${app}`, '--wait=false');
      await stage.kubectl('delete', 'service', app, '--ignore-not-found', '--wait=false');
    },
  };
}

platformConformance('kubernetes', setup, { test: 120_000, givenUp: 45_000, answers: 20_000, kills: 2 });

let places = 0;
storeConformance('kubernetes', () => ({
  fresh: () => `deploy-actions.store-${(places += 1)}`,
  open: (place) => createKubernetesStore(client, place),
  sequences: 5,
  resolution: 1_000,
}));
