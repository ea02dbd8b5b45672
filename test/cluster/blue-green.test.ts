import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  longSeconds,
  type ReleaseFigures,
  startReleaseLoad,
  twoServers,
  twoServersService,
} from './release-load.ts';
import { expectNothingLost } from './release-load-verdict.ts';
import { release } from './releases.ts';
import { publishServer } from './server-image.ts';
import { bothColours, openStage, type Stage } from './stage.ts';

const switches = 10;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
  for (let version = 1; version <= switches + 2; version += 1) {
    await publishServer(`acme/loaded:${version}`, { VERSION: String(version) });
  }
  const options = { image: 'acme/loaded:1', ...twoServers };
  await stage.apply(...bothColours('helpdesk', options, twoServersService));
  await stage.rolledOut('helpdesk-blue');
});
afterAll(() => stage.end());

describe('blue-green under load, with a server that stops accepting at SIGTERM and one that announces its end', () => {
  it(
    `loses nothing in ${switches} switches, half of which stop the old colour`,
    { timeout: 400_000 },
    async () => {
      const client = await stage.connect();
      const load = await startReleaseLoad(stage, 'helpdesk', { durationSeconds: 300 });
      let figures: ReleaseFigures;
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
        await stage.rolledOut(`helpdesk-${serving}`);
        await delay(1_000);
        figures = await load.stop();
      } finally {
        load.kill();
      }
      expectNothingLost(figures, 'switches');
    },
  );
});
