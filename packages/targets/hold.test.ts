import { setTimeout as delay } from 'node:timers/promises';
import { DeployError, silentLog } from '@deploy-actions/core';
import type { MetricSource, Series } from '@deploy-actions/metrics';
import type { Instance, Platform, Slot } from '@deploy-actions/release-engine';
import { describe, expect, it } from 'vitest';
import { type Analysis, heldBy, requireReady, watchReadiness, watchWindow } from './hold.ts';

const never = new AbortController().signal;
const down = () => new DeployError('metrics_unavailable', 'connect ECONNREFUSED');
const well = () => Promise.resolve();

const ratio = (errors: number, total: number): Series => ({
  kind: 'ratio',
  name: 'error rate',
  query: 'requests_total',
  window: 1_000,
  errors,
  total,
});

/** A source that answers each look in turn, the last answer over and over; a DeployError is thrown. */
function sourceOf(...answers: (Series | DeployError)[]): MetricSource & { looks(): number; begun(): number } {
  let looks = 0;
  let begun = 0;
  const answer = () => {
    const given = answers[Math.min(looks, answers.length - 1)];
    looks += 1;
    return given instanceof DeployError || given === undefined
      ? Promise.reject(given ?? down())
      : Promise.resolve(given);
  };
  return {
    name: 'fake',
    looks: () => looks,
    begun: () => begun,
    begin: () => {
      begun += 1;
      return Promise.resolve(null);
    },
    series: answer,
  };
}

function analysisWith(source: MetricSource, changes: Partial<Analysis> = {}): Analysis {
  return {
    source,
    criteria: [
      {
        limit: { kind: 'error-rate', max: 0.05 },
        query: { kind: 'ratio', name: 'error rate', errors: 'errors_total', total: 'requests_total' },
      },
    ],
    minRequests: 50,
    strict: false,
    alpha: 0.01,
    onInconclusive: 'hold',
    holdTimeout: 200,
    interval: 20,
    ...changes,
  };
}

const watch = (analysis: Analysis, window = 100) => watchWindow(analysis, window, never, silentLog, well);

describe('watching a window', () => {
  it('aborts long before its end on evidence', async () => {
    const result = await watch(analysisWith(sourceOf(ratio(0, 10), ratio(40, 200))), 60_000);
    expect(result).toMatchObject({ decision: 'fail', combined: { reasonCode: 'limit_exceeded' } });
    expect(result.elapsed).toBeLessThan(30_000);
    expect(heldBy(result, 20)).toMatchObject({ pass: false, reason: { reasonCode: 'limit_exceeded' } });
  });

  it.each([
    [49, 'pass'],
    [60, 'fail'],
  ])('decides by the estimate only at its end: %i errors of 1000 are a %s', async (errors, decision) => {
    const result = await watch(analysisWith(sourceOf(ratio(errors, 1_000))));
    expect(result.decision).toBe(decision);
    expect(result.elapsed).toBeGreaterThanOrEqual(100);
  });

  it('waits for more requests, and does not pass when they do not come', async () => {
    const result = await watch(analysisWith(sourceOf(ratio(0, 49))));
    expect(result).toMatchObject({ decision: 'hold', combined: { reasonCode: 'insufficient_data' } });
    expect(result.elapsed).toBeGreaterThanOrEqual(300);
    expect(heldBy(result, 20)).toMatchObject({ pass: false, reason: { reasonCode: 'insufficient_data' } });
  });

  it('passes as soon as there are enough', async () => {
    const answers = [...Array.from({ length: 8 }, () => ratio(0, 10)), ratio(0, 50)];
    const result = await watch(analysisWith(sourceOf(...answers), { holdTimeout: 60_000 }));
    expect(result.decision).toBe('pass');
    expect(heldBy(result, 20)).toMatchObject({ pass: true, verdict: { decision: 'pass' } });
  });

  it('never passes while the metrics are down', async () => {
    const result = await watch(analysisWith(sourceOf(ratio(0, 900), down())));
    expect(result).toMatchObject({ decision: 'hold', combined: { reasonCode: 'metrics_unavailable' } });
    expect(heldBy(result, 40).reason?.message).toMatch(/No verdict at 40 %.*ECONNREFUSED/);
  });

  it('goes on when they come back', async () => {
    const outage = Array.from({ length: 5 }, down);
    const result = await watch(analysisWith(sourceOf(...outage, ratio(0, 100)), { holdTimeout: 60_000 }));
    expect(result.decision).toBe('pass');
  });

  it('counts from the first look that worked when they were down at the beginning', async () => {
    const source = sourceOf(ratio(0, 100));
    let failures = 3;
    const late: MetricSource = {
      ...source,
      begin(query, signal) {
        failures -= 1;
        return failures >= 0 ? Promise.reject(down()) : source.begin(query, signal);
      },
    };
    expect((await watch(analysisWith(late, { holdTimeout: 60_000 }))).decision).toBe('pass');
    expect(source.begun()).toBe(1);
  });

  it.each([
    ['NaN', ratio(Number.NaN, 100)],
    ['an infinity', ratio(0, Number.POSITIVE_INFINITY)],
    ['more errors than requests', ratio(101, 100)],
    ['another kind of series', { ...ratio(0, 100), kind: 'latency' as const, buckets: [], sum: 0 }],
  ])('takes %s for no data', async (_what, series) => {
    const result = await watch(analysisWith(sourceOf(series), { holdTimeout: 0 }));
    expect(result).toMatchObject({ decision: 'hold', combined: { reasonCode: 'metrics_unavailable' } });
  });

  it('takes no criteria for no verdict', async () => {
    const result = await watch(analysisWith(sourceOf(ratio(0, 100)), { criteria: [], holdTimeout: 0 }));
    expect(result.decision).toBe('hold');
  });

  it.each(['fail', 'pass'] as const)(
    'follows the policy %s at the end, without waiting on',
    async (policy) => {
      const result = await watch(
        analysisWith(sourceOf(ratio(0, 3)), { onInconclusive: policy, holdTimeout: 60_000 }),
      );
      expect(result.decision).toBe(policy);
    },
  );

  it('does not take a look that began within the window for its last, however slow it is', async () => {
    for (const changes of [{ onInconclusive: 'fail' as const }, { holdTimeout: 0 }]) {
      const source = sourceOf(ratio(0, 1_000));
      const slow: MetricSource = {
        ...source,
        async series(...given) {
          await delay(150);
          return source.series(...given);
        },
      };
      expect((await watch(analysisWith(slow, changes))).decision).toBe('pass');
    }
  });

  it('lets the worst of several limits decide', async () => {
    const source = sourceOf(ratio(0, 1_000));
    const { criteria } = analysisWith(source);
    const [first] = criteria;
    if (first === undefined) throw new Error('one criterion expected');
    const slow: Series = {
      kind: 'latency',
      name: 'response time',
      query: 'duration_seconds',
      window: 1_000,
      buckets: [
        { le: 1, count: 0 },
        { le: Number.POSITIVE_INFINITY, count: 1_000 },
      ],
      total: 1_000,
      sum: 1_500,
    };
    const both: MetricSource = {
      ...source,
      series: (query) => Promise.resolve(query.kind === 'ratio' ? ratio(0, 1_000) : slow),
    };
    const result = await watch(
      analysisWith(both, {
        criteria: [
          first,
          {
            limit: { kind: 'response-time', max: 1_000, quantile: 0.95 },
            query: { kind: 'latency', name: 'response time', histogram: 'duration_seconds' },
          },
        ],
      }),
      60_000,
    );
    expect(result).toMatchObject({ decision: 'fail', combined: { reasonCode: 'limit_exceeded' } });
    expect(result.combined.words[0]).toContain('response time');
  });

  it('ends with the error of a version that is not well any more', async () => {
    let looks = 0;
    const ailing = () => {
      looks += 1;
      return looks < 3 ? well() : Promise.reject(new DeployError('unhealthy', '0 of 1 instances'));
    };
    const watching = watchWindow(analysisWith(sourceOf(ratio(0, 10))), 60_000, never, silentLog, ailing);
    await expect(watching).rejects.toMatchObject({ reasonCode: 'unhealthy' });
  });

  it('ends at once when the run is cancelled', async () => {
    const controller = new AbortController();
    const analysis = analysisWith(sourceOf(ratio(0, 10)), { interval: 60_000 });
    const watching = watchWindow(analysis, 60_000, controller.signal, silentLog, well);
    setTimeout(() => controller.abort(), 10);
    await expect(watching).rejects.toMatchObject({ reasonCode: 'cancelled' });
  });
});

