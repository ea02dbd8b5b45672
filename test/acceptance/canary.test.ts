import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Load, startLoad } from '../support/load/index.ts';
import type { Job } from '../support/runner.ts';
import { ending, errorOf } from './ending.ts';
import { createHost, type Host } from './host.ts';

describe('canary', { timeout: 90_000 }, () => {
  let host: Host;
  let job: Job;
  let load: Load | undefined;
  beforeAll(async () => {
    host = await createHost();
    job = await host.job();
    const first = await ending(job, 'blue-green-switch', { ...(await host.release('v1')), watch: '0' });
    expect(first.outputs['result']).toBe('succeeded');
    load = await startLoad({ url: host.url, rate: 60, durationSeconds: 120 });
  });
  afterAll(async () => {
    load?.kill();
    await host.end();
  });

  const canary = async (version: string, env: Record<string, string>, inputs: Record<string, string>) =>
    ending(job, 'canary', {
      ...(await host.release(version, env)),
      ...{ weights: '50', pause: '2s', 'analysis-interval': '500ms', 'min-requests': '20' },
      // Generous, for this is a test of errors on a machine that may be busy.
      ...{ 'max-response-time': '5s', 'hold-timeout': '20s', ...inputs },
    });

  it('promotes a good version', async () => {
    const step = await canary('v2', {}, { weights: '50,80' });
    expect(step.outputs).toMatchObject({ result: 'succeeded', verdict: 'pass', weight: '80', version: 'v2' });
    expect(step.summary).toMatch(/^\| 50 % \| pass\b/m);
    expect(step.summary).toMatch(/^\| 80 % \| pass\b/m);
    expect(step.summary).toMatch(/```mermaid\n(?:%%.*\n)?xychart-beta\n/);
    expect(await host.versions()).toEqual({ v2: 20 });
  });

  it('takes back a version that fails, before its window is over', async () => {
    const step = await canary('v3', { ERROR_EVERY: '2' }, { pause: '60s' });
    expect(step.outputs).toMatchObject({
      ...{ result: 'rolled-back', 'reason-code': 'limit_exceeded', verdict: 'fail', weight: '50' },
      version: 'v2',
    });
    expect(step.seconds).toBeLessThan(55);
    expect(errorOf(step)).toMatch(
      /^v3 was taken back: At 50 % after .*Error rate .* over the limit of 5 %.*v2 \(.*\) serves\.$/m,
    );
    expect(await host.versions()).toEqual({ v2: 20 });
  });

  it('gives the verdict over a window of what is served already', async () => {
    const metrics = `unix:${join(host.state, 'proxy/proxy.sock')}:/metrics`;
    const inputs = { 'metrics-url': metrics, window: '1s', 'min-requests': '20', 'max-response-time': '5s' };
    const step = await ending(job, 'canary-analyze', { ...inputs, slot: await slotOf('v2') });
    expect(step.outputs).toMatchObject({ result: 'succeeded', verdict: 'pass', 'error-rate': '0' });
    expect(Number(step.outputs['requests'])).toBeGreaterThan(20);
    const unreachable = await ending(job, 'canary-analyze', {
      ...inputs,
      ...{ 'metrics-url': `unix:${join(host.state, 'none.sock')}:/metrics`, 'on-inconclusive': 'fail' },
    });
    expect(unreachable.exitCode).toBe(1);
    expect(unreachable.outputs).toMatchObject({ 'reason-code': 'metrics_unavailable', requests: '' });
  });

  it('does not promote what nobody asked for', async () => {
    const report = await load?.stop();
    load = undefined;
    expect(report?.total).toMatchObject({ new: { lost: 0 }, 'keepalive-post': { lost: 0 } });
    const step = await canary('v4', {}, { pause: '1s', 'hold-timeout': '1s' });
    expect(step.outputs).toMatchObject({
      result: 'inconclusive',
      'reason-code': 'insufficient_data',
      version: 'v2',
    });
    expect(step.outputs['verdict']).not.toBe('pass');
    expect(await host.versions()).toEqual({ v2: 20 });
  });

  /** The slot of the version that serves. */
  async function slotOf(version: string): Promise<string> {
    const step = await ending(job, 'blue-green-switch', { ...(await host.release(version)), watch: '0' });
    expect(step.outputs).toMatchObject({ result: 'unchanged' });
    return step.outputs['slot'] ?? '';
  }
});
