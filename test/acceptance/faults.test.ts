import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Job } from '../support/runner.ts';
import { ending, errorOf, expectEnding } from './ending.ts';
import { createHost, type Host } from './host.ts';

/** A release that takes long: it watches the new version, which has all traffic by then. */
const watching = { watch: '60s' };

describe('a release that is interrupted, or not alone', { timeout: 90_000 }, () => {
  let host: Host;
  let job: Job;
  beforeEach(async () => {
    host = await createHost();
    job = await host.job({ runId: '41' });
    const first = await ending(job, 'blue-green-switch', { ...(await host.release('v1')), watch: '0' });
    expect(first.outputs['result'], first.log).toBe('succeeded');
  });
  afterEach(() => host.end());

  /** Nothing is left half done: one version serves, and the next release finds neither a lease nor a journal in its way. */
  async function expectGoodState(serving: string): Promise<void> {
    expect(await host.versions()).toEqual({ [serving]: 20 });
    const next = await host.job({ runId: '99' });
    const step = await ending(next, 'blue-green-switch', { ...(await host.release('v9')), watch: '0' });
    expect(step.outputs).toMatchObject({
      ...{ result: 'succeeded', 'reason-code': 'ok', version: 'v9', 'previous-version': serving },
    });
    expect(step.log).not.toContain('unfinished');
    expect(await host.versions()).toEqual({ v9: 20 });
  }

  it('a cancel is settled within the time that the runner gives', async () => {
    const step = await job.start('blue-green-switch', { ...(await host.release('v2')), ...watching });
    await step.line(/… watching/);
    const asked = performance.now();
    const ended = await expectEnding(job, await step.cancel());
    expect(performance.now() - asked).toBeLessThan(7_500);
    expect(ended).toMatchObject({ exitCode: 1, signal: null });
    expect(ended.outputs).toMatchObject({ result: 'cancelled', 'reason-code': 'cancelled' });
    const after = await job.post(ended);
    expect(after?.exitCode, after?.log).toBe(0);
    await expectGoodState('v1');
  });

  it('after a kill the post step settles what is left', async () => {
    const step = await job.start('blue-green-switch', { ...(await host.release('v2')), ...watching });
    await step.line(/… watching/);
    const ended = await step.kill();
    expect(ended).toMatchObject({ signal: 'SIGKILL', outputs: {} });
    const after = await job.post(ended);
    expect(after?.exitCode, after?.log).toBe(0);
    expect(after?.annotations[0]?.message).toContain(
      'The release of v2 was left in phase «holding»; settling it.',
    );
    expect(Object.keys(await host.versions())).toHaveLength(1);
    await expectGoodState(Object.keys(await host.versions())[0] ?? '');
  });

  it('after a kill the same release again goes on with it', async () => {
    const inputs = { ...(await host.release('v2')), watch: '1s' };
    const step = await job.start('blue-green-switch', inputs);
    await step.line(/^Traffic: /);
    await step.kill();
    const again = await host.job({ runId: '41', runAttempt: '2' });
    const resumed = await ending(again, 'blue-green-switch', inputs);
    expect(resumed.outputs).toMatchObject({ result: 'succeeded', 'reason-code': 'resumed', version: 'v2' });
    await expectGoodState('v2');
  });

  it('of two at once one holds the lease; the other fails and names it, or waits', async () => {
    const step = await job.start('blue-green-switch', { ...(await host.release('v2')), ...watching });
    await step.line(/… watching/);
    const other = await host.job({ runId: '42' });
    const inputs = { ...(await host.release('v3')), watch: '0' };
    const waits = await other.start('blue-green-switch', { ...inputs, 'lock-timeout': '60s' });
    const held = await ending(other, 'blue-green-switch', inputs);
    expect(held.outputs).toMatchObject({ result: 'failed', 'reason-code': 'lock_held' });
    expect(errorOf(held)).toContain('https://github.com/acme/helpdesk/actions/runs/41');
    await waits.line(/waiting for/);
    expect((await expectEnding(job, await step.cancel())).outputs).toMatchObject({ result: 'cancelled' });
    const waited = await expectEnding(other, await waits.done);
    expect(waited.outputs).toMatchObject({ result: 'succeeded', version: 'v3', 'previous-version': 'v1' });
  });
});
