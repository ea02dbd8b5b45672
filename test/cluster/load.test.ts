// That the load counts what is lost on a cluster, and nothing that is not.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { countsOf, startLoad } from '../support/load/index.ts';
import { createNamespace, type Namespace } from './namespace.ts';
import { nodePortService, publishServer, serverDeployment } from './server-image.ts';

let namespace: Namespace;
let repository: string;

beforeAll(async () => {
  namespace = await createNamespace('load');
  repository = `docker.io/library/${namespace.name}`;
  for (const version of ['v1', 'v2']) await publishServer(`${repository}:${version}`, { VERSION: version });
  await namespace.apply(
    serverDeployment({
      name: 'web',
      image: `${repository}:v1`,
      replicas: 3,
      env: { ON_SIGTERM: 'stop-accepting' },
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 1 } },
    }),
    nodePortService('web', { app: 'web' }),
  );
  await namespace.rolledOut('web');
});
afterAll(() => namespace.end());

test('a steady period loses nothing, `kubectl set image` on a server that stops accepting at SIGTERM does', async () => {
  const load = await startLoad({
    url: await namespace.urlOf('web'),
    rate: 200,
    durationSeconds: 90,
    phase: 'steady',
  });
  try {
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    await load.mark('update');
    for (const version of ['v2', 'v1', 'v2']) {
      await namespace.kubectl('set', 'image', 'deployment/web', `server=${repository}:${version}`);
      await namespace.rolledOut('web');
    }
    const { phases, lagMs } = await load.stop();
    const [steady, update] = phases.map(({ kinds }) => countsOf(kinds));
    console.log(
      `steady: ${steady?.lost} of ${steady?.sent} lost; set image: ${update?.lost} of ${update?.sent} lost; ` +
        `generator at most ${lagMs.max.toFixed(0)} ms late`,
    );
    expect(steady).toMatchObject({ lost: 0, failed: 0, clientErrors: 0, notSent: 0 });
    expect(steady?.sent).toBeGreaterThan(1_900);
    expect(update?.lost).toBeGreaterThan(0);
    expect(phases[1]?.kinds.new?.versions).toMatchObject({ v1: expect.any(Number), v2: expect.any(Number) });
  } finally {
    load.kill();
  }
});
