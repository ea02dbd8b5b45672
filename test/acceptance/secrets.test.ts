import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Job, StepResult } from '../support/runner.ts';
import { ending } from './ending.ts';
import { createHost, type Host } from './host.ts';

/** What no log, summary, output, report or command line may show. */
const marker = 'correct-horse-battery-staple';

describe('secrets, with debug logging on', { timeout: 90_000 }, () => {
  let host: Host;
  let job: Job;
  beforeAll(async () => {
    host = await createHost();
    job = await host.job();
  });
  afterAll(() => host.end());

  /** `raw` is what was written, so a mask that the runner puts over it in the log is no excuse. */
  async function expectSilence(step: StepResult): Promise<void> {
    expect(step.raw).not.toContain(marker);
    expect(step.log).not.toContain(marker);
    expect(await readFile(step.outputs['report'] ?? '', 'utf8')).not.toContain(marker);
    const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
    const lines = await Promise.all(
      pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
    );
    expect(lines.filter((line) => line.includes(marker))).toEqual([]);
  }

  it('an environment stays unseen when the release succeeds', async () => {
    const inputs = await host.release('v1', { API_TOKEN: marker });
    const step = await ending(job, 'blue-green-switch', { ...inputs, watch: '0' }, { debug: true });
    expect(step.outputs['result']).toBe('succeeded');
    await expectSilence(step);
  });

  it('and when the application prints it and ends', async () => {
    const inputs = await host.release('v2', { API_TOKEN: marker });
    await writeFile(join(inputs['directory'] ?? '', 'app.ts'), 'console.log(process.env); process.exit(1);');
    const step = await ending(job, 'blue-green-switch', { ...inputs, watch: '0' }, { debug: true });
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'start_failed' });
    expect(step.log).toContain('API_TOKEN');
    await expectSilence(step);
  });

  it('headers of a health check do', async () => {
    const step = await ending(
      job,
      'health-check',
      { url: host.url, headers: `X-Api-Key=${marker}`, timeout: '0' },
      { debug: true },
    );
    expect(step.outputs['result']).toBe('succeeded');
    expect(step.masks).toContain(marker);
    await expectSilence(step);
  });

  it('a wrong value of an environment is not repeated', async () => {
    const inputs = await host.release('v3');
    const step = await ending(job, 'blue-green-switch', { ...inputs, env: marker }, { debug: true });
    expect(step.outputs).toMatchObject({ result: 'refused', 'reason-code': 'invalid_input' });
    expect(step.raw).not.toContain(marker);
  });
});
