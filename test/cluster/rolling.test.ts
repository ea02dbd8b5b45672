import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rollBack, rollTo, type Update, type Updated } from './rolling-run.ts';
import { publishServer, serverDeployment } from './server-image.ts';
import { openStage, type Stage } from './stage.ts';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage('kubernetes-rolling');
  for (const version of ['1', '2', '3']) await publishServer(`acme/rolled:${version}`, { VERSION: version });
  await publishServer('acme/rolled:crash', { VERSION: 'crash', CRASH_AFTER: '100ms', READY_AFTER: 'never' });
  await publishServer('acme/rolled:brief', { VERSION: 'brief', CRASH_AFTER: '10s' });
  await publishServer('acme/rolled:slow', { VERSION: 'slow', START_DELAY: '20s' });
});
afterAll(() => stage.end());

const update = (workload: string, image: string, more: Partial<Update> = {}): Promise<Updated> =>
  rollTo({ kubeconfig: stage.releaser.kubeconfig, namespace: stage.name, workload, image, ...more });

const field = async (workload: string, path: string) =>
  (await stage.kubectl('get', workload, '-o', `jsonpath={${path}}`)).trim();
const imageOf = (workload: string) => field(workload, '.spec.template.spec.containers[0].image');

async function place(name: string, replicas = 2): Promise<string> {
  await stage.apply(serverDeployment({ name, image: 'acme/rolled:1', replicas }));
  await stage.rolledOut(name);
  return `deployment/${name}`;
}

describe('a Deployment', () => {
  it('is planned by field without a write, then updated with a hook, a grace period and no pod missing', async () => {
    const workload = await place('web');
    const wanted = () => field(workload, "['metadata.annotations', 'metadata.labels', 'spec']");
    const before = await wanted();
    const planned = await update(workload, 'acme/rolled:2', { inputs: { 'dry-run': true } });
    expect(planned.outcome).toMatchObject({ result: 'planned', outputs: { version: '1' } });
    expect(planned.outcome.report).toMatchObject({
      changes: expect.arrayContaining([
        'spec.template.spec.containers[server].image: acme/rolled:1 → acme/rolled:2',
        'spec.template.spec.terminationGracePeriodSeconds: 30 → 35',
        'spec.strategy.rollingUpdate.maxUnavailable: 25% → 0',
      ]),
    });
    expect(await wanted()).toBe(before);
    await expect(stage.kubectl('get', 'lease', 'deploy-actions.deployment.web.lease')).rejects.toThrow();

    const { outcome, lines } = await update(workload, 'acme/rolled:2');
    expect(outcome, lines.join('\n')).toMatchObject({
      result: 'succeeded',
      reasonCode: 'ok',
      outputs: { version: '2', 'previous-version': '1' },
    });
    expect(lines.join('\n')).toContain('Deployment web has no preStop hook (server)');
    expect(await field(workload, '.spec.template.spec.containers[0].lifecycle.preStop.sleep.seconds')).toBe(
      '5',
    );
    const again = await update(workload, 'docker.io/acme/rolled:2');
    expect(again.outcome).toMatchObject({ result: 'unchanged', reasonCode: 'already_current' });
  });

  it('of which a version crashes, or is not there, goes back, and says with its last words why', async () => {
    const workload = await place('back');
    const crashed = await update(workload, 'acme/rolled:crash');
    expect(crashed.outcome, crashed.lines.join('\n')).toMatchObject({
      result: 'rolled-back',
      reasonCode: 'start_failed',
      message: expect.stringMatching(/container server of back-.*CrashLoopBackOff/),
      outputs: { version: '1', 'rejected-version': 'crash' },
    });
    expect(await imageOf(workload)).toBe('acme/rolled:1');
    await expect.poll(() => field(workload, '.status.readyReplicas')).toBe('2');
    const missing = await update(workload, 'acme/rolled:no-such-tag');
    expect(missing.outcome).toMatchObject({
      result: 'rolled-back',
      reasonCode: 'start_failed',
      message: expect.stringMatching(/ErrImagePull|ImagePullBackOff/),
    });
    const left = await update(workload, 'acme/rolled:crash', { onFailure: 'leave' });
    expect(left.outcome).toMatchObject({ result: 'failed', outputs: { version: 'crash' } });
    expect(await imageOf(workload)).toBe('acme/rolled:crash');
    const good = await update(workload, 'acme/rolled:3');
    expect(good.outcome).toMatchObject({ result: 'succeeded', outputs: { version: '3' } });
  });

  it('of which a version is ready, and crashes while it is watched, goes back', async () => {
    const workload = await place('watched', 1);
    const brief = await update(workload, 'acme/rolled:brief', { drain: 1, watch: 60_000 });
    expect(brief.outcome, brief.lines.join('\n')).toMatchObject({
      result: 'rolled-back',
      reasonCode: 'start_failed',
      message: expect.stringMatching(/container server of watched-.*CrashLoopBackOff/),
      outputs: { version: '1', 'rejected-version': 'brief' },
    });
    expect(brief.lines.join('\n')).toMatch(/1 of 1 pods ready, and watched for .* more/);
    expect(await imageOf(workload)).toBe('acme/rolled:1');
    const steady = await update(workload, 'acme/rolled:2', { drain: 1, watch: 2_000 });
    expect(steady.outcome, steady.lines.join('\n')).toMatchObject({ result: 'succeeded' });
  });

  it('refuses an image that no container has, and touches nothing', async () => {
    const workload = await place('other', 1);
    await expect(update(workload, 'ghcr.io/acme/rolled:2')).rejects.toMatchObject({
      reasonCode: 'not_found',
      message: expect.stringContaining(
        'Deployment other has no container of the repository ghcr.io/acme/rolled',
      ),
    });
    expect(await imageOf(workload)).toBe('acme/rolled:1');
  });

  it('is brought to a good state by the next run, when a run was killed in the middle', async () => {
    const workload = await place('killed');
    const args = [join(import.meta.dirname, 'rolling-run.ts'), stage.releaser.kubeconfig, stage.name];
    const child = spawn(process.execPath, [...args, workload, 'acme/rolled:slow'], { stdio: 'inherit' });
    await expect.poll(() => imageOf(workload), { timeout: 30_000 }).toBe('acme/rolled:slow');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const { outcome, lines } = await update(workload, 'acme/rolled:2');
    expect(outcome, lines.join('\n')).toMatchObject({
      result: 'succeeded',
      outputs: { version: '2', 'previous-version': '1' },
      message: expect.stringContaining('The unfinished release of slow was taken back first.'),
    });
  });

  it('goes back to the version before, to a named one, never to one that failed, and says what is there when there is none', async () => {
    const workload = await place('history');
    const back = (version?: string) =>
      rollBack({ kubeconfig: stage.releaser.kubeconfig, namespace: stage.name, workload }, version);
    await expect(back()).rejects.toMatchObject({
      reasonCode: 'version_not_found',
      remedy: expect.stringContaining('The cluster keeps revisions 1 (1, the present one).'),
    });
    await update(workload, 'acme/rolled:2', { drain: 1 });
    await update(workload, 'acme/rolled:crash', { drain: 1 });
    const previous = await back();
    expect(previous.outcome, previous.lines.join('\n')).toMatchObject({
      result: 'succeeded',
      outputs: { version: '1', 'previous-version': '2' },
    });
    expect(await imageOf(workload)).toBe('acme/rolled:1');
    // As it was: without the hook.
    expect(await field(workload, '.spec.template.spec.containers[0].lifecycle')).toBe('');
    await expect(back()).rejects.toMatchObject({ reasonCode: 'version_not_found' });
    await expect(back('crash')).rejects.toMatchObject({ reasonCode: 'version_not_found' });
    const named = await back('2');
    expect(named.outcome, named.lines.join('\n')).toMatchObject({
      result: 'succeeded',
      outputs: { version: '2' },
    });
    expect(await field(workload, '.spec.minReadySeconds')).toBe('');
    const leaving = await stage.kubectl('get', 'pods', '-l', 'deploy-actions.dev/leaving', '-o', 'json');
    const { items } = JSON.parse(leaving) as { items: { metadata: { deletionTimestamp?: string } }[] };
    expect(items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)).toEqual([]);
  });

  it('goes back when the run is cancelled', async () => {
    const workload = await place('cancelled');
    const controller = new AbortController();
    const running = update(workload, 'acme/rolled:slow', { signal: controller.signal });
    await expect.poll(() => imageOf(workload), { timeout: 30_000 }).toBe('acme/rolled:slow');
    await delay(500);
    const at = performance.now();
    controller.abort();
    const { outcome } = await running;
    expect(performance.now() - at).toBeLessThan(7_500);
    expect(outcome).toMatchObject({ result: 'cancelled', outputs: { version: '1' } });
    expect(await imageOf(workload)).toBe('acme/rolled:1');
  });
});

