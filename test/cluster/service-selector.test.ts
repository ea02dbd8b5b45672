import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { deadlineIn, DeployError, silentLog } from '@deploy-actions/core';
import { type KubernetesClient, resources } from '@deploy-actions/kubernetes';
import type { Fence, Router, Target } from '@deploy-actions/release-engine';
import { createServiceSelector } from '@deploy-actions/routers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { nodePortService, publishServer } from './server-image.ts';
import { colourOf, openStage, type Stage } from './stage.ts';

const never = new AbortController().signal;
const crash = join(import.meta.dirname, '../support/crash.mjs');
const fixture = join(import.meta.dirname, 'apply-killed.fixture.ts');
const repository = `acme/selected-${process.pid}`;

let stage: Stage;
let client: KubernetesClient;
let admin: KubernetesClient;
let url: string;
beforeAll(async () => {
  stage = await openStage();
  client = await stage.connect();
  admin = await stage.connect(stage.kubeconfig);
  for (const colour of ['blue', 'green']) await publishServer(`${repository}:${colour}`, { VERSION: colour });
  for (const colour of ['blue', 'green']) {
    const options = { image: `${repository}:${colour}`, replicas: 1, graceSeconds: 1 };
    await stage.apply(colourOf('web', colour, options));
  }
  const service = nodePortService('web', { app: 'web', version: 'blue' });
  await stage.apply({
    ...service,
    metadata: {
      name: 'web',
      labels: { owner: 'somebody' },
      annotations: { note: 'kept', 'deploy-actions.dev/other': '1' },
    },
  });
  await stage.rolledOut('web-blue');
  await stage.rolledOut('web-green');
  url = await stage.urlOf('web');
});
afterAll(() => stage.end());

let tokens = 100;
const fence = (token = (tokens += 1), check: () => Promise<void> = async () => {}): Fence => ({
  token,
  check,
});
const all = (slot: string): Target[] => [
  { slot, weight: 100, addresses: [] },
  { slot: slot === 'blue' ? 'green' : 'blue', weight: 0, addresses: [] },
];
const connect = (): Router => createServiceSelector({ client, service: 'web', log: silentLog });
const stored = async () => JSON.stringify(await admin.get(resources.services, 'web'));
const answering = async () =>
  (await fetch(url, { headers: { connection: 'close' } })).headers.get('x-version');

async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (thrown) {
    if (thrown instanceof DeployError) return thrown.reasonCode;
    throw thrown;
  }
  return 'it did not throw';
}

