// Workers and a scheduler released with a Service, on the real kubelet: jobs in hand are finished, none is lost or done twice, and
// there is never a second scheduler.

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createJob, type Job as Steps } from '../support/runner.ts';
import { countPods, type JobQueue, type PodCount, startJobQueue } from './job-queue.ts';
import { publishServer, serverDeployment, type ServerOptions } from './server-image.ts';
import { bothColours, openStage, type Stage } from './stage.ts';

const repository = `acme/jobs-${process.pid}`;
/** Milliseconds. Longer than a pod needs to be told to end, and than the traffic takes to move. */
const jobTakes = 6_000;

let stage: Stage;
let queue: JobQueue;
let schedulers: PodCount;
let steps: Steps;
let feeding: NodeJS.Timeout;

interface Manifest {
  spec: { strategy?: object; template: { spec: { containers: Record<string, unknown>[] } } };
}

/** A Deployment of what does not listen. */
function silent(options: ServerOptions, strategy?: object): object {
  const manifest = serverDeployment(options) as Manifest;
  for (const container of manifest.spec.template.spec.containers) {
    delete container['readinessProbe'];
    delete container['ports'];
  }
  if (strategy !== undefined) manifest.spec.strategy = strategy;
  return manifest;
}

beforeAll(async () => {
  stage = await openStage();
  queue = await startJobQueue();
  for (const version of ['1', '2', '3'])
    await publishServer(`${repository}:${version}`, { VERSION: version });
  const image = `${repository}:1`;
  const of = (app: string, slot: string) => ({
    image,
    name: `${app}-${slot}`,
    labels: { app, version: slot },
  });
  await stage.apply(
    ...bothColours('shop', { image, replicas: 1, graceSeconds: 1 }),
    ...['blue', 'green'].flatMap((slot) => [
      silent({
        ...of('celery-worker', slot),
        replicas: slot === 'blue' ? 2 : 0,
        graceSeconds: 120,
        env: { QUEUE: queue.url, ROLE: 'worker' },
      }),
      silent(
        {
          ...of('celery-beat', slot),
          replicas: slot === 'blue' ? 1 : 0,
          env: { QUEUE: queue.url, ROLE: 'scheduler', STOP_AFTER: '2s' },
        },
        { type: 'Recreate' },
      ),
    ]),
  );
  for (const name of ['shop-blue', 'celery-worker-blue', 'celery-beat-blue']) await stage.rolledOut(name);
  schedulers = await countPods(stage.access, stage.name, 'celery-beat');
  steps = await createJob({ env: { KUBECONFIG: stage.releaser.kubeconfig } });
  feeding = setInterval(() => {
    // As many as two workers can do, and some more.
    if (queue.jobs.filter(({ taken }) => taken.length === 0).length < 4) queue.add(jobTakes);
  }, 200);
});
afterAll(async () => {
  clearInterval(feeding);
  schedulers.stop();
  await steps.end();
  queue.stop();
  await stage.end();
});

const inputs = (own: Record<string, string> = {}): Record<string, string> => ({
  platform: 'kubernetes',
  service: 'shop',
  workers: 'celery-worker',
  scheduler: 'celery-beat',
  'worker-drain': '90s',
  watch: '0s',
  ...own,
});

const underWay = () => queue.jobs.filter(({ taken, done }) => taken.length > 0 && done.length === 0);
const replicas = async (name: string): Promise<string> =>
  stage.kubectl('get', 'deployment', name, '-o', 'jsonpath={.spec.replicas}');

