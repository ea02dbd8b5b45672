import { expect, test } from 'vitest';
import type { ProxyConfig } from './config.ts';
import { readConfig } from './config.ts';
import { createControl } from './control.ts';
import { allTo, ask, metricsOf, named, never, proxied } from './test-support.ts';

const call = { signal: never };
const blue = [{ slot: 'blue', weight: 100, addresses: ['127.0.0.1:8001'] }];
const green = [{ slot: 'green', weight: 100, addresses: ['127.0.0.1:8002'] }];

const initial: ProxyConfig = {
  schema: 1,
  listen: '127.0.0.1:1',
  metricsListen: null,
  timeouts: { connect: 0, response: 0, shutdown: 0 },
  targets: [],
  version: 1,
  fence: 0,
  probeToken: 'x'.repeat(16),
};

test('a write names the version it was decided on, and raises it', async () => {
  const { admin, state, stateDirectory } = await proxied(blue);
  const before = await state();
  const stale = await admin.setTargets(green, 1, before.version - 1, call);
  expect(stale).toMatchObject({ status: 409, state: { version: before.version, targets: blue } });
  expect(await admin.setTargets(blue, 1, before.version, call)).toMatchObject({
    status: 200,
    state: before && { version: before.version },
  });
  const written = await admin.setTargets(green, 1, before.version, call);
  expect(written).toMatchObject({ status: 200, state: { version: before.version + 1, targets: green } });
  expect(await readConfig(stateDirectory)).toMatchObject({ version: before.version + 1, targets: green });
});

test('a lower fence is refused even with the right version; an equal or a higher one is remembered', async () => {
  const { admin, state, stateDirectory } = await proxied(blue);
  const { version } = await state();
  expect(await admin.raiseFence(7, call)).toMatchObject({ status: 200, state: { fence: 7 } });
  expect((await readConfig(stateDirectory))?.fence).toBe(7);
  expect(await admin.setTargets(green, 6, version, call)).toMatchObject({
    status: 403,
    state: { targets: blue },
  });
  expect(await admin.raiseFence(6, call)).toMatchObject({ status: 403, state: { fence: 7 } });
  expect(await admin.setTargets(green, 7, version, call)).toMatchObject({ status: 200, state: { fence: 7 } });
  expect(await admin.setTargets(blue, 9, version + 1, call)).toMatchObject({
    status: 200,
    state: { fence: 9 },
  });
});

test.each([
  ['the weights sum to 90', [{ slot: 'blue', weight: 90, addresses: ['a:1'] }]],
  ['weight 100 and no address', [{ slot: 'blue', weight: 100, addresses: [] }]],
  ['weight 12.5', [{ slot: 'blue', weight: 12.5, addresses: ['a:1'] }]],
  ['named twice', [...blue, ...blue]],
  ['an address is host:port', [{ slot: 'blue', weight: 100, addresses: ['http://a:1/'] }]],
  ['a slot is', [{ slot: 'blue\n', weight: 100, addresses: ['a:1'] }]],
  ['at least one target', []],
])('targets that cannot be served are refused: %s', async (problem, targets) => {
  const { admin, state } = await proxied(blue);
  const answer = await admin.setTargets(targets, 1, (await state()).version, call);
  expect(answer.status).toBe(422);
  expect(answer.error).toContain(problem);
  expect((await state()).targets).toEqual(blue);
});

test('what cannot be saved is not put in force', async () => {
  const inForce: unknown[] = [];
  const full = () => Promise.reject(new Error('no space left'));
  const control = createControl(initial, full, (targets) => inForce.push(targets));
  await expect(control.setTargets(blue, 1, 1)).rejects.toThrow('no space left');
  expect(control.config()).toEqual(initial);
  expect(inForce).toEqual([]);
});

test('of writers at the same time one wins', async () => {
  const saved: ProxyConfig[] = [];
  const save = async (config: ProxyConfig) => {
    await new Promise((done) => setImmediate(done));
    saved.push(config);
  };
  const control = createControl(initial, save, () => {});
  const outcomes = await Promise.all([blue, green, blue].map((targets) => control.setTargets(targets, 1, 1)));
  expect(outcomes.map(({ kind }) => kind)).toEqual(['done', 'conflict', 'conflict']);
  expect(saved).toHaveLength(1);
  await control.stop();
  await expect(control.raiseFence(3)).rejects.toThrow('ending');
});

test('probes are told the slot, follow the split, and are in no metric', async () => {
  const app = await named('blue');
  const { listen, probeToken, stateDirectory } = await proxied(allTo('blue', { blue: app.address }));
  const answer = await ask(listen, { headers: { 'x-deploy-actions-probe': probeToken } });
  expect(answer.headers['x-deploy-actions-slot']).toBe('blue');
  expect(
    (await metricsOf(stateDirectory)).has('deploy_actions_proxy_requests_total{slot="blue",code="200"}'),
  ).toBe(false);
});
