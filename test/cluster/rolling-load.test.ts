import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { countsOf, type LoadReport, startLoad } from '../support/load/index.ts';
import { rollTo } from './rolling-run.ts';
import { nodePortService, publishServer, serverDeployment } from './server-image.ts';
import { openStage, type Stage } from './stage.ts';

const updates = 5;
const requestsPerSecond = 400;
const longSeconds = 10;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage('kubernetes-rolling');
  for (let version = 1; version <= updates + 2; version += 1) {
    const env = { VERSION: String(version), ON_SIGTERM: 'stop-accepting' };
    await publishServer(`acme/steady:${version}`, env);
    await publishServer(`acme/announcing:${version}`, {
      ...env,
      ON_SIGTERM: 'close-announced',
      DRAIN_FOR: '3s',
    });
  }
  for (const name of ['steady', 'announcing']) {
    await stage.apply(
      serverDeployment({ name, image: `acme/${name}:1`, replicas: 3 }),
      nodePortService(name, { app: name }),
    );
    await stage.rolledOut(name);
  }
});
afterAll(() => stage.end());

const lossesOf = (report: LoadReport, name: string) => {
  const phase = report.phases.find((one) => one.name === name);
  return phase === undefined ? undefined : countsOf(phase.kinds);
};

const update = async (name: string, version: number): Promise<void> => {
  const { outcome, lines } = await rollTo({
    kubeconfig: stage.releaser.kubeconfig,
    namespace: stage.name,
    workload: `deployment/${name}`,
    image: `acme/${name}:${version}`,
    drain: 5,
  });
  expect(outcome, lines.join('\n')).toMatchObject({
    result: 'succeeded',
    outputs: { version: String(version) },
  });
};

it(
  `${updates} updates of a server that stops accepting at SIGTERM lose nothing, the first included; set image without drain does`,
  { timeout: 400_000 },
  async () => {
    const url = await stage.urlOf('steady');
    const load = await startLoad({
      url: `${url}/`,
      rate: requestsPerSecond,
      durationSeconds: 300,
      kinds: ['new', 'inflight'],
      inFlightUrl: `${url}/slow?ms=${longSeconds * 1_000}`,
      inFlightSeconds: longSeconds,
      inFlight: 10,
      phase: 'steady',
    });
    let report: LoadReport;
    try {
      await delay(5_000);
      await load.mark('updates');
      for (let version = 2; version <= updates + 1; version += 1) await update('steady', version);
      await delay((longSeconds + 6) * 1_000);
      await load.mark('set-image');
      // As it is without the hook.
      const patch = [{ op: 'remove', path: '/spec/template/spec/containers/0/lifecycle' }];
      await stage.kubectl('patch', 'deployment/steady', '--type=json', '-p', JSON.stringify(patch));
      await stage.rolledOut('steady');
      await stage.kubectl('set', 'image', 'deployment/steady', `server=acme/steady:${updates + 2}`);
      await stage.rolledOut('steady');
      await delay(2_000);
      report = await load.stop();
    } finally {
      load.kill();
    }
    const figures = JSON.stringify({
      phases: report.phases.map(({ name }) => [name, lossesOf(report, name)]),
      lag: report.lagMs,
    });
    process.stderr.write(`${figures}\n`);
    expect(lossesOf(report, 'steady'), figures).toMatchObject({ lost: 0, failed: 0 });
    expect(lossesOf(report, 'updates'), JSON.stringify(report.phases)).toMatchObject({ lost: 0, failed: 0 });
    expect(lossesOf(report, 'updates')?.answered).toBeGreaterThan(1_000);
    // The counter is seen to work.
    expect(lossesOf(report, 'set-image')?.lost, figures).toBeGreaterThan(0);
  },
);

it(
  'updates of a server that announces the end of kept connections lose no POST on these',
  { timeout: 200_000 },
  async () => {
    const url = await stage.urlOf('announcing');
    const load = await startLoad({
      url: `${url}/`,
      rate: 100,
      durationSeconds: 120,
      kinds: ['keepalive-post'],
      phase: 'steady',
    });
    let report: LoadReport;
    try {
      await delay(2_000);
      await load.mark('updates');
      for (const version of [2, 3]) await update('announcing', version);
      await delay(10_000);
      report = await load.stop();
    } finally {
      load.kill();
    }
    process.stderr.write(
      `${JSON.stringify(report.phases.map(({ name, kinds }) => [name, countsOf(kinds)]))}\n`,
    );
    expect(lossesOf(report, 'updates'), JSON.stringify(report.phases)).toMatchObject({ lost: 0, failed: 0 });
    expect(lossesOf(report, 'updates')?.answered).toBeGreaterThan(500);
  },
);
