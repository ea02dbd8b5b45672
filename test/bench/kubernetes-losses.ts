import { setTimeout as delay } from 'node:timers/promises';
import {
  longSeconds,
  type Part,
  startReleaseLoad,
  twoServers,
  twoServersService,
} from '../cluster/release-load.ts';
import { publishServer, serverDeployment } from '../cluster/server-image.ts';
import { bothColours, openStage, type Stage } from '../cluster/stage.ts';
import { createJob, type StepResult } from '../support/runner.ts';
import type { BenchOptions, Row } from './measure.ts';

const app = 'helpdesk';
const image = (version: number): string => `acme/loaded:${version}`;
/** By turns; a colour that gets one of them has another one. */
const versions = [1, 2, 3];
/** Seconds: no load lasts longer, and what has not been released then is not. */
const loadSeconds = 900;
const releaseSeconds = 780;
/** How often `kubectl set image` is done, to see that the counter works. */
const bareUpdates = 2;

const described: Record<Part, string> = {
  new: 'new connections',
  inflight: `${longSeconds}-second requests`,
  announced: 'POSTs, end of connection announced',
  unannounced: 'POSTs, end not announced',
};
const parts = Object.keys(described) as Part[];
const mustBeKept: readonly Part[] = ['new', 'inflight', 'announced'];

interface Plan {
  what: string;
  count: number;
  /** Releases the version, as the n-th; the step has to succeed. */
  release(version: string, n: number): Promise<StepResult>;
  /** `kubectl set image` on what serves, as it is without this suite. */
  setImage(version: string): Promise<void>;
}

async function lostIn(stage: Stage, { what, count, release, setImage }: Plan, say: BenchOptions['say']) {
  const load = await startReleaseLoad(stage, app, { durationSeconds: loadSeconds, unannounced: true });
  try {
    await delay(5_000);
    await load.mark(what);
    const deadline = performance.now() + releaseSeconds * 1_000;
    let done = 0;
    while (done < count && performance.now() < deadline) {
      const step = await release(image(versions[(done + 1) % versions.length] ?? 0), done);
      if (step.outputs['result'] !== 'succeeded') throw new Error(`release ${done + 1} failed:\n${step.log}`);
      done += 1;
      say(`${done} of ${count} ${what}: ${step.seconds.toFixed(1)} s`);
    }
    await delay((longSeconds + 6) * 1_000);
    await load.mark('set image');
    for (let n = 1; n <= bareUpdates; n += 1)
      await setImage(image(versions[(done + n) % versions.length] ?? 0));
    await delay(2_000);
    const figures = await load.stop();
    say(figures.text);
    const row = (phase: string, part: Part): Row => {
      const { lost, failed, sent } = figures.of(phase, part);
      const bad = lost + failed;
      return {
        measure: `lost in ${phase}`,
        subject: described[part],
        unit: 'requests',
        best: bad,
        median: bad,
        of: sent,
      };
    };
    const kept = parts.map((part): Row => ({
      ...row(what, part),
      ...(mustBeKept.includes(part) ? { goal: 0 } : {}),
    }));
    if (kept.some(({ goal, best }) => goal !== undefined && best > goal)) say(figures.lost(what));
    return [
      { measure: 'made under load', subject: what, unit: 'releases', best: done, median: done, least: count },
      ...kept,
      { ...row('set image', 'new'), least: 1 },
    ] satisfies Row[];
  } finally {
    load.kill();
  }
}

async function publish(): Promise<void> {
  for (const version of versions) await publishServer(image(version), { VERSION: String(version) });
}

/** Requests that blue-green-switch loses, with the old colour kept and stopped by turns, beside `kubectl set image`. */
export async function lostInSwitches({ switches, say }: BenchOptions): Promise<Row[]> {
  const stage = await openStage();
  const job = await createJob({ env: { KUBECONFIG: stage.releaser.kubeconfig } });
  try {
    await publish();
    await stage.apply(...bothColours(app, { image: image(1), ...twoServers }, twoServersService));
    await stage.rolledOut(`${app}-blue`);
    const inputs = { platform: 'kubernetes', service: app, watch: '0' };
    return await lostIn(
      stage,
      {
        what: 'switches',
        count: switches,
        release: (version, n) =>
          job.step('blue-green-switch', {
            ...inputs,
            image: version,
            'keep-previous': String(n % 2 === 0),
          }),
        async setImage(version) {
          const selector = ['get', 'service', app, '-o', 'jsonpath={.spec.selector.version}'];
          const serving = `${app}-${(await stage.kubectl(...selector)).trim()}`;
          await stage.kubectl('set', 'image', `deployment/${serving}`, `server=${version}`);
          await stage.rolledOut(serving);
        },
      },
      say,
    );
  } finally {
    await job.end();
    await stage.end();
  }
}

/** Requests that rolling-update loses, the first included, which brings the preStop hook. */
export async function lostInUpdates({ updates, say }: BenchOptions): Promise<Row[]> {
  const stage = await openStage('kubernetes-rolling');
  const job = await createJob({ env: { KUBECONFIG: stage.releaser.kubeconfig } });
  try {
    await publish();
    await stage.apply(
      serverDeployment({ name: app, image: image(1), replicas: 3, ...twoServers }),
      twoServersService(app, { app }),
    );
    await stage.rolledOut(app);
    const workload = `deployment/${app}`;
    let isBare = false;
    return await lostIn(
      stage,
      {
        what: 'updates',
        count: updates,
        release: (version) =>
          job.step('rolling-update', { workload, image: version, 'drain-seconds': '5', watch: '0s' }),
        async setImage(version) {
          if (!isBare) {
            const patch = [{ op: 'remove', path: '/spec/template/spec/containers/0/lifecycle' }];
            await stage.kubectl('patch', workload, '--type=json', '-p', JSON.stringify(patch));
            await stage.rolledOut(app);
            isBare = true;
          }
          await stage.kubectl('set', 'image', workload, `server=${version}`);
          await stage.rolledOut(app);
        },
      },
      say,
    );
  } finally {
    await job.end();
    await stage.end();
  }
}
