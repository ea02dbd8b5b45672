import { deadlineIn, DeployError, silentLog } from '@deploy-actions/core';
import { type KubernetesClient, resources } from '@deploy-actions/kubernetes';
import type { Fence, Router, Target } from '@deploy-actions/release-engine';
import { createReplicaWeight } from '@deploy-actions/routers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nodePortService, publishServer } from './server-image.ts';
import { colourOf, openStage, type Stage } from './stage.ts';

const never = new AbortController().signal;
const app = 'shares';
const total = 5;

let stage: Stage;
let client: KubernetesClient;
let router: Router;
/** Rises: what an earlier test left on the objects deposes nobody. */
let token = 0;

const fence = (number = token, check: Fence['check'] = () => Promise.resolve()): Fence => ({
  token: number,
  check,
});
const connect = () => createReplicaWeight({ client, service: app, log: silentLog });
const split = (green: number): Target[] => [
  { slot: 'blue', weight: 100 - green, addresses: [] },
  { slot: 'green', weight: green, addresses: [] },
];
const reasonOf = (work: Promise<unknown>) =>
  work.then(
    () => 'it did not throw',
    (thrown: unknown) => {
      if (thrown instanceof DeployError) return thrown.reasonCode;
      throw thrown;
    },
  );

/** What the router stores, and the numbers of pods. */
async function stored(): Promise<string> {
  const [service, blue, green] = await Promise.all([
    client.get(resources.services, app),
    ...['blue', 'green'].map((colour) => client.get(resources.deployments, `${app}-${colour}`)),
  ]);
  return JSON.stringify([
    service.metadata.resourceVersion,
    ...[blue, green].map((deployment) => [deployment?.metadata.annotations, deployment?.spec.replicas]),
  ]);
}

async function replicas(): Promise<[number, number]> {
  const [blue, green] = await Promise.all(
    ['blue', 'green'].map((colour) => client.get(resources.deployments, `${app}-${colour}`)),
  );
  return [blue?.spec.replicas ?? 1, green?.spec.replicas ?? 1];
}

async function applied(weight: number, from: Router = router) {
  const targets = split(weight);
  const before = await from.read();
  const grown = (await from.grow?.(targets, before.version, fence())) ?? [];
  for (const slot of grown) await stage.rolledOut(`${app}-${slot}`);
  return from.apply(targets, (await from.read()).version, fence());
}

const verified = async (milliseconds = 30_000) =>
  router.verify(await router.read(), deadlineIn(milliseconds), never);

beforeAll(async () => {
  stage = await openStage('kubernetes-canary');
  client = await stage.connect();
  await publishServer('acme/shares:1', { VERSION: '1' });
  await publishServer('acme/shares:2', { VERSION: '2', START_DELAY: '3s' });
  await stage.apply(
    colourOf(app, 'blue', { image: 'acme/shares:1', replicas: total }),
    colourOf(app, 'green', { image: 'acme/shares:2', replicas: 0 }),
    nodePortService(app, { app }),
  );
  await stage.rolledOut(`${app}-blue`);
});
afterAll(() => stage.end());

beforeEach(async () => {
  token += 10;
  router = connect();
  await router.claim?.(fence());
  await applied(0);
  expect(await verified()).toMatchObject({ matches: true, answers: { blue: total, green: 0 } });
});

