import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Job } from '../support/runner.ts';
import { ending, errorOf } from './ending.ts';
import { createHost, type Host, tree } from './host.ts';

describe('the pipeline in one step', { timeout: 90_000 }, () => {
  let host: Host;
  let job: Job;
  let workspace: string;
  beforeAll(async () => {
    host = await createHost();
    workspace = join(host.root, 'workspace');
    await mkdir(join(workspace, '.github'), { recursive: true });
    job = await host.job({ workspace });
  });
  afterAll(() => host.end());

  /** deploy.yml as a user writes it once; JSON is YAML. `health` is what the check asks for after the shift. */
  async function configure(health: Record<string, unknown> = {}, env: Record<string, string> = {}) {
    const { command, 'port-range': range } = await host.release('v1');
    for (const version of ['v2', 'v3']) await host.release(version);
    await writeFile(
      join(workspace, '.github/deploy.yml'),
      JSON.stringify({
        app: host.target['app'],
        platform: 'linux-host',
        'state-directory': host.state,
        router: { type: 'embedded-proxy', listen: host.target['listen'] },
        strategy: 'blue-green',
        watch: '500ms',
        'ready-timeout': '4s',
        'linux-host': {
          directory: join(host.root, 'releases/{version}'),
          command,
          'port-range': range,
          'readiness-path': '/health/',
          supervisor: 'process',
          env,
        },
        health: { url: `${host.url}health/`, timeout: '3s', ...health },
        environments: { production: {} },
      }),
    );
  }

  const deploy = (version: string, inputs: Record<string, string> = {}) =>
    ending(job, 'deploy', { environment: 'production', version, ...inputs });
  const phasesOf = (outputs: Record<string, string>) =>
    (JSON.parse(outputs['phases'] ?? '[]') as { name: string; result: string }[]).map(
      ({ name, result }) => `${name}: ${result}`,
    );

  it('says what deploy.yml lacks before it touches anything', async () => {
    const step = await deploy('v1', { strategy: 'canary' });
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'invalid_config' });
    expect(errorOf(step)).toMatch(/- app: is required and missing.*- platform: is required and missing/s);
    expect((await job.post(step))?.exitCode).toBe(0);
    expect(await tree(host.state)).toEqual({});
  });

  it('plans without writing', async () => {
    await configure({}, { VERSION: 'v1' });
    const step = await deploy('v1', { 'dry-run': 'true' });
    expect(step.outputs).toMatchObject({ result: 'planned', phase: 'shift' });
    expect(await tree(host.state)).toEqual({});
  });

  it('shifts the traffic and checks the health', async () => {
    await configure({}, { VERSION: 'v1' });
    const step = await deploy('v1');
    expect(step.outputs).toMatchObject({ result: 'succeeded', version: 'v1', phase: 'check' });
    expect(phasesOf(step.outputs)).toEqual(['shift: succeeded', 'check: succeeded']);
    expect(await host.versions()).toEqual({ v1: 20 });
  });

  it('gives the traffic back when users do not see a healthy application', async () => {
    await configure({ body: 'never said' }, { VERSION: 'v2' });
    const step = await deploy('v2');
    expect(step.outputs).toMatchObject({
      ...{ result: 'rolled-back', 'reason-code': 'unhealthy', phase: 'check' },
      ...{ version: 'v1', 'rejected-version': 'v2' },
    });
    expect(phasesOf(step.outputs)).toEqual(['shift: succeeded', 'check: failed', 'back: succeeded']);
    expect(errorOf(step)).toMatch(/never said.* The traffic was given back: v1 has all traffic/s);
    expect(await host.versions()).toEqual({ v1: 20 });
  });

  it('goes no further than a version that never gets ready', async () => {
    await configure({}, { VERSION: 'v3', NEVER_READY: '1' });
    const step = await deploy('v3', {});
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'not_ready', phase: 'shift' });
    expect(phasesOf(step.outputs)).toEqual(['shift: refused']);
    expect(await host.versions()).toEqual({ v1: 20 });
  });
});