describe('router service-selector', () => {
  let router: Router;
  beforeEach(async () => {
    router = connect();
    const held = fence();
    await router.apply(all('blue'), (await router.read()).version, held);
  });

  it('reads back what it applied, and verifies it where clients are', async () => {
    const first = await router.read();
    const second = await router.apply(all('green'), first.version, fence());
    expect(second.targets).toEqual([{ slot: 'green', weight: 100, addresses: [] }]);
    expect(await connect().read()).toEqual(second);
    expect(await router.verify(second, deadlineIn(10_000), never)).toMatchObject({
      matches: true,
      answers: { green: 1 },
    });
    await expect.poll(answering).toBe('green');
    expect(await router.verify(first, deadlineIn(300), never)).toMatchObject({ matches: false });
  });

  it('changes nothing when it is told the same again', async () => {
    const held = fence();
    const { version } = await router.apply(all('blue'), (await router.read()).version, held);
    const before = await stored();
    expect(await router.apply(all('blue'), version, held)).toMatchObject({ version });
    expect(await stored()).toBe(before);
  });

  it('refuses a version that is not current, and of two at once lets one win', async () => {
    const { version } = await router.read();
    const results = await Promise.allSettled([
      connect().apply(all('green'), version, fence(tokens)),
      connect().apply(all('green'), version, fence(tokens)),
    ]);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const before = await stored();
    expect(await reasonOf(router.apply(all('blue'), version, fence()))).toBe('state_conflict');
    expect(await reasonOf(router.apply(all('blue'), 'no version', fence()))).toBe('state_conflict');
    expect(await stored()).toBe(before);
  });

  it('refuses a deposed run, also one that slept while it was deposed', async () => {
    const old = fence();
    const traffic = await router.read();
    const newer = connect();
    await newer.claim?.(fence());
    const before = await stored();
    // Its own check says yes, and its version was current when it looked.
    expect(await reasonOf(router.apply(all('green'), traffic.version, old))).toBe('lock_lost');
    expect(await reasonOf(router.apply(all('green'), (await router.read()).version, old))).toBe('lock_lost');
    expect(await reasonOf(router.claim?.(old) ?? Promise.resolve())).toBe('lock_lost');
    const lost = fence(tokens + 1, () =>
      Promise.reject(new DeployError('lock_lost', 'Somebody else has it.')),
    );
    expect(await reasonOf(router.apply(all('green'), (await router.read()).version, lost))).toBe('lock_lost');
    expect(await stored()).toBe(before);
  });

  it('leaves what others wrote', async () => {
    await router.apply(all('green'), (await router.read()).version, fence());
    expect(await admin.get(resources.services, 'web')).toMatchObject({
      metadata: {
        labels: { owner: 'somebody' },
        annotations: { note: 'kept', 'deploy-actions.dev/other': '1' },
      },
      spec: { selector: { app: 'web', version: 'green' } },
    });
  });

  it('refuses what it cannot do, and leaves the traffic', async () => {
    const before = await stored();
    const share = (slot: string, weight: number) => ({ slot, weight, addresses: [] });
    const { version } = await router.read();
    const apply = (targets: Target[]) => reasonOf(router.apply(targets, version, fence(tokens)));
    expect(await apply([share('blue', 50), share('green', 50)])).toBe('unsupported');
    expect(await apply([share('blue', 90)])).toBe('router_rejected');
    expect(await apply([])).toBe('router_rejected');
    expect(await apply([share('red', 100)])).toBe('router_rejected');
    expect(await stored()).toBe(before);
  });

  it('killed before or after its write, leaves one of the two states', async () => {
    for (const when of ['before', 'after']) {
      const { version } = await router.read();
      const child = spawn(
        process.execPath,
        [
          '--import',
          crash,
          fixture,
          stage.releaser.kubeconfig,
          stage.name,
          'web',
          'green',
          version,
          String(tokens),
        ],
        { env: { ...process.env, CRASH_AT: '1', CRASH_WHEN: when }, stdio: 'inherit' },
      );
      expect((await once(child, 'exit'))[1]).toBe('SIGKILL');
      const found = (await connect().read()).targets[0]?.slot;
      expect(found).toBe(when === 'before' ? 'blue' : 'green');
      await router.apply(all('blue'), (await router.read()).version, fence());
      expect(await router.verify(await router.read(), deadlineIn(10_000), never)).toMatchObject({
        matches: true,
      });
    }
  });

  it('says no, why, and in time, when nothing of the slot is ready', async () => {
    await stage.kubectl('scale', 'deployment/web-green', '--replicas=0');
    const traffic = await router.apply(all('green'), (await router.read()).version, fence());
    await expect
      .poll(async () => (await router.verify(traffic, deadlineIn(200), never)).detail, { timeout: 10_000 })
      .toContain('no pod of green is ready');
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 50);
    expect(await reasonOf(router.verify(traffic, deadlineIn(60_000), abort.signal))).toBe('cancelled');
    await stage.kubectl('scale', 'deployment/web-green', '--replicas=1');
    await stage.rolledOut('web-green');
  });

  it('asks the URL that it is given, and believes no answer but a good one', async () => {
    const asking = (given: string) =>
      createServiceSelector({ client, service: 'web', url: given, log: silentLog });
    const traffic = await router.read();
    expect(await asking(`${url}/`).verify(traffic, deadlineIn(30_000), never)).toMatchObject({
      matches: true,
      detail: expect.stringContaining(`${url}/ answers`),
    });
    expect(await asking('http://127.0.0.1:16999/').verify(traffic, deadlineIn(5_000), never)).toMatchObject({
      matches: false,
      detail: expect.stringContaining('ECONNREFUSED'),
    });
  });
});