describe('replica-weight on a real cluster', () => {
  it('reads what was applied, by another run too, and verifies it at the EndpointSlices', async () => {
    for (const weight of [20, 60, 100]) {
      const traffic = await applied(weight);
      expect(traffic.targets).toEqual(split(weight));
      expect(await connect().read()).toEqual(traffic);
      const pods = (weight * total) / 100;
      expect(await verified()).toMatchObject({ matches: true, answers: { blue: total - pods, green: pods } });
    }
    expect(await replicas()).toEqual([0, total]);
    await applied(0);
    expect(await verified()).toMatchObject({ matches: true });
    expect(await replicas()).toEqual([total, 0]);
  });

  it('clients get the weights', async () => {
    await applied(40);
    expect(await verified()).toMatchObject({ matches: true });
    const url = await stage.urlOf(app);
    const versions: Record<string, number> = {};
    for (let request = 0; request < 400; request += 1) {
      const answer = await fetch(url, { headers: { connection: 'close' } });
      await answer.arrayBuffer();
      const version = answer.headers.get('x-version') ?? '';
      versions[version] = (versions[version] ?? 0) + 1;
    }
    // Chance alone is beyond it once in 10,000 runs.
    expect(Math.abs((versions['2'] ?? 0) / 4 - 40), JSON.stringify(versions)).toBeLessThan(10);
  });

  it('adds pods before it takes any away', async () => {
    const { version } = await router.read();
    expect(await router.grow?.(split(40), version, fence())).toEqual(['green']);
    expect(await replicas()).toEqual([total, 2]);
    await applied(40);
    expect(await replicas()).toEqual([3, 2]);
  });

  it('a version whose pods are not ready yet has no traffic', async () => {
    await stage.kubectl('scale', `deployment/${app}-green`, '--replicas=1');
    const before = await router.read();
    expect(before.targets).toEqual(split(0));
    await stage.rolledOut(`${app}-green`);
    expect((await router.read()).targets).toEqual(split(17));
  });

  it('applying the same again changes nothing', async () => {
    const first = await applied(20);
    const before = await stored();
    expect(await router.apply(split(20), first.version, fence())).toEqual(first);
    expect(await stored()).toBe(before);
  });

  it('a stale version is a conflict, and nothing is written', async () => {
    const { version } = await router.read();
    await applied(20, connect());
    const before = await stored();
    expect(await reasonOf(router.apply(split(40), version, fence()))).toBe('state_conflict');
    expect(await reasonOf(router.apply(split(40), 'no version', fence()))).toBe('state_conflict');
    expect(await stored()).toBe(before);
  });

  it('somebody who scales in between is a conflict', async () => {
    const { version } = await router.read();
    await stage.kubectl('scale', `deployment/${app}-blue`, '--replicas=6');
    expect(await reasonOf(router.apply(split(20), version, fence()))).toBe('state_conflict');
    await stage.kubectl('scale', `deployment/${app}-blue`, `--replicas=${total}`);
    await stage.rolledOut(`${app}-blue`);
  });

  it('of two runs at once one wins, and the other knows', async () => {
    const { version } = await applied(0);
    const results = await Promise.allSettled([
      router.apply(split(20), version, fence()),
      connect().apply(split(40), version, fence()),
    ]);
    const lost = results.filter((result) => result.status === 'rejected');
    expect(lost).toHaveLength(1);
    expect(lost[0]?.reason).toMatchObject({ reasonCode: 'state_conflict' });
  });

  it('a deposed run writes nothing, though its own check says that it holds the lease', async () => {
    const { version } = await router.read();
    const before = await stored();
    const refused = () => Promise.reject(new DeployError('lock_lost', 'Somebody else holds the lease.'));
    expect(await reasonOf(router.apply(split(20), version, fence(token, refused)))).toBe('lock_lost');
    expect(await reasonOf(router.apply(split(20), version, fence(token - 1)))).toBe('lock_lost');
    expect(await reasonOf(connect().claim?.(fence(token - 1)) ?? Promise.resolve())).toBe('lock_lost');
    expect(await stored()).toBe(before);
  });

  it('targets that cannot be served are rejected, and the old stay in force', async () => {
    const { version } = await router.read();
    const before = await stored();
    const wrong: Target[][] = [
      [{ slot: 'blue', weight: 90, addresses: [] }],
      [{ slot: 'red', weight: 100, addresses: [] }],
      split(25),
      [],
    ];
    for (const targets of wrong) {
      expect(await reasonOf(router.apply(targets, version, fence()))).toBe('router_rejected');
      expect(await reasonOf(router.grow?.(targets, version, fence()) ?? Promise.resolve())).toBe(
        'router_rejected',
      );
    }
    expect(await stored()).toBe(before);
  });

  it('killed between any two of its writes, the next run goes on', async () => {
    for (let writes = 0; writes < 4; writes += 1) {
      await applied(0);
      await verified();
      let count = 0;
      const dying: KubernetesClient = {
        ...client,
        change(...change) {
          count += 1;
          if (count > writes) throw new Error('killed');
          return client.change(...change);
        },
      };
      const killed = createReplicaWeight({ client: dying, service: app, log: silentLog });
      await applied(60, killed).catch(() => undefined);
      token += 1;
      router = connect();
      await router.claim?.(fence());
      const [blue, green] = await replicas();
      expect(blue + green, `after ${writes} writes`).toBeGreaterThanOrEqual(total);
      await applied(60);
      expect(await verified(), `after ${writes} writes`).toMatchObject({
        matches: true,
        answers: { blue: 2, green: 3 },
      });
    }
  });

  it('verify of traffic that is not in force says no, and can be aborted', async () => {
    const { version } = await router.read();
    const asked = { targets: split(20), version };
    const observed = await router.verify(asked, deadlineIn(500), never);
    expect(observed.matches).toBe(false);
    expect(observed.detail).toContain('asked for are blue 4, green 1');
    expect(await reasonOf(router.verify(asked, deadlineIn(500), AbortSignal.abort()))).toBe('cancelled');
  });

  it('drain waits until pods that were taken away have ended', async () => {
    await applied(100);
    const drained = await router.drain('blue', deadlineIn(60_000), never);
    expect(drained).toMatchObject({ complete: true, inFlight: null });
    const pods = await client.list(resources.pods, { labelSelector: `app=${app},version=blue` });
    expect(pods.items).toEqual([]);
  });

  it('weights that the pods cannot make are refused with what they can, and autoscalers by their name', async () => {
    const before = await stored();
    const told = await router.check?.([25, 100]).catch((thrown: unknown) => thrown);
    expect(told).toMatchObject({ reasonCode: 'invalid_input' });
    expect((told as DeployError).message).toContain('reachable are 20 %, 40 %, 60 %, 80 %');
    expect((told as DeployError).remedy).toContain('scale it to 8 pods');
    await stage.kubectl('autoscale', 'deployment', `${app}-blue`, '--min=2', '--max=6', '--cpu-percent=80');
    const refused = await router.check?.([20, 100]).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ reasonCode: 'unsupported' });
    expect((refused as DeployError).message).toContain(`HorizontalPodAutoscaler ${app}-blue`);
    await stage.kubectl('delete', 'hpa', `${app}-blue`);
    await router.check?.([20, 40, 60, 80, 100]);
    expect(await stored()).toBe(before);
  });
});
