import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { asStepEnvironment, readInputs } from '@deploy-actions/action-kit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { definition } from '../../actions/canary/definition.ts';
import { run } from '../../actions/canary/run.ts';
import { createTestContext } from '../support/context.ts';
import { countsOf, type Load, startLoad } from '../support/load/index.ts';
import { type Prometheus, requirePrometheus, startPrometheusOn } from '../support/prometheus.ts';
import { get } from './api.ts';
import { nodePortService, publishServer } from './server-image.ts';
import { colourOf, openStage, type Stage } from './stage.ts';

const app = 'canaried';
const pods = 5;
const requestsPerSecond = 150;
/** Within which a bad version is gone from the traffic once the figures show it. */
const mostSecondsBack = 30;

let stage: Stage;
let url: string;
let load: Load | undefined;

beforeAll(async () => {
  requirePrometheus();
  stage = await openStage('kubernetes-canary');
  for (const version of ['1', '2', '3', '4'])
    await publishServer(`acme/canaried:${version}`, { VERSION: version });
  await publishServer('acme/canaried:bad', { VERSION: 'bad', ERROR_EVERY: '5' });
  await publishServer('acme/canaried:crash', {
    VERSION: 'crash',
    CRASH_AFTER: '100ms',
    READY_AFTER: 'never',
  });
  const options = { image: 'acme/canaried:1', preStopSleep: 4 };
  await stage.apply(
    colourOf(app, 'blue', { ...options, replicas: pods }),
    colourOf(app, 'green', { ...options, replicas: 0 }),
    nodePortService(app, { app }),
  );
  await stage.rolledOut(`${app}-blue`);
  url = await stage.urlOf(app);
});
afterAll(() => stage.end());

beforeEach(async () => {
  load = await startLoad({
    url,
    rate: requestsPerSecond,
    durationSeconds: 240,
    kinds: ['new'],
    phase: 'canary',
  });
});
afterEach(() => load?.kill());

/** What the load saw until now; its requests are ended. */
async function counted() {
  const report = await load?.stop();
  const counts = countsOf(report?.phases[0]?.kinds ?? {});
  return { ...counts, phases: JSON.stringify(report?.phases) };
}

async function replicas(): Promise<string> {
  const jsonpath = 'jsonpath={range .items[*]}{.metadata.name}={.spec.replicas} {end}';
  return (await stage.kubectl('get', 'deployments', '-o', jsonpath)).trim();
}

async function canary(image: string, inputs: Record<string, string> = {}) {
  const environment = asStepEnvironment({
    ...{ platform: 'kubernetes', service: app, image: `acme/canaried:${image}` },
    ...{ kubeconfig: stage.releaser.kubeconfig, weights: '20,60', pause: '8s' },
    'requests-metric': 'http_requests_total',
    'errors-metric': 'http_requests_total{code=~"5.."}',
    'response-time-metric': 'http_request_duration_seconds',
    ...{ 'analysis-interval': '1s', 'max-response-time': '2s', 'hold-timeout': '5s' },
    ...inputs,
  });
  const { context, lines, masked } = createTestContext();
  const read = await readInputs(definition, {
    ...{ environment, workspace: process.cwd() },
    config: () => Promise.resolve(() => undefined),
    mask: (secret) => void masked.push(secret),
  });
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  const began = performance.now();
  const outcome = await run(read.inputs, context);
  return { ...outcome, lines, text: lines.join('\n'), seconds: (performance.now() - began) / 1_000 };
}

interface PodList {
  items: {
    metadata: { labels: Record<string, string>; deletionTimestamp?: string };
    status: { podIP?: string; phase?: string };
  }[];
}

/** The pods, as Prometheus takes its targets: each by its address, with the slot as a label. */
async function readyPods(): Promise<object[]> {
  const list = (await get(stage.access, `/api/v1/namespaces/${stage.name}/pods`)) as PodList;
  return list.items
    .filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && status.phase === 'Running')
    .map(({ metadata, status }) => ({
      targets: [`${status.podIP}:8000`],
      labels: { slot: metadata.labels['version'] },
    }));
}

interface Told {
  events: { at: number; what: string; message: string; weights?: Record<string, number> }[];
  windows: { weight: number; result: { elapsed: number } }[];
}

/** Seconds from the first weight, and from its verdict, until the old version had all traffic again, verified. */
function secondsBack(report: unknown) {
  const { events, windows } = report as Told;
  const first = events.find(({ what }) => what === 'verified')?.at ?? Number.NaN;
  const back = events.findLast(({ what }) => what === 'verified')?.at ?? Number.NaN;
  const verdict = first + (windows[0]?.result.elapsed ?? Number.NaN);
  return { all: (back - first) / 1_000, sinceVerdict: (back - verdict) / 1_000 };
}

function canaryOf(metrics: () => Record<string, string>) {
  it('takes a version with 20 % errors back at the first weight, and loses nothing', async () => {
    const before = await replicas();
    const outcome = await canary('bad', { ...metrics(), pause: '60s' });
    expect(outcome, outcome.text).toMatchObject({
      ...{ result: 'rolled-back', reasonCode: 'limit_exceeded' },
      outputs: { verdict: 'fail', weight: 20 },
    });
    const took = secondsBack(outcome.report);
    process.stderr.write(`bad: ${JSON.stringify(took)}, ${outcome.message}\n`);
    expect(took.all).toBeLessThan(mostSecondsBack);
    expect(await replicas()).toBe(before);
    await delay(5_000);
    const counts = await counted();
    expect(counts.lost, counts.phases).toBe(0);
    expect(counts.failed, 'errors of the application were seen').toBeGreaterThan(0);
  });

  it('holds a version without figures, and then takes it back', async () => {
    const before = await replicas();
    const outcome = await canary('3', {
      ...metrics(),
      'requests-metric': 'no_such_metric_total',
      'errors-metric': 'no_such_metric_total{code="500"}',
      ...{ pause: '3s', 'hold-timeout': '3s' },
    });
    expect(outcome, outcome.text).toMatchObject({
      ...{ result: 'inconclusive', reasonCode: 'metrics_unavailable' },
      outputs: { verdict: 'hold', weight: 20 },
    });
    expect(await replicas()).toBe(before);
    const counts = await counted();
    expect(counts, counts.phases).toMatchObject({ lost: 0, failed: 0 });
  });
}

