import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { asStepEnvironment, readInputs } from '@deploy-actions/action-kit';
import { type Baseline, createMetricSource, type MetricQuery } from '@deploy-actions/metrics';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { definition } from '../../actions/canary-analyze/definition.ts';
import { run } from '../../actions/canary-analyze/run.ts';
import { createTestContext } from '../support/context.ts';
import { type Prometheus, requirePrometheus, startPrometheus } from '../support/prometheus.ts';

const never = new AbortController().signal;
const program = fileURLToPath(new URL('../support/static-server.ts', import.meta.url));
/** For what the next scrapes show, which are a second apart. */
const patience = { timeout: 30_000 };

interface App {
  target: string;
  child: ChildProcess;
  /** Sends so many requests, one after another. */
  send(count: number): Promise<void>;
}

async function startApp(env: Record<string, string>, port = 0): Promise<App> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
    env: { ...env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const target = `127.0.0.1:${(JSON.parse(line) as { listening: number }).listening}`;
  return {
    target,
    child,
    async send(count) {
      for (let i = 0; i < count; i += 1) await (await fetch(`http://${target}/`)).text();
    },
  };
}

const requests = 'http_requests_total{slot="{slot}"}';
const errors = 'http_requests_total{slot="{slot}",code=~"5.."}';
const ratioOf = (slot: string): MetricQuery => ({
  ...{ kind: 'ratio', name: 'error rate' },
  ...{ errors: errors.replace('{slot}', slot), total: requests.replace('{slot}', slot) },
});

beforeAll(() => {
  requirePrometheus();
}, 300_000);