describe('workers and a scheduler', { timeout: 400_000 }, () => {
  it('are planned with what becomes of them, and with what is too short', async () => {
    const step = await steps.step('blue-green-switch', {
      ...inputs({ image: `${repository}:2`, 'worker-drain': '10m' }),
      'dry-run': 'true',
    });
    expect(step.exitCode, step.log).toBe(0);
    expect(step.log).toMatch(
      /scale celery-beat-blue to 0, wait until no pod of it is left, and only then start celery-beat-green/,
    );
    expect(step.log).toMatch(/scale celery-worker-blue to 0 and wait up to 10m/);
    expect(step.annotations.map(({ message }) => message).join('\n')).toMatch(
      /pods of celery-worker-blue are killed 2m after SIGTERM/,
    );
    expect(await replicas('celery-worker-green')).toBe('0');
  });

  it.each([
    ['a release', 'blue-green-switch', { image: `${repository}:2` }, 'green', '2'],
    ['a rollback', 'rollback', {}, 'blue', '1'],
  ])('%s loses no job, and never has two schedulers', async (_name, action, own, slot, version) => {
    const other = slot === 'green' ? 'blue' : 'green';
    await expect.poll(() => underWay().length, { timeout: 60_000 }).toBeGreaterThan(1);
    const before = queue.beats.length;
    const inHand = underWay();
    const step = await steps.step(action, inputs(own));
    expect(step.exitCode, step.log).toBe(0);
    expect(step.outputs['version']).toBe(version);
    // It has waited for them: no pod of the old colour runs. The objects of those that have ended may be there for a moment more.
    const running = 'status.phase!=Succeeded,status.phase!=Failed';
    const pods = await stage.kubectl(
      ...['get', 'pods', '-l', `version=${other}`, '--field-selector', running, '-o', 'name'],
    );
    expect(pods).not.toMatch(/celery/);
    expect([await replicas(`celery-worker-${slot}`), await replicas(`celery-beat-${slot}`)]).toEqual([
      '2',
      '1',
    ]);
    expect([await replicas(`celery-worker-${other}`), await replicas(`celery-beat-${other}`)]).toEqual([
      '0',
      '0',
    ]);
    expect(inHand.filter(({ done }) => done.length !== 1)).toEqual([]);
    expect(queue.jobs.filter(({ taken, done }) => taken.length > 1 || done.length > 1)).toEqual([]);
    // Whatever is under way now is with the new workers.
    expect(
      underWay()
        .flatMap(({ taken }) => taken)
        .filter((one) => one.version !== version),
    ).toEqual([]);
    await expect
      .poll(
        () =>
          queue.beats
            .slice(before)
            .map(({ by }) => by)
            .findLast(() => true) ?? '',
        { timeout: 20_000 },
      )
      .toMatch(new RegExp(`^celery-beat-${slot}`));
    const order = queue.beats.slice(before).map(({ by }) => by);
    expect(order.filter((by, index) => by !== order[index - 1])).toHaveLength(2);
    expect(schedulers.problems).toEqual([]);
    expect(schedulers.most()).toBe(1);
    process.stderr.write(
      `${inHand.length} jobs were in hand, ${queue.jobs.filter(({ done }) => done.length === 1).length} are done\n`,
    );
  });

  it('that do not start are no reason to lose the traffic: the release is taken back, and the old ones work on', async () => {
    // A quota that leaves no room for the workers of the new colour.
    await stage.kubectl('set', 'resources', 'deployment/celery-worker-green', '--requests=cpu=900');
    const step = await steps.step(
      'blue-green-switch',
      inputs({ image: `${repository}:3`, 'ready-timeout': '60s' }),
    );
    expect(step.exitCode, step.log).toBe(1);
    expect(step.outputs['reason-code'], step.log).toBe('start_failed');
    expect(step.log).toMatch(/celery-worker-green/);
    expect(await replicas('celery-worker-green')).toBe('0');
    expect([await replicas('celery-worker-blue'), await replicas('celery-beat-blue')]).toEqual(['2', '1']);
    const serving = await stage.kubectl('get', 'service', 'shop', '-o', 'jsonpath={.spec.selector.version}');
    expect(serving).toBe('blue');
    await delay(1_000);
    expect(schedulers.problems).toEqual([]);
  });
});