describe('canary by numbers of pods, with figures from the pods', () => {
  canaryOf(() => ({}));

  it('promotes a good version step by step, and loses nothing', async () => {
    const outcome = await canary('2');
    expect(outcome, outcome.text).toMatchObject({
      result: 'succeeded',
      outputs: { version: '2', slot: 'green' },
    });
    expect(outcome.text).toContain('20 % (1 of 5 pods), 60 % (3 of 5 pods), 100 % (5 of 5 pods)');
    expect(await replicas()).toBe(`${app}-blue=0 ${app}-green=${pods}`);
    await delay(6_000);
    const counts = await counted();
    expect(counts, counts.phases).toMatchObject({ lost: 0, failed: 0 });
    expect(counts.answered).toBeGreaterThan(1_000);
  });

  it('a version that does not start is refused: it had no traffic', async () => {
    const before = await replicas();
    const outcome = await canary('crash');
    expect(outcome, outcome.text).toMatchObject({ result: 'refused', reasonCode: 'start_failed' });
    expect(await replicas()).toBe(before);
    const counts = await counted();
    expect(counts, counts.phases).toMatchObject({ lost: 0, failed: 0 });
  });

  it('weights that the pods cannot make are refused before anything starts', async () => {
    const before = await replicas();
    await expect(canary('3', { weights: '25,50' })).rejects.toMatchObject({
      reasonCode: 'invalid_input',
      remedy: expect.stringContaining('scale it to') as string,
    });
    expect(await replicas()).toBe(before);
  });
});

describe('canary by numbers of pods, with figures from Prometheus', () => {
  let prometheus: Prometheus;
  let targets: Server;
  /** An exporter beside the pods whose counter of errors is no number. */
  let broken: Server;
  let isBroken = false;

  const portOf = (server: Server): number => (server.address() as AddressInfo).port;

  beforeAll(async () => {
    broken = createServer((_, response) => {
      response
        .setHeader('content-type', 'text/plain; version=0.0.4')
        .end('# TYPE http_requests_total counter\nhttp_requests_total{code="599"} NaN\n');
    });
    // Debian's Prometheus does not find pods itself.
    targets = createServer((_, response) => {
      const sick = ['blue', 'green'].map((slot) => ({
        targets: [`127.0.0.1:${portOf(broken)}`],
        labels: { slot },
      }));
      readyPods().then(
        (found) =>
          response
            .setHeader('content-type', 'application/json')
            .end(JSON.stringify(isBroken ? [...found, ...sick] : found)),
        () => response.writeHead(503).end(),
      );
    });
    for (const server of [broken, targets]) {
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
    }
    const discovery = {
      http_sd_configs: [{ url: `http://127.0.0.1:${portOf(targets)}/`, refresh_interval: '1s' }],
    };
    prometheus = await startPrometheusOn(discovery, pods);
    await prometheus.settled();
  });
  afterAll(async () => {
    await prometheus.end();
    targets.close();
    broken.close();
  });

  const metrics = () => ({
    metrics: 'prometheus',
    'prometheus-url': prometheus.url,
    'requests-metric': 'http_requests_total{slot="{slot}"}',
    'errors-metric': 'http_requests_total{slot="{slot}",code=~"5.."}',
    'response-time-metric': 'http_request_duration_seconds{slot="{slot}"}',
  });

  canaryOf(metrics);

  it('promotes a good version', async () => {
    const outcome = await canary('3', { ...metrics(), weights: '40' });
    expect(outcome, outcome.text).toMatchObject({
      result: 'succeeded',
      outputs: { version: '3', verdict: 'pass' },
    });
    await delay(6_000);
    const counts = await counted();
    expect(counts, counts.phases).toMatchObject({ lost: 0, failed: 0 });
  });

  it('holds while a counter is NaN, and then goes back', async () => {
    const before = await replicas();
    isBroken = true;
    try {
      const outcome = await canary('4', { ...metrics(), pause: '8s', 'hold-timeout': '4s' });
      expect(outcome, outcome.text).toMatchObject({
        ...{ result: 'inconclusive', reasonCode: 'metrics_unavailable' },
        message: expect.stringContaining('NaN') as string,
        outputs: { verdict: 'hold', weight: 20 },
      });
    } finally {
      isBroken = false;
    }
    expect(await replicas()).toBe(before);
    await delay(5_000);
    const counts = await counted();
    expect(counts, counts.phases).toMatchObject({ lost: 0, failed: 0 });
  });

  it('holds while Prometheus is down, and then goes back', async () => {
    const before = await replicas();
    const stopped = delay(12_000).then(() => prometheus.stop());
    const outcome = await canary('1', { ...metrics(), pause: '20s', 'hold-timeout': '4s' });
    await stopped;
    expect(outcome, outcome.text).toMatchObject({
      ...{ result: 'inconclusive', reasonCode: 'metrics_unavailable' },
      outputs: { verdict: 'hold', weight: 20 },
    });
    expect(await replicas()).toBe(before);
    await delay(5_000);
    const counts = await counted();
    expect(counts, counts.phases).toMatchObject({ lost: 0, failed: 0 });
  });
});