describe('a real Prometheus', () => {
  const apps: Record<string, App> = {};
  let prometheus: Prometheus;
  let nan: ReturnType<typeof createServer>;
  let load: NodeJS.Timeout | undefined;

  beforeAll(async () => {
    apps['good'] = await startApp({});
    apps['bad'] = await startApp({ ERROR_EVERY: '5' });
    apps['late'] = await startApp({ ERROR_EVERY: '60' });
    nan = createServer((_, response) => {
      response.end('http_requests_total{code="200"} 100\nhttp_requests_total{code="500"} NaN\n');
    });
    nan.listen(0, '127.0.0.1');
    await once(nan, 'listening');
    // Otherwise there were no series to begin with.
    for (const app of Object.values(apps)) await app.send(10);
    const targets = Object.entries(apps).map(([slot, { target }]) => [slot, target]);
    prometheus = await startPrometheus({
      ...(Object.fromEntries(targets) as Record<string, string>),
      nan: `127.0.0.1:${(nan.address() as AddressInfo).port}`,
    });
  });
  beforeEach(() => prometheus.settled());
  afterEach(() => clearInterval(load));
  afterAll(async () => {
    await prometheus.end();
    nan.close();
    for (const { child } of Object.values(apps)) child.kill('SIGKILL');
  });

  /** 50 requests a second. */
  const startLoad = (app: App | undefined) => {
    load = setInterval(() => void app?.send(1).catch(() => {}), 20);
  };
  /** What happens from the first scrape of a window on is counted. */
  const scrapedSince = async (baseline: Baseline, slot: string) => {
    const newest = async () => ((await prometheus.value(`timestamp(up{slot="${slot}"})`)) ?? 0) * 1_000;
    await expect.poll(newest, patience).toBeGreaterThanOrEqual((baseline as { at: number }).at);
  };
  const sourceOf = () => createMetricSource({ kind: 'prometheus', url: prometheus.url, timeout: 10_000 });

  async function analyze(slot: string, inputs: Record<string, string> = {}) {
    const environment = asStepEnvironment({
      ...{ metrics: 'prometheus', 'prometheus-url': prometheus.url, slot },
      ...{ 'requests-metric': requests, 'errors-metric': errors },
      'response-time-metric': 'http_request_duration_seconds{slot="{slot}"}',
      ...{ window: '8s', 'hold-timeout': '10s', 'analysis-interval': '500ms', 'min-requests': '100' },
      'max-response-time': '5s',
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
    return { ...outcome, seconds: (performance.now() - began) / 1_000, lines };
  }

  test('is counted to the request, where increase() is not', async () => {
    const source = sourceOf();
    const query = ratioOf('bad');
    const baseline = await source.begin(query, never);
    await scrapedSince(baseline, 'bad');
    await apps['bad']?.send(250);
    await expect
      .poll(() => source.series(query, baseline, never), patience)
      .toMatchObject({ errors: 50, total: 250 });
    const extrapolated = await prometheus.value('sum(increase(http_requests_total{slot="bad"}[60s]))');
    expect(extrapolated).not.toBe(250);
  });

  test('shows the first error of a version, which increase() takes for its zero', async () => {
    const source = sourceOf();
    const query = ratioOf('late');
    const baseline = await source.begin(query, never);
    await scrapedSince(baseline, 'late');
    await apps['late']?.send(100);
    await expect
      .poll(() => source.series(query, baseline, never), patience)
      .toMatchObject({ errors: 1, total: 100 });
    const increase = 'sum(increase(http_requests_total{slot="late",code="500"}[60s]))';
    await expect.poll(() => prometheus.value(increase), patience).toBe(0);
  });

  test('counts on when the application is started again', async () => {
    const source = sourceOf();
    const query = ratioOf('late');
    const baseline = await source.begin(query, never);
    await scrapedSince(baseline, 'late');
    const before = apps['late'];
    before?.child.kill('SIGKILL');
    apps['late'] = await startApp({ ERROR_EVERY: '2' }, Number(before?.target.split(':')[1]));
    await apps['late'].send(40);
    await expect
      .poll(() => source.series(query, baseline, never), patience)
      .toMatchObject({
        ...{ errors: 20, total: 40 },
        notes: [expect.stringContaining('began again at zero') as string],
      });
  });

  test('fails a version with 20 % errors before its window is over', async () => {
    startLoad(apps['bad']);
    const outcome = await analyze('bad', { window: '60s' });
    expect(outcome, outcome.lines.join('\n')).toMatchObject({
      ...{ result: 'failed', reasonCode: 'limit_exceeded', outputs: { verdict: 'fail' } },
    });
    expect(outcome.seconds).toBeLessThan(30);
  });

  test('passes a good one, by selectors and by expressions', async () => {
    startLoad(apps['good']);
    // It has had no error yet; that there is such a label, the others show.
    const bySelectors = await analyze('good');
    expect(bySelectors, bySelectors.lines.join('\n')).toMatchObject({
      result: 'succeeded',
      outputs: { verdict: 'pass' },
    });
    const expression = (selector: string) => `sum(increase(${selector}[{window}]))`;
    const byExpressions = await analyze('good', {
      'requests-metric': expression(requests),
      'errors-metric': `${expression(errors)} or vector(0)`,
    });
    expect(byExpressions, byExpressions.lines.join('\n')).toMatchObject({
      outputs: { verdict: 'pass', 'error-rate': 0 },
    });
  });

  test.each<[string, string, Record<string, string>, RegExp]>([
    ['NaN', 'nan', {}, /code="500".* is NaN/],
    ['a slot that nobody has', 'none', {}, /no series of http_requests_total\{slot="none"\}/],
    [
      'a label that nobody has',
      'good',
      { 'errors-metric': 'http_requests_total{slot="{slot}",kode="500"}' },
      /there is no series http_requests_total with slot and kode/,
    ],
    [
      'several series',
      'bad',
      {
        'requests-metric': 'increase(http_requests_total{slot="{slot}"}[{window}])',
        'errors-metric': 'sum(increase(http_requests_total[{window}]))',
      },
      /gives 2 series .*, not one/,
    ],
    [
      'an expression that is none',
      'bad',
      {
        'requests-metric': 'sum(increase(http_requests_total[{window}])',
        'errors-metric': 'sum(increase(http_requests_total[{window}]))',
      },
      /bad_data: .*parse error/,
    ],
  ])('has no verdict for %s', async (_, slot, inputs, problem) => {
    startLoad(apps['bad']);
    const outcome = await analyze(slot, {
      window: '3s',
      'on-inconclusive': 'hold',
      'hold-timeout': '0',
      ...inputs,
    });
    expect(outcome).toMatchObject({ result: 'inconclusive', reasonCode: 'metrics_unavailable' });
    expect(outcome.message).toMatch(problem);
  });

  test('that is stopped has no verdict, at once or within a window', async () => {
    startLoad(apps['good']);
    const watching = analyze('good', { window: '6s', 'hold-timeout': '1s' });
    await delay(2_000);
    await prometheus.stop();
    const stopped = await watching;
    expect(stopped).toMatchObject({ result: 'inconclusive', reasonCode: 'metrics_unavailable' });
    expect(stopped.message).toMatch(/ECONNREFUSED/);
    expect(await analyze('good', { window: '1s', 'hold-timeout': '0' })).toMatchObject({
      ...{ result: 'inconclusive', reasonCode: 'metrics_unavailable' },
    });
  });
});