describe('a StatefulSet and a DaemonSet', () => {
  const other = (kind: string, name: string): object => {
    const { spec, ...rest } = serverDeployment({ name, image: 'acme/rolled:1', replicas: 2 }) as {
      spec: Record<string, unknown>;
    };
    const { replicas, strategy: _, ...shared } = spec;
    return kind === 'StatefulSet'
      ? { ...rest, kind, spec: { ...shared, replicas, serviceName: name } }
      : { ...rest, kind, spec: shared };
  };

  it.each([
    ['statefulset', 'StatefulSet'],
    ['daemonset', 'DaemonSet'],
  ])('as a %s is updated, and goes back from one that crashes', async (resource, kind) => {
    const workload = `${resource}/own-${resource}`;
    await stage.apply(other(kind, `own-${resource}`));
    await stage.kubectl('rollout', 'status', workload, '--timeout=60s');
    const loss = /the pods that run now have no preStop hook.*may lose requests/i;
    const planned = await update(workload, 'acme/rolled:2', { drain: 1, inputs: { 'dry-run': true } });
    expect(planned.summary).toMatch(/no preStop hook .*may lose requests/);
    const good = await update(workload, 'acme/rolled:2', { drain: 1 });
    expect(good.outcome, good.lines.join('\n')).toMatchObject({
      result: 'succeeded',
      outputs: { version: '2' },
    });
    expect(good.lines.join('\n')).toMatch(loss);
    const bad = await update(workload, 'acme/rolled:crash', { drain: 1 });
    expect(bad.outcome, bad.lines.join('\n')).toMatchObject({
      result: 'rolled-back',
      reasonCode: 'start_failed',
      outputs: { version: '2', 'rejected-version': 'crash' },
    });
    expect(bad.lines.join('\n')).not.toMatch(loss);
    expect(await imageOf(workload)).toBe('acme/rolled:2');
    await stage.kubectl('rollout', 'status', workload, '--timeout=30s');
  });
});
