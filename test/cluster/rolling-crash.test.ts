import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createJob, type Job, type StepResult } from '../support/runner.ts';
import { watchEndpoints } from './endpoint-watch.ts';
import { nodePortService, publishServer, serverDeployment } from './server-image.ts';
import { openStage, type Stage } from './stage.ts';
import { stride } from './stride.ts';

const crash = join(import.meta.dirname, '../support/crash.mjs');
/** More writes than an update makes; the step that is not killed ends the search. */
const most = 60;
const repository = `acme/rolling-crash-${process.pid}`;

let stage: Stage;
let job: Job;
beforeAll(async () => {
  stage = await openStage('kubernetes-rolling');
  for (const version of ['a', 'b']) await publishServer(`${repository}:${version}`, { VERSION: version });
  await place('a');
  await stage.apply(nodePortService('app', { app: 'app' }));
  job = await createJob({ env: { KUBECONFIG: stage.releaser.kubeconfig } });
});
afterAll(async () => {
  await job.end();
  await stage.end();
});

/** Without a hook, so that its pods have to be handed over. */
async function place(version: string): Promise<void> {
  const image = `${repository}:${version}`;
  await stage.apply(serverDeployment({ name: 'app', image, replicas: 1, graceSeconds: 1 }));
  await stage.kubectl(
    ...['patch', 'deployment/app', '--type=merge', '-p'],
    JSON.stringify({
      spec: {
        template: {
          spec: {
            containers: [
              {
                name: 'server',
                image,
                ports: [{ containerPort: 8000 }],
                readinessProbe: { httpGet: { path: '/health/', port: 8000 }, periodSeconds: 1 },
              },
            ],
          },
        },
      },
    }),
  );
  await stage.rolledOut('app');
}

const update = (version: string, env: Record<string, string> = {}): Promise<StepResult> =>
  job.step(
    'rolling-update',
    { workload: 'deployment/app', image: `${repository}:${version}`, 'drain-seconds': '1' },
    // The runner's own files are no writes to the cluster.
    { imports: [crash], env: { ...env, CRASH_IGNORE: '/' } },
  );

it(
  'rolling-update, killed before and after each of its writes, ends well the next time and never leaves the Service without endpoints',
  { timeout: 600_000 },
  async () => {
    const endpoints = await watchEndpoints(stage.access, stage.name, 'app');
    let [present, wanted] = ['a', 'b'];
    let kills = 0;
    try {
      for (let write = 1; write <= most; write += stride) {
        const when = write % 2 === 1 ? 'before' : 'after';
        const killed = await update(wanted, { CRASH_AT: String(write), CRASH_WHEN: when });
        if (killed.signal !== 'SIGKILL') {
          expect(killed.outputs, killed.log).toMatchObject({ result: 'succeeded', version: wanted });
          break;
        }
        kills += 1;
        const again = await update(wanted);
        expect(again.outputs, `write ${write}, ${when}: ${again.log}`).toMatchObject({ version: wanted });
        expect(['succeeded', 'unchanged'], again.log).toContain(again.outputs['result']);
        const left = await stage.kubectl(
          ...['get', 'deployment/app', '-o'],
          'jsonpath={.spec.minReadySeconds}{.metadata.annotations.deploy-actions\\.dev/min-ready-seconds}',
        );
        expect(left, `write ${write}, ${when}`).toBe('');
        await place(wanted);
        [present, wanted] = [wanted, present];
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
