import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeployError } from '@deploy-actions/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createJob, type Job } from '../support/runner.ts';
import { release } from './releases.ts';
import { publishServer } from './server-image.ts';
import { bothColours, openStage, type Stage } from './stage.ts';

const example = join(import.meta.dirname, '../../workflows-examples/kubernetes-blue-green');
const repository = `acme/piped-${process.pid}`;

let stage: Stage;
let folder: string;
let job: Job;
beforeAll(async () => {
  stage = await openStage();
  folder = await mkdtemp(join(tmpdir(), 'cluster-pipeline-'));
  for (const version of ['1', '2', '3'])
    await publishServer(`${repository}:${version}`, { VERSION: version });
  await stage.apply(
    ...bothColours('helpdesk-service', { image: `${repository}:1`, replicas: 1, graceSeconds: 1 }),
  );
  await stage.apply(...bothColours('other', { image: `${repository}:1`, replicas: 1, graceSeconds: 1 }));
  await stage.rolledOut('helpdesk-service-blue');
  await stage.rolledOut('other-blue');
  await mkdir(join(folder, '.github'));
  const config = await readFile(join(example, '.github/deploy.yml'), 'utf8');
  await writeFile(
    join(folder, '.github/deploy.yml'),
    `${config.replace('namespace: helpdesk', `namespace: ${stage.name}`).replace('watch: 30s', 'watch: 0')}strategy: blue-green\nwatch-after: 1s\n`,
  );
});
afterAll(async () => {
  await stage.end();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  job = await createJob({ env: { KUBECONFIG: stage.releaser.kubeconfig } });
  await cp(join(folder, '.github'), join(job.workspace, '.github'), { recursive: true });
});
afterEach(() => job.end());

const environment = 'production';

describe('by the deploy.yml of the example', () => {
  it('the pipeline releases, the ledger knows it, a freeze holds, and rollback goes back', async () => {
    const deployed = await job.step('deploy', { environment, version: '2', image: `${repository}:2` });
    expect(deployed.outputs, deployed.log).toMatchObject({
      result: 'succeeded',
      version: '2',
      slot: 'green',
    });
    const listed = await job.step('releases', { environment, command: 'list' });
    expect(listed.outputs, listed.log).toMatchObject({ result: 'succeeded', version: '2', frozen: 'false' });
    const frozen = await job.step('releases', { environment, command: 'freeze', reason: 'a test' });
    expect(frozen.outputs, frozen.log).toMatchObject({ result: 'succeeded', frozen: 'true' });
    const held = await job.step('blue-green-switch', { environment, image: `${repository}:3` });
    expect(held.outputs, held.log).toMatchObject({ 'reason-code': 'environment_frozen' });
    await job.step('releases', { environment, command: 'unfreeze', reason: 'it is over' });
    const back = await job.step('rollback', { environment });
    expect(back.outputs, back.log).toMatchObject({ result: 'succeeded', version: '1', slot: 'blue' });
  });
});

describe('twenty runs at once', () => {
  it('are one that wins, and nineteen that say who holds the lease', async () => {
    const clients = await Promise.all(Array.from({ length: 20 }, () => stage.connect()));
    const results = await Promise.allSettled(
      clients.map((client) => release({ client, service: 'other', image: `${repository}:2` })),
    );
    const won = results.filter(({ status }) => status === 'fulfilled');
    const reasons = results.map((result) => (result.status === 'rejected' ? String(result.reason) : 'won'));
    expect(won, reasons.join('\n')).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'fulfilled') continue;
      expect(result.reason).toBeInstanceOf(DeployError);
      expect(result.reason).toMatchObject({
        reasonCode: 'lock_held',
        message: expect.stringContaining(`run test-${process.pid}`),
      });
    }
  });
});
