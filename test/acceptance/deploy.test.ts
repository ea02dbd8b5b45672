import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text as readText } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faults, type GitHubDouble, startGitHub } from '../support/github/index.ts';
import type { Job, JobOptions, StepResult } from '../support/runner.ts';
import { ending, errorOf, expectEnding } from './ending.ts';
import { createHost, type Host, tree } from './host.ts';

/** Who is told how a deployment ended. */
async function startReceiver() {
  const told: { path: string; headers: IncomingHttpHeaders; body: string }[] = [];
  const server = createServer(async (request, response) => {
    told.push({ path: request.url ?? '', headers: request.headers, body: await readText(request) });
    response.end('ok');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, told, stop: () => server.close() };
}

describe('the pipeline in one step', { timeout: 90_000 }, () => {
  let host: Host;
  let github: GitHubDouble;
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  let job: Job;
  let workspace: string;
  beforeAll(async () => {
    [github, receiver] = await Promise.all([startGitHub(), startReceiver()]);
    // After them: it looks for free ports that it takes later.
    host = await createHost();
    workspace = join(host.root, 'workspace');
    await mkdir(join(workspace, '.github'), { recursive: true });
    job = await jobOf();
  });
  afterAll(async () => {
    receiver.stop();
    await host.end();
    await github.stop();
  });

  /** A job of a workflow on the double's repository. */
  const jobOf = ({ env = {}, ...more }: JobOptions = {}) =>
    host.job({
      workspace,
      token: github.token(),
      repository: github.name,
      env: {
        GITHUB_API_URL: github.apiUrl,
        GITHUB_GRAPHQL_URL: github.graphqlUrl,
        GITHUB_SHA: github.head,
        ...env,
      },
      ...more,
    });

  /** deploy.yml as a user writes it once; JSON is YAML. */
  async function configure(
    env: Record<string, string>,
    { health, ...more }: { health?: Record<string, unknown>; [key: string]: unknown } = {},
  ) {
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
        'watch-after': '500ms',
        'ready-timeout': '4s',
        'linux-host': {
          directory: join(host.root, 'releases/{version}'),
          command,
          'port-range': range,
          'readiness-path': '/health/',
          supervisor: 'process',
          env,
        },
        health: health ?? { url: `${host.url}health/`, timeout: '3s' },
        environments: { production: {} },
        ...more,
      }),
    );
  }

  /** A health check that passes so many times and then never again. */
  async function healthyFor(times: number) {
    await writeFile(
      join(workspace, 'health.mjs'),
      `import { appendFileSync, readFileSync } from 'node:fs';
       appendFileSync('asked', '.');
       if (readFileSync('asked').length > ${times}) { console.error('the queue is stuck'); process.exit(1); }`,
    );
    await writeFile(join(workspace, 'asked'), '');
    return {
      health: { command: [process.execPath, 'health.mjs'], timeout: '1s', interval: '100ms' },
    };
  }

  const deploy = (version: string, inputs: Record<string, string> = {}, by = job) =>
    ending(by, 'deploy', { environment: 'production', version, ...inputs });
  const phasesOf = ({ outputs }: StepResult) =>
    (JSON.parse(outputs['phases'] ?? '[]') as { name: string; result: string; undone: string | null }[]).map(
      ({ name, result, undone }) => `${name}: ${result}${undone === null ? '' : `, ${undone}`}`,
    );
  /** The statuses of the newest deployment of a version. */
  const statusesOf = (version: string) =>
    github.repository.deployments
      .findLast(({ payload }) => (payload as { version?: string }).version === version)
      ?.statuses.map(({ state, description }) => `${state}: ${description}`);

  it('says what deploy.yml lacks before it touches anything', async () => {
    const step = await deploy('v1', { strategy: 'canary' });
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'invalid_config' });
    expect(errorOf(step)).toMatch(/- app: is required and missing.*- platform: is required and missing/s);
    expect((await job.post(step))?.exitCode).toBe(0);
    expect(await tree(host.state)).toEqual({});
    expect(github.calls).toEqual([]);
  });

  it('plans without writing, in the one comment of the pull request', async () => {
    await configure({ VERSION: 'v1' }, { checks: { required: ['unit (ubuntu, 24)'] } });
    const { number, head } = github.openPull();
    const event = join(host.root, 'event.json');
    const repo = { full_name: github.name };
    await writeFile(event, JSON.stringify({ pull_request: { number, head: { sha: head, repo } } }));
    const pull = await jobOf({ env: { GITHUB_EVENT_NAME: 'pull_request', GITHUB_EVENT_PATH: event } });
    for (const version of ['v1', 'v2']) {
      const step = await deploy(version, { 'dry-run': 'true' }, pull);
      expect(step.outputs).toMatchObject({
        result: 'planned',
        'reason-code': 'dry_run',
        phase: 'postflight',
      });
      expect(phasesOf(step)).toEqual([
        'preflight: planned',
        'shift: planned',
        'watch: planned',
        'postflight: planned',
      ]);
      expect(step.summary).toContain(`start ${version} in blue`);
    }
    expect(await tree(host.state)).toEqual({});
    expect(github.repository.comments).toHaveLength(1);
    const [comment] = github.repository.comments;
    expect(comment).toMatchObject({ issue: number });
    expect(comment?.body).toContain('Plan: helpdesk v2 to production');
    expect(comment?.body).toContain('start v2 in blue');
    expect(comment?.body).not.toContain('start v1 in blue');
    expect(comment?.body).toContain('⏳ not on the commit');
    expect(github.repository.deployments).toEqual([]);
  });

  it('waits for no check in vain, and touches nothing before they are green', async () => {
    await configure({ VERSION: 'v1' }, { checks: { required: ['unit', 'security'], timeout: '1s' } });
    github.repository.statuses.push({
      ...{ id: 7, sha: github.head, context: 'unit', state: 'success', description: null },
    });
    const step = await deploy('v1');
    expect(step.outputs).toMatchObject({
      ...{ result: 'refused', 'reason-code': 'checks_not_green', phase: 'preflight', version: '' },
    });
    expect(errorOf(step)).toContain('«security» is not on the commit. Nothing was touched.');
    expect(step.log).toContain('waiting for the checks of the commit');
    expect(await tree(host.state)).toEqual({});
    expect(statusesOf('v1')?.at(-1)).toContain('failure: The commit is not green');
  });

  it.each([
    ['GitHub is down', faults.unprocessable, 'internal'],
    ['the token may not read them', faults.missingPermission, 'permission_denied'],
  ])('stops before any write when the checks cannot be read: %s', async (_why, fault, reasonCode) => {
    github.inject({ operation: /commits\/\{ref\}\/check-runs$/, fault });
    const step = await deploy('v1');
    github.behave();
    expect(step.outputs).toMatchObject({ result: 'failed', 'reason-code': reasonCode, phase: 'preflight' });
    expect(await tree(host.state)).toEqual({});
  });

  it('takes a version through all phases, as one deployment', async () => {
    await configure({ VERSION: 'v1' }, { 'environment-url': 'https://helpdesk.example/' });
    const step = await deploy('v1');
    expect(step.outputs).toMatchObject({ result: 'succeeded', version: 'v1', phase: 'postflight' });
    expect(phasesOf(step)).toEqual([
      ...['preflight: succeeded', 'shift: succeeded', 'watch: succeeded', 'postflight: succeeded'],
    ]);
    expect(step.summary).toMatch(/```mermaid\nflowchart LR\n {2}preflight\["✅ Preflight/);
    expect(step.summary).toContain('<details><summary>Shift: succeeded</summary>');
    expect(await host.versions()).toEqual({ v1: 20 });
    expect(
      github.repository.deployments.filter(({ statuses }) => statuses.at(-1)?.state === 'success'),
    ).toHaveLength(1);
    expect(statusesOf('v1')).toEqual(
      expect.arrayContaining([
        'in_progress: Looking before anything is touched',
        'in_progress: Traffic: blue 100 %',
        'in_progress: Watching the new version',
        'in_progress: Looking at the whole',
      ]),
    );
    expect(statusesOf('v1')?.at(-1)).toMatch(/^success: /);
    expect((await job.post(step))?.exitCode).toBe(0);
  });

  it('does nothing when the version serves already', async () => {
    const step = await deploy('v1');
    expect(step.outputs).toMatchObject({ result: 'unchanged', 'reason-code': 'already_current' });
    expect(phasesOf(step)).toContain('watch: unchanged');
  });

  it('stops at a frozen environment, unless broken open with a reason', async () => {
    await configure({ VERSION: 'v2' });
    const desk = { environment: 'production', reason: 'The shop is busy' };
    expect((await ending(job, 'releases', { command: 'freeze', ...desk })).exitCode).toBe(0);
    const before = await tree(host.state);
    const refused = await deploy('v2');
    expect(refused.outputs).toMatchObject({
      ...{ result: 'refused', 'reason-code': 'environment_frozen', phase: 'preflight', version: 'v1' },
    });
    expect(errorOf(refused)).toMatch(/The shop is busy\. Nothing was written\. v1 \(blue\) serves/);
    expect(await tree(host.state)).toEqual(before);
    const planned = await deploy('v2', { 'dry-run': 'true' });
    expect(planned.outputs['result']).toBe('planned');
    expect(planned.summary).toContain(
      'As it is now, it would wait or be refused: helpdesk in production is frozen',
    );

    const broken = await deploy('v2', { 'break-freeze': 'Outage of the login.' });
    expect(broken.outputs).toMatchObject({ result: 'succeeded', version: 'v2' });
    expect(broken.log).toContain('is frozen; going on: Outage of the login.');
    await configure({ VERSION: 'v1' });
    expect((await ending(job, 'releases', { command: 'unfreeze', ...desk })).exitCode).toBe(0);
    expect((await deploy('v1')).outputs['result']).toBe('succeeded');
  });

  it('touches nothing while another run releases', async () => {
    await configure({ VERSION: 'v2' }, { 'watch-after': '0', watch: '5s' });
    const first = await job.start('deploy', { environment: 'production', version: 'v2' });
    await first.line(/… watching/);
    const second = await deploy('v1', {}, await jobOf({ runId: '2' }));
    expect(second.outputs).toMatchObject({
      result: 'failed',
      'reason-code': 'lock_held',
      phase: 'preflight',
    });
    expect(errorOf(second)).toContain('actions/runs/1');
    await first.cancel();
    expect(await host.versions()).toEqual({ v1: 20 });
  });

  it('moves no traffic when the migration fails', async () => {
    const database = { migrator: 'django', directory: host.root, python: '/bin/false' };
    await configure({ VERSION: 'v2' }, { database });
    const step = await deploy('v2');
    expect(step.outputs).toMatchObject({ result: 'failed', phase: 'migrate', version: 'v1' });
    expect(phasesOf(step)).toEqual(['preflight: succeeded', 'migrate: failed']);
    expect(step.summary).toContain('Shift<br>not begun');
    expect(await host.versions()).toEqual({ v1: 20 });
  });

  it.each([
    ['in the end', 'postflight', '0', 0],
    ['while it is watched', 'watch', '20s', 3],
  ])('gives the traffic back when the application is not healthy %s', async (_when, phase, watch, times) => {
    await configure({ VERSION: 'v2' }, { 'watch-after': watch, ...(await healthyFor(times)) });
    const notified = receiver.told.length;
    const step = await deploy('v2', {
      'slack-webhook': `${receiver.url}/slack/secret-path`,
      'webhook-url': `${receiver.url}/hook`,
      'webhook-secret': 'shared-secret',
    });
    expect(step.outputs).toMatchObject({
      ...{ result: 'rolled-back', 'reason-code': 'unhealthy', phase },
      ...{ version: 'v1', 'rejected-version': 'v2' },
    });
    expect(phasesOf(step)).toEqual(expect.arrayContaining(['shift: succeeded, undone', `${phase}: failed`]));
    expect(errorOf(step)).toMatch(/the queue is stuck.* The traffic was given back: v1 has all traffic/s);
    expect(step.summary).toContain('-. "taken back" .-> shift');
    expect(await host.versions()).toEqual({ v1: 20 });
    expect(statusesOf('v2')?.at(-1)).toMatch(/^failure: /);
    expect(statusesOf('v1')?.at(-1)).toMatch(/^success: v1 serves again/);

    const [slack, hook] = receiver.told.slice(notified).toSorted((a, b) => (a.path < b.path ? 1 : -1));
    expect(JSON.parse(slack?.body ?? '')).toMatchObject({
      text: expect.stringContaining('❌ helpdesk v2 to production: rolled-back'),
    });
    expect(JSON.parse(hook?.body ?? '')).toMatchObject({
      ...{ app: 'helpdesk', environment: 'production', version: 'v2', result: 'rolled-back' },
      ...{ reasonCode: 'unhealthy', serving: 'v1', run: expect.stringContaining('/actions/runs/') },
    });
    const signature = createHmac('sha256', 'shared-secret')
      .update(hook?.body ?? '')
      .digest('hex');
    expect(hook?.headers['x-deploy-actions-signature-256']).toBe(`sha256=${signature}`);
    expect(step.raw).not.toContain('secret-path');
  });

  it('tells that it went well again, and nothing of what goes on going well', async () => {
    const notified = receiver.told.length;
    const inputs = { 'webhook-url': `${receiver.url}/hook` };
    await configure({ VERSION: 'v2', AGAIN: '1' });
    expect((await deploy('v2', inputs)).outputs['result']).toBe('succeeded');
    await configure({ VERSION: 'v1' });
    expect((await deploy('v1', inputs)).outputs['result']).toBe('succeeded');
    const told = receiver.told.slice(notified).map(({ body }) => JSON.parse(body) as Record<string, unknown>);
    expect(told).toEqual([expect.objectContaining({ version: 'v2', result: 'succeeded', recovered: true })]);
  });

  it('goes no further than a version that never gets ready, whoever can be told of it', async () => {
    await configure({ VERSION: 'v3', NEVER_READY: '1' });
    const step = await deploy('v3', { 'webhook-url': 'http://127.0.0.1:1/' });
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'not_ready', phase: 'shift' });
    expect(phasesOf(step)).toEqual(['preflight: succeeded', 'shift: refused']);
    expect(step.annotations.find(({ level }) => level === 'warning')?.message).toContain(
      'The notification to the webhook was not delivered; this does not change the result',
    );
    expect(await host.versions()).toEqual({ v1: 20 });
  });

  it('gives the traffic back when it is cancelled while it watches, in the time there is', async () => {
    await configure({ VERSION: 'v3' }, { 'watch-after': '1m' });
    const inputs = { environment: 'production', version: 'v3', 'webhook-url': `${receiver.url}/hook` };
    const step = await job.start('deploy', inputs);
    await step.line(/… watching/);
    expect(await host.versions()).toEqual({ v3: 20 });
    const asked = performance.now();
    const ended = await expectEnding(job, await step.cancel());
    expect(performance.now() - asked).toBeLessThan(7_500);
    expect(ended.outputs).toMatchObject({ result: 'cancelled', phase: 'watch', version: 'v1' });
    expect(phasesOf(ended)).toContain('shift: succeeded, undone');
    expect(JSON.parse(receiver.told.at(-1)?.body ?? '')).toMatchObject({
      result: 'cancelled',
      serving: 'v1',
    });
    const after = await job.post(ended);
    expect(after?.exitCode, after?.log).toBe(0);
    expect(after?.log).not.toContain('doing so now');
    expect(await host.versions()).toEqual({ v1: 20 });
    expect(statusesOf('v3')?.at(-1)).toMatch(/^error: /);
  });

  it('is settled by the post step when it was killed while it watched', async () => {
    await configure({ VERSION: 'v3', AGAIN: '1' }, { 'watch-after': '1m' });
    const inputs = { environment: 'production', version: 'v3', 'webhook-url': `${receiver.url}/hook` };
    const step = await job.start('deploy', inputs);
    await step.line(/… watching/);
    const after = await job.post(await step.kill());
    expect(after?.exitCode, after?.log).toBe(0);
    expect(after?.log).toContain('The traffic was given back: v1 has all traffic');
    expect(await host.versions()).toEqual({ v1: 20 });
    expect(JSON.parse(receiver.told.at(-1)?.body ?? '')).toMatchObject({
      result: 'cancelled',
      serving: 'v1',
    });
    expect(statusesOf('v3')?.at(-1)).toMatch(/^error: The main step was ended/);
  });
});
