import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faults, type GitHubDouble, presets, startGitHub } from '../support/github/index.ts';
import type { Job } from '../support/runner.ts';
import { ending, errorOf } from './ending.ts';
import { createHost, type Host, tree } from './host.ts';

describe('releases with their state on a git reference', { timeout: 90_000 }, () => {
  let double: GitHubDouble;
  let host: Host;
  let job: Job;
  let state: Record<string, string>;
  beforeAll(async () => {
    double = await startGitHub();
    host = await createHost();
    const env = {
      GITHUB_API_URL: double.apiUrl,
      GITHUB_GRAPHQL_URL: double.graphqlUrl,
      GITHUB_SHA: 'a'.repeat(40),
    };
    job = await host.job({ repository: double.name, actor: 'ada', env });
    state = { state: 'git-ref', 'github-token': double.token() };
  });
  afterAll(async () => {
    await host.end();
    await double.stop();
  });

  const release = async (version: string, inputs: Record<string, string> = {}) =>
    ending(job, 'blue-green-switch', { ...(await host.release(version)), watch: '0', ...state, ...inputs });
  const ask = (command: string, inputs: Record<string, string> = {}) => {
    const { app = '', environment = '', platform = '' } = host.target;
    return ending(job, 'releases', { command, app, environment, platform, ...state, ...inputs });
  };

  it('are in the ledger, which any runner reads', async () => {
    const images = 'backend=ghcr.io/acme/backend@sha256:' + '1'.repeat(64);
    const first = await release('v1', { images, notes: 'migration=tickets.0042' });
    expect(first.outputs).toMatchObject({ result: 'succeeded', version: 'v1' });
    expect((await release('v2')).outputs['result']).toBe('succeeded');
    const shown = await ask('show', { version: 'v1' });
    expect(JSON.parse(shown.outputs['json'] ?? '')).toMatchObject({
      ...{ version: 'v1', sha: 'a'.repeat(40), actor: 'ada', migration: 'tickets.0042', result: 'serving' },
      images: { backend: images.slice('backend='.length) },
    });
    const list = await ask('list');
    expect(list.outputs).toMatchObject({ version: 'v2', frozen: 'false', holder: '' });
    expect(list.summary).toContain('🟢 serves | v2 | aaaaaaaaaaaa | blue-green | ada');
    // Nothing of it lies on the host.
    expect(Object.keys(await tree(host.state)).filter((file) => file.includes('/state/state/'))).toEqual([]);
  });

  it('stop while the environment is frozen, a rollback too, unless that is broken with a reason', async () => {
    expect((await ask('freeze', { reason: 'Black Friday', until: '12h' })).outputs['frozen']).toBe('true');
    const before = await tree(host.state);
    const stopped = await release('v3');
    expect(stopped.outputs).toMatchObject({ result: 'refused', 'reason-code': 'environment_frozen' });
    expect(errorOf(stopped)).toMatch(/frozen by run .* of ada .*: Black Friday.*\n.*`break-freeze/);
    const back = { ...host.target, supervisor: 'process', ...state };
    const kept = await ending(job, 'rollback', back);
    expect(kept.outputs['reason-code']).toBe('environment_frozen');
    expect(await tree(host.state)).toEqual(before);
    expect(await host.versions()).toEqual({ v2: 20 });

    const broken = await ending(job, 'rollback', {
      ...back,
      'break-freeze': 'login is down',
    });
    expect(broken.outputs).toMatchObject({ result: 'succeeded', version: 'v1' });
    const shown = JSON.parse((await ask('show')).outputs['json'] ?? '') as Record<string, unknown>;
    expect(shown).toMatchObject({ version: 'v1', strategy: 'rollback', brokeFreeze: 'login is down' });
    expect((await ask('list')).summary).toContain('break-freeze by run');
    expect((await ask('unfreeze', { reason: 'over' })).outputs['frozen']).toBe('false');
  });

  it('touch nothing where the state cannot be written, and say which permission is missing', async () => {
    const before = await tree(host.state);
    const token = double.token({ ...presets.write, contents: 'read' });
    const step = await release('v3', { 'github-token': token });
    expect(step.outputs).toMatchObject({ result: 'failed', 'reason-code': 'permission_denied' });
    expect(errorOf(step)).toContain('contents: write');
    expect(errorOf(step)).toContain('v1');
    expect(await tree(host.state)).toEqual(before);
    expect(step.log).not.toContain(token);
  });

  it('touch nothing when GitHub goes away in the middle', async () => {
    const before = await tree(host.state);
    double.inject({ operation: 'POST /repos/{owner}/{repo}/git/commits', fault: faults.unprocessable });
    const step = await release('v3');
    double.behave();
    expect(step.outputs).toMatchObject({ result: 'failed', 'reason-code': 'internal' });
    expect(await tree(host.state)).toEqual(before);
    expect((await release('v3')).outputs['result']).toBe('succeeded');
  });

  it('are unlocked when their run is over, and not before', async () => {
    const other = await host.job({
      runId: '77',
      repository: double.name,
      env: { GITHUB_API_URL: double.apiUrl, GITHUB_GRAPHQL_URL: double.graphqlUrl },
    });
    const step = await other.start('blue-green-switch', {
      ...(await host.release('v4')),
      ...{ watch: '60s', ...state },
    });
    await step.line(/… watching/);
    const refused = await ask('unlock', { reason: 'too slow' });
    expect(refused.outputs).toMatchObject({ result: 'failed', 'reason-code': 'lock_held' });
    expect(errorOf(refused)).toContain('/actions/runs/77');
    const forced = await ask('unlock', { reason: 'too slow', force: 'true' });
    expect(forced.outputs['result']).toBe('succeeded');
    const ended = await step.cancel();
    expect(ended.outputs['reason-code']).toBe('lock_lost');
    // What it left is settled by the next one.
    expect((await release('v5')).outputs).toMatchObject({ result: 'succeeded', version: 'v5' });
    expect(await host.versions()).toEqual({ v5: 20 });
  });
});
