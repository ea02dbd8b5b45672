import { describe, expect, it } from 'vitest';
import type { LoadReport } from '../../test/support/load/index.ts';
import { figuresOf, mostFailures, textTable } from './figures.ts';

const kind = (sent: number, lost: number, failed: number, versions: Record<string, number>) => ({
  ...{
    sent,
    answered: sent - lost,
    ok: sent - lost - failed,
    clientErrors: 0,
    failed,
    lost,
    notSent: 0,
    pending: 0,
  },
  ...{
    lostBy: {},
    firstLost: [],
    status: {},
    versions,
    connectionsOpened: 0,
    slowConnects: 0,
    announcedCloses: 0,
  },
  latencyMs: { p50: 0, p95: 0, p99: 0, max: 0 },
});

const report: LoadReport = {
  startedAt: '',
  ...{ seconds: 20, rate: 10, inFlightPerSecond: 0, total: {} },
  lagMs: { p50: 0, p95: 0, p99: 0, max: 0 },
  phases: [
    {
      name: '1',
      from: 0,
      kinds: { new: kind(40, 1, 0, { a: 39 }), 'keepalive-post': kind(40, 0, 2, { a: 40 }) },
    },
    { name: '2', from: 8, kinds: { new: kind(60, 3, 0, { a: 7, b: 50 }) } },
    { name: '1, after', from: 14, kinds: { new: kind(60, 0, 0, { b: 60 }) } },
  ],
};

describe('the figures of a step', () => {
  it('add up the kinds of its phases', () => {
    expect(figuresOf(report, ['1', '1, after'])).toEqual({
      ...{ requests: 140, answered: 139, failed: 2, refused: 0, lost: 1, notSent: 0, pending: 0 },
      seconds: 14,
      versions: { a: 79, b: 60 },
    });
    expect(figuresOf(report, ['2'])).toMatchObject({ requests: 60, lost: 3, seconds: 6 });
  });
});

it('failures are bounded by their expectation and three standard deviations', () => {
  // 10,000 requests, 4 % of them to fail: 400 expected, a deviation of √(10,000 · 0.04 · 0.96) = 19.6.
  expect(mostFailures(10_000, 0.2, 0.2)).toBeCloseTo(400 + 3 * 19.596, 2);
  expect(mostFailures(0, 0.2, 0.2)).toBe(0);
});

it('a table has columns, numbers to the right', () => {
  expect(
    textTable(
      ['Step', 'Lost'],
      [
        ['1 one', '0'],
        ['2', '12'],
      ],
    ),
  ).toBe('Step   Lost\n─────  ────\n1 one     0\n2        12');
});
