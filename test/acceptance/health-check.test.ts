import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createJob, type Job } from '../support/runner.ts';
import { ending, errorOf } from './ending.ts';
import { distOption } from './host.ts';

const servers: ChildProcess[] = [];

/** The address of an application that behaves as `env` says. */
async function serve(env: Record<string, string>): Promise<string> {
  const program = join(import.meta.dirname, '../support/static-server.ts');
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
    env: { ...env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  servers.push(child);
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return `http://127.0.0.1:${(JSON.parse(line) as { listening: number }).listening}/health/`;
}

describe('health-check', () => {
  let job: Job;
  beforeAll(async () => {
    job = await createJob(distOption);
  });
  afterAll(async () => {
    for (const child of servers) child.kill('SIGKILL');
    await job.end();
  });

  it('succeeds once the application was healthy several times in a row, and lists its dependencies', async () => {
    const url = await serve({ READY_AFTER_MS: '3000' });
    const step = await ending(job, 'health-check', {
      ...{ url, json: 'status=healthy', successes: '3', interval: '200ms', timeout: '30s' },
    });
    expect(step.outputs).toMatchObject({ result: 'succeeded', 'reason-code': 'ok', 'last-status': '200' });
    expect(Number(step.outputs['checks'])).toBeGreaterThan(3);
    expect(JSON.parse(step.outputs['dependencies'] ?? '')).toMatchObject([
      { name: 'database', status: 'healthy' },
      { name: 'cache', status: 'healthy' },
    ]);
    expect(step.summary).toMatch(/^## ✅ Health check: succeeded$/m);
    expect(step.summary).toMatch(/^\| database \| healthy \|/m);
  });

  it('fails after its deadline, with what it saw last', async () => {
    const url = await serve({ NEVER_READY: '1' });
    const step = await ending(job, 'health-check', { url, timeout: '1s', interval: '200ms' });
    expect(step.outputs).toMatchObject({
      result: 'failed',
      'reason-code': 'unhealthy',
      'last-status': '503',
    });
    expect(errorOf(step)).toContain(`${url} was not healthy within 1s`);
    expect(errorOf(step)).toMatch(/Last seen: .*503/);
    expect(errorOf(step)).toContain('What to do next:');
    expect(step.summary).toMatch(/^\| cache \| unhealthy \|/m);
  });

  it('asks a command', async () => {
    const step = await ending(job, 'health-check', { command: 'false', timeout: '0' });
    expect(step.outputs).toMatchObject({ result: 'failed', checks: '1', 'last-status': '1' });
    const healthy = await ending(job, 'health-check', { command: 'true', timeout: '0' });
    expect(healthy.outputs).toMatchObject({ result: 'succeeded', checks: '1', 'last-status': '0' });
  });

  it('refuses all wrong inputs in one go', async () => {
    const step = await ending(job, 'health-check', {
      ...{ url: 'ftp://x', status: '99', interval: '2 lightyears', sucesses: '3' },
    });
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'invalid_input', checks: '' });
    const problems = errorOf(step);
    expect(problems).toMatch(/url: "ftp:\/\/x" .*allowed is/);
    expect(problems).toMatch(/status: "99" .*allowed/);
    expect(problems).toMatch(/interval: "2 lightyears" .*allowed/);
    expect(problems).toContain('sucesses: is not an input of this action. Did you mean `successes`?');
  });
});
