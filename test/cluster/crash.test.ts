import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createJob, type Job, type StepResult } from '../support/runner.ts';
import { watchEndpoints } from './endpoint-watch.ts';
import { publishServer } from './server-image.ts';
import { bothColours, openStage, type Stage } from './stage.ts';
import { stride } from './stride.ts';

const crash = join(import.meta.dirname, '../support/crash.mjs');
/** More writes than a release makes; the step that is not killed ends the search. */
const most = 60;
const repository = `acme/crash-${process.pid}`;

let stage: Stage;
let job: Job;
beforeAll(async () => {
  stage = await openStage();
  for (const version of ['a', 'b']) await publishServer(`${repository}:${version}`, { VERSION: version });
  await stage.apply(...bothColours('shop', { image: `${repository}:a`, replicas: 1, graceSeconds: 1 }));
  await stage.rolledOut('shop-blue');
  job = await createJob({ env: { KUBECONFIG: stage.releaser.kubeconfig } });
});
afterAll(async () => {
  await job.end();
  await stage.end();
});

const release = (version: string, env: Record<string, string> = {}): Promise<StepResult> =>
  job.step(
    'blue-green-switch',
    {
      platform: 'kubernetes',
      service: 'shop',
      image: `${repository}:${version}`,
      watch: '0',
      'keep-previous': 'false',
    },
    // The runner's own files are no writes to the cluster.
    { imports: [crash], env: { ...env, CRASH_IGNORE: '/' } },
  );

describe('blue-green-switch, killed before and after each of its writes', () => {
  it(
    'ends well the next time, and never leaves the Service without endpoints',
    { timeout: 600_000 },
    async () => {
      const endpoints = await watchEndpoints(stage.access, stage.name, 'shop');
      let wanted = 'b';
      let kills = 0;
      try {
        for (let write = 1; write <= most; write += stride) {
          const when = write % 2 === 1 ? 'before' : 'after';
          const killed = await release(wanted, { CRASH_AT: String(write), CRASH_WHEN: when });
          if (killed.signal !== 'SIGKILL') {
            expect(killed.outputs, killed.log).toMatchObject({ result: 'succeeded', version: wanted });
            break;
          }
          kills += 1;
          const again = await release(wanted);
          expect(again.outputs, `write ${write}, ${when}: ${again.log}`).toMatchObject({ version: wanted });
          expect(['succeeded', 'unchanged'], again.log).toContain(again.outputs['result']);
          wanted = wanted === 'a' ? 'b' : 'a';
        }
        expect(kills).toBeGreaterThan(6 / stride);
        expect(endpoints.problems).toEqual([]);
        expect(endpoints.least).toBeGreaterThan(0);
      } finally {
        endpoints.stop();
      }
      process.stderr.write(`killed at ${kills} writes; at least ${endpoints.least} endpoint(s) were ready\n`);
    },
  );
});
