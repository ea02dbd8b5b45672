import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countsOf, startLoad } from '../support/load/index.ts';
import { createJob, type Job } from '../support/runner.ts';
import { manifestFile, provideSecrets } from './namespace.ts';
import { publishServer } from './server-image.ts';
import { openStage, type Stage } from './stage.ts';

/** A repository of the test's own in place of the document's `helpdesk-backend`. */
const repository = `acme/document-${process.pid}`;

let stage: Stage;
let job: Job;
let url: string;
beforeAll(async () => {
  stage = await openStage();
  // Pods of the document have no readiness probe: they count as ready before their port is open.
  const env = { START_DELAY: '2s' };
  for (const version of ['blue', 'green', '2.0', '2.1']) {
    await publishServer(`${repository}:${version}`, { VERSION: version, ...env });
  }
  await provideSecrets(stage);
  const manifest = await readFile(manifestFile('blue-green-deployment.yml'), 'utf8');
  await stage.apply(manifest.replaceAll('helpdesk-backend:', `${repository}:`));
  // Reachable for the load; the document has it behind an ingress.
  await stage.kubectl('patch', 'service', 'helpdesk-service', '-p', '{"spec":{"type":"NodePort"}}');
  await stage.rolledOut('helpdesk-blue');
  await stage.rolledOut('helpdesk-green');
  url = await stage.urlOf('helpdesk-service');
  job = await createJob({ env: { KUBECONFIG: stage.releaser.kubeconfig } });
});
afterAll(async () => {
  await job.end();
  await stage.end();
});

describe('the manifests of the document, as they are', () => {
  it(
    'are released to with platform, service and image, and nothing is lost',
    { timeout: 240_000 },
    async () => {
      const load = await startLoad({
        url: `${url}/`,
        rate: 200,
        durationSeconds: 200,
        kinds: ['new'],
        phase: 'switches',
      });
      try {
        const target = { platform: 'kubernetes', service: 'helpdesk-service', watch: '0' };
        const release = (image: string, more: Record<string, string> = {}) =>
          job.step('blue-green-switch', { ...target, image: `${repository}:${image}`, ...more });
        const first = await release('2.0');
        expect(first.outputs, first.log).toMatchObject({
          result: 'succeeded',
          version: '2.0',
          slot: 'green',
          'previous-version': 'blue',
        });
        const second = await release('2.1', { 'keep-previous': 'false' });
        expect(second.outputs, second.log).toMatchObject({
          result: 'succeeded',
          version: '2.1',
          slot: 'blue',
        });
        const back = await job.step('rollback', target);
        expect(back.outputs, back.log).toMatchObject({ result: 'succeeded', version: '2.0', slot: 'green' });
        await delay(1_000);
        const report = await load.stop();
        const counts = countsOf(report.phases[0]?.kinds ?? {});
        process.stderr.write(`${JSON.stringify(counts)}\n`);
        expect(counts, JSON.stringify(report.phases)).toMatchObject({ lost: 0, failed: 0 });
        expect(counts.answered).toBeGreaterThan(1_000);
        const { versions = {} } = report.phases[0]?.kinds.new ?? {};
        expect(Object.keys(versions).toSorted()).toEqual(['2.0', '2.1', 'blue']);
      } finally {
        load.kill();
      }
    },
  );
});
