import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Job } from '../support/runner.ts';
import { ending, errorOf } from './ending.ts';
import { createHost, type Host, tree } from './host.ts';

describe('releases by blue-green switch, and rollbacks', { timeout: 90_000 }, () => {
  let host: Host;
  let job: Job;
  beforeAll(async () => {
    host = await createHost();
    job = await host.job();
  });
  afterAll(() => host.end());

  const release = async (
    version: string,
    env: Record<string, string> = {},
    inputs: Record<string, string> = {},
  ) => ending(job, 'blue-green-switch', { ...(await host.release(version, env)), watch: '0', ...inputs });
  const rollback = (inputs: Record<string, string>) =>
    ending(job, 'rollback', { ...host.target, supervisor: 'process', ...inputs });

  it('has nothing to go back to at first', async () => {
    const step = await rollback({});
    expect(step.outputs).toMatchObject({ result: 'failed', 'reason-code': 'version_not_found' });
  });

  it('a dry run on an empty host plans and writes nothing', async () => {
    const step = await release('v1', {}, { 'dry-run': 'true' });
    expect(step.outputs).toMatchObject({ result: 'planned', 'reason-code': 'dry_run', version: '' });
    expect(step.summary).toContain('**Now:** Nothing serves.');
    expect(step.summary).toMatch(/^- start v1 in blue/m);
    expect(await tree(host.state)).toEqual({});
    await expect(fetch(host.url)).rejects.toThrow('fetch failed');
  });

  it('a first release serves', async () => {
    const step = await release('v1');
    expect(step.outputs).toMatchObject({ result: 'succeeded', version: 'v1', 'previous-version': '' });
    expect(step.summary).toContain('v1 has all traffic of helpdesk in production.');
    expect(step.summary).toContain('```mermaid\nflowchart LR\n');
    expect(await host.versions()).toEqual({ v1: 20 });
  });

  it('the same release again changes nothing', async () => {
    const step = await release('v1');
    expect(step.outputs).toMatchObject({
      result: 'unchanged',
      'reason-code': 'already_current',
      version: 'v1',
    });
    expect(await host.versions()).toEqual({ v1: 20 });
  });

  it('a dry run of a second release writes nothing', async () => {
    const before = await tree(host.state);
    const step = await release('v2', {}, { 'dry-run': 'true' });
    expect(step.outputs).toMatchObject({ result: 'planned', version: 'v1' });
    expect(step.summary).toContain('**Now:** v1 (blue) serves.');
    expect(step.summary).toMatch(/^- start v2 in green/m);
    expect(await tree(host.state)).toEqual(before);
  });

  it('a second release takes over, with a live probe as the witness', async () => {
    const step = await release('v2', {}, { watch: '1s', 'probe-url': host.url, 'probe-rate': '50' });
    expect(step.outputs).toMatchObject({
      ...{ result: 'succeeded', version: 'v2', slot: 'green', 'previous-version': 'v1' },
      'requests-lost': '0',
    });
    expect(Number(step.outputs['requests-sent'])).toBeGreaterThan(30);
    expect(step.summary).toContain('### Live probe');
    expect(await host.versions()).toEqual({ v2: 20 });
  });

  it('goes back to the previous version, and to a named one', async () => {
    const back = await rollback({});
    expect(back.outputs).toMatchObject({ result: 'succeeded', version: 'v1', 'previous-version': 'v2' });
    expect(await host.versions()).toEqual({ v1: 20 });
    const forth = await rollback({ version: 'v2' });
    expect(forth.outputs).toMatchObject({ result: 'succeeded', version: 'v2', 'previous-version': 'v1' });
    expect(await host.versions()).toEqual({ v2: 20 });
  });

  it('refuses a version that never gets ready, with its reason and its last words', async () => {
    const step = await release('v3', { NEVER_READY: '1' }, { 'ready-timeout': '8s' });
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'not_ready', version: 'v2' });
    expect(errorOf(step)).toMatch(/^v3 got no traffic: .*503.*v2 \(green\) serves\.$/m);
    expect(step.summary).toContain('Last log lines and events');
    expect(await host.versions()).toEqual({ v2: 20 });
  });

  it('refuses a version that ends by itself at once, not at the time-out', async () => {
    const step = await release('v4', { CRASH_AFTER_MS: '1' }, { 'ready-timeout': '60s' });
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'start_failed', version: 'v2' });
    expect(step.seconds).toBeLessThan(50);
    expect(await host.versions()).toEqual({ v2: 20 });
  });

  it('does not go back to what was never released, nor to what was refused', async () => {
    for (const version of ['v9', 'v3']) {
      const step = await rollback({ version });
      expect(step.outputs).toMatchObject({ result: 'failed', 'reason-code': 'version_not_found' });
      expect(errorOf(step)).toContain(`Version ${version} was `);
    }
    expect(await host.versions()).toEqual({ v2: 20 });
  });

  it('refuses what is missing and what is wrong before anything is touched', async () => {
    const before = await tree(host.state);
    const { directory: _, ...inputs } = await host.release('v5');
    const step = await ending(job, 'blue-green-switch', { ...inputs, router: 'istio', 'port-range': '1-1' });
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'invalid_input', version: '' });
    expect(errorOf(step)).toMatch(/directory: is required and missing/);
    expect(errorOf(step)).toMatch(/router: "istio" .*embedded-proxy.*nginx/);
    expect(errorOf(step)).toMatch(/port-range: "1-1" has fewer ports/);
    expect(await tree(host.state)).toEqual(before);
  });
});
