import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freezeEnvironment, readAudit, readLedger, unfreezeEnvironment } from '@deploy-actions/ledger';
import {
  acquireLease,
  createFileStore,
  isHolderAlive,
  type StateStore,
  thisProcess,
} from '@deploy-actions/release-engine';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTestContext } from '../../test/support/context.ts';
import { runDelivery, settleAfter } from './delivery.ts';
import type { RequestInputs } from './delivery.ts';
import { createTestEnvironment, releaseOf, type TestEnvironment } from './test-support.ts';

const run = (id: string) => ({ id, url: `https://example.com/runs/${id}`, actor: 'ada' });

let root: string;
let store: StateStore;
let environment: TestEnvironment;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'delivery-'));
  store = createFileStore(join(root, 'state'));
  environment = createTestEnvironment(store, join(root, 'host'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const facts = { ...createTestContext().context.facts, sha: 'a'.repeat(40) };

function release(version: string, inputs: Partial<RequestInputs> = {}, id = '1') {
  const { context } = createTestContext({ facts });
  const target = environment.open(run(id));
  return runDelivery(context, environment.request(target, version, inputs));
}
const freeze = () => freezeEnvironment(store, { reason: 'Black Friday', run: run('9'), until: null });

describe('the ledger', () => {
  it('has what was released, from which commit, with which images and notes', async () => {
    const images = { backend: 'ghcr.io/acme/backend@sha256:1' };
    await release('1', { images, notes: { migration: 'tickets.0042', ticket: 'HD-7' } });
    expect(await readLedger(store)).toMatchObject([
      {
        ...{ app: 'helpdesk', environment: 'production', version: '1', sha: facts.sha, images },
        ...{ platform: 'linux-host', router: 'embedded-proxy', strategy: 'blue-green', slot: 'blue' },
        ...{ migration: 'tickets.0042', notes: { ticket: 'HD-7' }, result: 'serving', brokeFreeze: null },
        ...{ actor: 'ada', runUrl: 'https://example.com/runs/1' },
      },
    ]);
  });
});

describe('an environment with a workload whose rolling update is unfinished', () => {
  const rolling = (phase: string) => ({
    id: 'a',
    strategy: 'rolling',
    run: run('7'),
    startedAt: new Date().toISOString(),
    from: { slot: 'deployment/helpdesk', release: releaseOf('1') },
    to: { slot: 'deployment/helpdesk', release: releaseOf('2') },
    before: [],
    weights: [100],
    step: 0,
    phase,
    keepPrevious: true,
    reason: null,
    resumed: 0,
  });

  it('is not released to, and nothing at all is written', async () => {
    await release('1');
    const { version } = await store.read('journal');
    await store.write('journal', rolling('starting'), version);
    const before = [...environment.world.changes];
    const files = await readdir(root, { recursive: true });
    for (const inputs of [{}, { 'dry-run': true }]) {
      await expect(release('3', inputs)).rejects.toMatchObject({
        reasonCode: 'unfinished_release',
        message: expect.stringMatching(
          /release of 2 to deployment\/helpdesk by run 7, which shares its state with helpdesk in production, is in phase «starting»/,
        ),
        remedy: expect.stringContaining('`rolling-update` with `workload: deployment/helpdesk`'),
      });
    }
    expect(environment.world.changes).toEqual(before);
    expect(await readdir(root, { recursive: true })).toEqual(files);
  });

  it('is waited for while whoever began it is at work', async () => {
    await release('1');
    const { version } = await store.read('journal');
    await store.write('journal', rolling('starting'), version);
    const { context } = createTestContext();
    const holder = await acquireLease({
      ...{ store, run: run('7'), process: thisProcess(), isAlive: isHolderAlive, wait: 0 },
      ...{ signal: context.signal, log: context.log },
    });
    const waiting = release('3', { 'lock-timeout': 20_000 });
    await store.write('journal', rolling('finished'), version + 1);
    await holder.release();
    expect(await waiting).toMatchObject({ result: 'succeeded', outputs: { version: '3' } });
  });

  it('is left alone by a post step of the same run', async () => {
    await release('1');
    const { version } = await store.read('journal');
    await store.write('journal', rolling('reverting'), version);
    const { context } = createTestContext({ facts });
    const target = environment.open(run('7'));
    await settleAfter(context, target, environment.request(target, '1').inputs);
    expect(await store.read('journal')).toMatchObject({
      version: version + 1,
      value: { phase: 'reverting' },
    });
  });

  it('is released to once that has come to its end', async () => {
    await release('1');
    const { version } = await store.read('journal');
    await store.write('journal', rolling('finished'), version);
    expect(await release('3')).toMatchObject({ result: 'succeeded', outputs: { version: '3' } });
  });
});

describe('a frozen environment', () => {
  it('is not released to, and nothing at all is written', async () => {
    await release('1');
    await freeze();
    const before = [...environment.world.changes];
    const files = await readdir(root, { recursive: true });
    for (const inputs of [{}, { 'dry-run': true }]) {
      await expect(release('2', inputs)).rejects.toMatchObject({
        reasonCode: 'environment_frozen',
        message: expect.stringMatching(/frozen by run 9 of ada .* Black Friday/),
      });
    }
    expect(environment.world.changes).toEqual(before);
    expect(await readdir(root, { recursive: true })).toEqual(files);
  });

  it('is not released to by a run that waited for its lease while it was frozen', async () => {
    await release('1');
    const { context } = createTestContext();
    const holder = await acquireLease({
      ...{ store, run: run('5'), process: thisProcess(), isAlive: isHolderAlive, wait: 0 },
      ...{ signal: context.signal, log: context.log },
      ttl: 30_000,
    });
    const before = [...environment.world.changes];
    const waiting = release('2', { 'lock-timeout': 20_000 });
    const refused = expect(waiting).rejects.toMatchObject({ reasonCode: 'environment_frozen' });
    await freeze();
    await holder.release();
    await refused;
    expect(environment.world.changes).toEqual(before);
    expect((await store.read('lease')).value).toBeNull();
  });

  it('is released to with a reason, which audit and ledger keep', async () => {
    await freeze();
    const outcome = await release('1', { 'break-freeze': 'login is down' }, '2');
    expect(outcome.result).toBe('succeeded');
    expect((await readAudit(store)).at(-1)).toMatchObject({
      ...{ what: 'break-freeze', reason: 'login is down', run: run('2') },
      detail: expect.stringContaining('Black Friday'),
    });
    expect((await readLedger(store))[0]).toMatchObject({ version: '1', brokeFreeze: 'login is down' });
    // It stays frozen for the next one.
    await expect(release('2')).rejects.toMatchObject({ reasonCode: 'environment_frozen' });
  });

  it('that is not frozen has nothing to be broken', async () => {
    await release('1', { 'break-freeze': 'just in case' });
    expect(await readAudit(store)).toEqual([]);
    expect((await readLedger(store))[0]?.brokeFreeze).toBeNull();
  });

  it('is released to again when it is unfrozen', async () => {
    await freeze();
    await unfreezeEnvironment(store, { reason: 'over', run: run('9') });
    expect((await release('1')).result).toBe('succeeded');
  });

  it('has what was begun before brought to its end', async () => {
    await release('1');
    const { context } = createTestContext();
    const target = environment.open(run('4'));
    const asked = environment.request(target, '2');
    const killed = { ...asked, hold: () => Promise.reject(new Error('killed')) };
    // It is cut off where its journal cannot be written any more.
    const failing: StateStore = {
      ...store,
      write: (key, value, expected) =>
        key === 'journal' && JSON.stringify(value).includes('"reverting"')
          ? Promise.reject(new Error('killed'))
          : store.write(key, value, expected),
    };
    await expect(
      runDelivery(context, { ...killed, target: environment.open(run('4'), failing) }),
    ).rejects.toThrow('killed');
    await freeze();
    await expect(release('2')).rejects.toMatchObject({ reasonCode: 'environment_frozen' });
    const settled = await runDelivery(context, { ...asked, wanted: null });
    expect(settled.outputs.version).toBe('1');
  });
});