function platformOf(...answers: (Slot | Error)[]): Platform {
  let looks = 0;
  const unused = () => Promise.reject(new Error('not used'));
  return {
    name: 'fake',
    observe() {
      const answer = answers[Math.min(looks, answers.length - 1)];
      looks += 1;
      return answer instanceof Error || answer === undefined
        ? Promise.reject(answer ?? new Error('none'))
        : Promise.resolve([answer]);
    },
    deploy: unused,
    async *ready() {},
    scale: unused,
    retire: unused,
  };
}

function slotOf(...instances: Instance[]): Slot {
  const ready = instances.filter((instance) => instance.ready).length;
  return {
    name: 'green',
    release: { version: '2' },
    revision: 'x',
    wanted: instances.length,
    ready,
    instances,
  };
}
const up: Instance = { address: '127.0.0.1:8001', ready: true };
const ill: Instance = { address: '127.0.0.1:8002', ready: false, reason: 'HTTP 503' };

describe('requireReady', () => {
  it('is content with a slot that is ready, and bears with one failed look', async () => {
    await requireReady(platformOf(slotOf(up)), 'green');
    await requireReady(platformOf(slotOf(up, ill), slotOf(up, up)), 'green');
    await requireReady(platformOf(new Error('EMFILE'), slotOf(up)), 'green');
  });

  it('says which instance ails when it goes on', async () => {
    await expect(requireReady(platformOf(slotOf(up, ill)), 'green')).rejects.toMatchObject({
      reasonCode: 'unhealthy',
      message: '2 in green is not ready any more: 1 of 2 instances.',
      details: ['127.0.0.1:8002: HTTP 503'],
    });
  });

  it('takes an empty or unknown slot for ailing', async () => {
    for (const slot of [slotOf(), { ...slotOf(up), name: 'blue' }]) {
      await expect(requireReady(platformOf(slot), 'green')).rejects.toMatchObject({
        reasonCode: 'unhealthy',
      });
    }
  });
});

describe('watchReadiness', () => {
  it('looks at least once, and until the time is over', async () => {
    let looks = 0;
    const look = () => {
      looks += 1;
      return well();
    };
    await watchReadiness(0, never, silentLog, look);
    expect(looks).toBe(1);
    const start = performance.now();
    await watchReadiness(60, never, silentLog, look);
    expect(performance.now() - start).toBeGreaterThanOrEqual(59);
    expect(looks).toBeGreaterThan(2);
  });
});
