import { deadlineIn, DeployError, silentLog } from '@deploy-actions/core';
import type { Deployment, KubernetesClient, PodSpec } from '@deploy-actions/kubernetes';
import { createKubernetes, type KubernetesRelease } from '@deploy-actions/platforms';
import type { Fence, Platform } from '@deploy-actions/release-engine';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { release } from './releases.ts';
import { publishServer } from './server-image.ts';
import { bothColours, openStage, type Stage } from './stage.ts';

const never = new AbortController().signal;
const held: Fence = { token: 1, check: async () => {} };

let stage: Stage;
let client: KubernetesClient;
let platform: Platform<KubernetesRelease>;
beforeAll(async () => {
  stage = await openStage();
  client = await stage.connect();
  platform = createKubernetes({ client, service: 'app', log: silentLog, unschedulableFor: 2_000 });
  await publishServer('acme/app:1', { VERSION: '1' });
  await publishServer('acme/app:crash', {
    VERSION: 'crash',
    CRASH_AFTER: '100ms',
    READY_AFTER: 'never',
    LATENCY_MS: '0',
  });
  await publishServer('acme/app:sick', { VERSION: 'sick', READY_AFTER: 'never' });
  await publishServer('acme/app:slow', { VERSION: 'slow', START_DELAY: '12s' });
});
afterAll(() => stage.end());

/** Blue serves; green is empty, and its pods differ in this. */
async function place(change: (pod: PodSpec) => void = () => {}): Promise<void> {
  const [blue, green, service] = bothColours('app', { image: 'acme/app:1', replicas: 1, graceSeconds: 1 });
  change((green as Deployment).spec.template.spec);
  await stage.apply(blue ?? {}, green ?? {}, service ?? {});
}

function releaseOf(image: string): KubernetesRelease {
  return { version: image, images: [image], container: null, replicas: null };
}

/** Milliseconds for a version to become ready. What is known never to be is given up long before. */
const limit = 90_000;

/** How long it took to fail, and how. */
async function failure(
  image: string,
  within = limit,
): Promise<{ thrown: DeployError; milliseconds: number }> {
  const began = performance.now();
  try {
    await platform.deploy('green', releaseOf(image), held);
    for await (const { ready } of platform.ready('green', deadlineIn(within), never)) {
      if (ready) throw new Error('it became ready');
    }
  } catch (thrown) {
    if (thrown instanceof DeployError) return { thrown, milliseconds: performance.now() - began };
    throw thrown;
  }
  throw new Error('it did not end');
}

describe('a version that cannot start', () => {
  beforeEach(async () => {
    await stage.kubectl('delete', 'deployment', 'app-green', '--ignore-not-found', '--wait=true');
    await place();
  });

  it('because its image is not there is given up within seconds, with the registry’s words', async () => {
    const { thrown, milliseconds } = await failure('acme/app:no-such-tag');
    expect(thrown).toMatchObject({
      reasonCode: 'start_failed',
      message: expect.stringMatching(/ErrImagePull|ImagePullBackOff/),
      remedy: expect.stringContaining('imagePullSecrets'),
      details: expect.arrayContaining([expect.stringMatching(/event Warning Failed: .*no-such-tag/)]),
    });
    expect(milliseconds).toBeLessThan(limit / 2);
  });

  it('because it crashes is given up with its last log lines', async () => {
    const { thrown, milliseconds } = await failure('acme/app:crash');
    expect(thrown).toMatchObject({
      reasonCode: 'start_failed',
      message: expect.stringMatching(
        /container server of app-green-.*CrashLoopBackOff \(ended with exit code 1/,
      ),
    });
    expect(thrown.details.join('\n')).toMatch(/app-green-.*\/server: /);
    expect(milliseconds).toBeLessThan(limit / 2);
  });

  it('because no node has room is given up', async () => {
    await place((pod) => Object.assign(pod, { nodeSelector: { disktype: 'no-such' } }));
    const { thrown, milliseconds } = await failure('acme/app:1');
    expect(thrown).toMatchObject({
      reasonCode: 'start_failed',
      message: expect.stringMatching(/cannot be scheduled: .*node/),
    });
    expect(milliseconds).toBeLessThan(limit / 2);
  });

  it('because a Secret is missing is given up with its name', async () => {
    const env = [{ name: 'URL', valueFrom: { secretKeyRef: { name: 'db-secret', key: 'url' } } }];
    await place(({ containers: [container] }) => Object.assign(container ?? {}, { env }));
    const { thrown } = await failure('acme/app:1');
    expect(thrown).toMatchObject({
      reasonCode: 'start_failed',
      message: expect.stringMatching(/CreateContainerConfigError.*db-secret/),
    });
  });

  it('because of a quota is given up with its name', async () => {
    await stage.apply({
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'small' },
      spec: { hard: { 'count/pods': '1' } },
    });
    try {
      // Nothing is held to it before its controller has counted.
      const used = () => stage.kubectl('get', 'resourcequota', 'small', '-o', 'jsonpath={.status.used}');
      await expect.poll(used).toContain('count/pods');
      const { thrown, milliseconds } = await failure('acme/app:1');
      expect(thrown).toMatchObject({
        reasonCode: 'start_failed',
        message: expect.stringMatching(/exceeded quota: small/),
      });
      expect(milliseconds).toBeLessThan(limit / 2);
    } finally {
      await stage.kubectl('delete', 'resourcequota', 'small');
    }
  });

  it('because its probe fails says so at the deadline, with what the probe was answered', async () => {
    const { thrown } = await failure('acme/app:sick', 20_000);
    expect(thrown).toMatchObject({ reasonCode: 'not_ready', message: expect.stringContaining('503') });
  });

  it('is started anew when it is asked for again', async () => {
    await failure('acme/app:crash');
    const sets = async () =>
      (await stage.kubectl('get', 'rs', '-l', 'version=green', '-o', 'name')).trim().split('\n');
    const before = await sets();
    await platform.deploy('green', releaseOf('acme/app:crash'), held);
    await expect.poll(async () => (await sets()).filter((set) => !before.includes(set))).toHaveLength(1);
  });
});

describe('a version without a readiness probe', () => {
  it('is asked itself before it counts as ready', async () => {
    await stage.kubectl('delete', 'deployment', 'app-green', '--ignore-not-found', '--wait=true');
    await place(({ containers: [container] }) => delete container?.readinessProbe);
    const began = performance.now();
    await platform.deploy('green', releaseOf('acme/app:slow'), held);
    const seen: string[] = [];
    for await (const { message } of platform.ready('green', deadlineIn(60_000), never)) seen.push(message);
    expect(performance.now() - began).toBeGreaterThan(12_000);
    expect(seen.join('\n')).toMatch(/does not accept connections on port 8000 yet/);
  });
});

describe('a release that fails', () => {
  it('leaves the traffic where it was, empties its slot and is in the history', async () => {
    await stage.kubectl('delete', 'deployment', 'app-green', '--ignore-not-found', '--wait=true');
    await place();
    await stage.kubectl('rollout', 'status', 'deployment/app-blue', '--timeout=60s');
    const ended = await release({ client, service: 'app', image: 'acme/app:crash' });
    expect(ended.journal).toMatchObject({ phase: 'reverted', reason: { reasonCode: 'start_failed' } });
    expect(ended.serving).toMatchObject([{ slot: 'blue', weight: 100, release: { version: '1' } }]);
    expect(await platform.observe()).toMatchObject([
      { name: 'blue', ready: 1 },
      { name: 'green', release: null, wanted: 0 },
    ]);
  });
});
