import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countsOf, type LoadReport, startLoad } from '../support/load/index.ts';
import { release } from './releases.ts';
import { publishServer } from './server-image.ts';
import { bothColours, openStage, type Stage } from './stage.ts';

const switches = 10;
const requestsPerSecond = 400;
const longSeconds = 10;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  for (let version = 1; version <= switches + 2; version += 1) {
    await publishServer(`acme/loaded:${version}`, { VERSION: String(version) });
  }
  await stage.apply(...bothColours('helpdesk', { image: 'acme/loaded:1' }));
  await stage.rolledOut('helpdesk-blue');
});
afterAll(() => stage.end());

describe('blue-green under load, with a server that stops accepting at SIGTERM', () => {
  it(
    `loses nothing in ${switches} switches, half of which stop the old colour`,
    { timeout: 400_000 },
    async () => {
      const url = await stage.urlOf('helpdesk');
      const client = await stage.connect();
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
        await load.mark('switches');
        for (let version = 2; version <= switches + 1; version += 1) {
          const delivery = await release({
            client,
            service: 'helpdesk',
            image: `acme/loaded:${version}`,
            keepPrevious: version % 2 === 0,
          });
          expect(delivery.journal?.phase).toBe('finished');
          expect(delivery.serving).toMatchObject([{ weight: 100, release: { version: String(version) } }]);
        }
        await delay(longSeconds * 1_000 + 1_000);
        await load.mark('set-image');
        const serving = (
          await stage.kubectl('get', 'service', 'helpdesk', '-o', 'jsonpath={.spec.selector.version}')
        ).trim();
        await stage.kubectl(
          'set',
          'image',
          `deployment/helpdesk-${serving}`,
          `server=acme/loaded:${switches + 2}`,
        );
        await stage.kubectl('rollout', 'status', `deployment/helpdesk-${serving}`, '--timeout=60s');
        await delay(1_000);
        report = await load.stop();
      } finally {
        load.kill();
      }
      const of = (name: string) => {
        const phase = report.phases.find((one) => one.name === name);
        return phase === undefined ? undefined : countsOf(phase.kinds);
      };
      const figures = JSON.stringify({
        phases: report.phases.map(({ name }) => [name, of(name)]),
        lag: report.lagMs,
      });
      process.stderr.write(`${figures}\n`);
      expect(of('steady'), figures).toMatchObject({ lost: 0, failed: 0 });
      expect(of('switches'), JSON.stringify(report.phases)).toMatchObject({ lost: 0, failed: 0 });
      expect(of('switches')?.answered).toBeGreaterThan(1_000);
      // The counter is seen to work.
      expect(of('set-image')?.lost, figures).toBeGreaterThan(0);
    },
  );
});
