import { DeployError } from '@deploy-actions/core';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Baseline, MetricQuery } from './port.ts';
import { createGroupScrape } from './scrape-group.ts';

const query: MetricQuery = {
  kind: 'ratio',
  name: 'error rate',
  errors: 'requests_total{code="500"}',
  total: 'requests_total',
};
const never = new AbortController().signal;

/** What each pod answers now; an error is thrown. */
const pods = new Map<string, string | Error>();
let clock = 0;

const source = () =>
  createGroupScrape({
    what: 'slot green',
    members: () =>
      Promise.resolve(
        [...pods].map(([name, answer]) => ({
          name,
          read: () =>
            answer instanceof Error
              ? Promise.reject(answer)
              : Promise.resolve({ status: 200, contentType: 'text/plain', text: answer, at: clock }),
        })),
      ),
  });
const counters = (ok: number, failed: number) =>
  `# TYPE requests_total counter\nrequests_total{code="200"} ${ok}\nrequests_total{code="500"} ${failed}\n`;

beforeEach(() => {
  pods.clear();
  clock = 1_000;
});

describe('the metrics of pods that come and go', () => {
  it('are summed over all that are there', async () => {
    const group = source();
    pods.set('a', counters(100, 5)).set('b', counters(50, 0));
    const baseline = await group.begin(query, never);
    clock = 3_000;
    pods.set('a', counters(110, 7)).set('b', counters(58, 0));
    expect(await group.series(query, baseline, never)).toMatchObject({ errors: 2, total: 20, window: 2_000 });
  });

  it('count one that came later from zero', async () => {
    const group = source();
    pods.set('a', counters(100, 0));
    const baseline = await group.begin(query, never);
    pods.set('a', counters(110, 0)).set('b', counters(9, 1));
    expect(await group.series(query, baseline, never)).toMatchObject({ errors: 1, total: 20 });
  });

  it('count one that went up to when it was seen last, and say so', async () => {
    const group = source();
    pods.set('a', counters(100, 0)).set('b', counters(100, 0));
    const baseline = await group.begin(query, never);
    pods.set('a', counters(110, 0)).set('b', counters(104, 1));
    await group.series(query, baseline, never);
    pods.delete('b');
    pods.set('a', counters(120, 0));
    const series = await group.series(query, baseline, never);
    expect(series).toMatchObject({ errors: 1, total: 25 });
    expect(series.notes).toEqual(['b is gone: what it counted after it was seen last is not included.']);
  });

  it('are counted on by another process from the baseline alone', async () => {
    pods.set('a', counters(100, 0)).set('b', counters(100, 0));
    const baseline = JSON.parse(JSON.stringify(await source().begin(query, never))) as Baseline;
    pods.delete('b');
    pods.set('a', counters(120, 0));
    const series = await source().series(query, baseline, never);
    expect(series).toMatchObject({ errors: 0, total: 20 });
    expect(series.notes).toEqual(['b is gone: what it counted in this window is not included.']);
  });

  it('count from zero what was started again in its pod', async () => {
    const group = source();
    pods.set('a', counters(100, 5));
    const baseline = await group.begin(query, never);
    pods.set('a', counters(3, 1));
    const series = await group.series(query, baseline, never);
    expect(series).toMatchObject({ errors: 1, total: 4 });
    expect(series.notes?.[0]).toContain('began again at zero');
  });

  it.each<[string, () => void, RegExp]>([
    ['there is no pod', () => pods.clear(), /slot green has no instance that is ready/],
    [
      'one of them does not answer',
      () => pods.set('b', new DeployError('unreachable', 'connection refused')),
      /b: connection refused \(1 of 2 instances of slot green\)/,
    ],
    ['one of them answers without metrics', () => pods.set('b', '<html>'), /b: /],
    ['a counter is not a number', () => pods.set('a', 'requests_total{code="500"} NaN\n'), /a: .*NaN/],
  ])('are unavailable when %s', async (_, change, problem) => {
    const group = source();
    pods.set('a', counters(100, 0));
    const baseline = await group.begin(query, never);
    change();
    const refused = await group.series(query, baseline, never).catch((thrown: unknown) => thrown);
    expect(refused).toMatchObject({ reasonCode: 'metrics_unavailable' });
    expect((refused as Error).message).toMatch(problem);
  });

  it('pass a right that is missing on: it does not come by waiting', async () => {
    pods.set('a', new DeployError('permission_denied', 'pods/proxy'));
    await expect(source().begin(query, never)).rejects.toMatchObject({ reasonCode: 'permission_denied' });
  });

  it('have no baseline of another query or source', async () => {
    const group = source();
    pods.set('a', counters(1, 0));
    const baseline = await group.begin(query, never);
    const other = { ...query, total: 'other_total' };
    await expect(group.series(other, baseline, never)).rejects.toMatchObject({
      reasonCode: 'metrics_unavailable',
    });
    await expect(group.series(query, { source: 'scrape' }, never)).rejects.toMatchObject({
      reasonCode: 'metrics_unavailable',
    });
  });
});
