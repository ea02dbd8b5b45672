import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  longSeconds,
  type ReleaseFigures,
  startReleaseLoad,
  twoServers,
  twoServersService,
} from './release-load.ts';
import { expectNothingLost } from './release-load-verdict.ts';
import { rollTo } from './rolling-run.ts';
import { publishServer, serverDeployment } from './server-image.ts';
import { openStage, type Stage } from './stage.ts';

const updates = 5;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage('kubernetes-rolling');
  for (let version = 1; version <= updates + 2; version += 1) {
    await publishServer(`acme/loaded:${version}`, { VERSION: String(version) });
  }
  await stage.apply(
    serverDeployment({ name: 'steady', image: 'acme/loaded:1', replicas: 3, ...twoServers }),
    twoServersService('steady', { app: 'steady' }),
  );
  await stage.rolledOut('steady');
});
afterAll(() => stage.end());

const update = async (version: number): Promise<void> => {
  const { outcome, lines } = await rollTo({
    kubeconfig: stage.releaser.kubeconfig,
    namespace: stage.name,
    workload: 'deployment/steady',
    image: `acme/loaded:${version}`,
    drain: 5,
  });
  expect(outcome, lines.join('\n')).toMatchObject({
    result: 'succeeded',
    outputs: { version: String(version) },
  });
};

it(
  `${updates} updates of a server that stops accepting at SIGTERM, and of one that announces its end, lose nothing, the first included; set image without drain does`,
  { timeout: 400_000 },
  async () => {
    const load = await startReleaseLoad(stage, 'steady', { durationSeconds: 300 });
    let figures: ReleaseFigures;
    try {
      await delay(5_000);
      await load.mark('updates');
      for (let version = 2; version <= updates + 1; version += 1) await update(version);
      await delay((longSeconds + 6) * 1_000);
      await load.mark('set-image');
      // As it is without the hook.
      const patch = [{ op: 'remove', path: '/spec/template/spec/containers/0/lifecycle' }];
      await stage.kubectl('patch', 'deployment/steady', '--type=json', '-p', JSON.stringify(patch));
      await stage.rolledOut('steady');
      await stage.kubectl('set', 'image', 'deployment/steady', `server=acme/loaded:${updates + 2}`);
      await stage.rolledOut('steady');
      await delay(2_000);
      figures = await load.stop();
    } finally {
      load.kill();
    }
    expectNothingLost(figures, 'updates');
  },
);
