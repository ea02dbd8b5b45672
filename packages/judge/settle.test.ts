import { expect, test } from 'vitest';
import { judgeLimit } from './limits.ts';
import { unavailable } from './observed.ts';
import { combine, settle } from './settle.ts';

const settings = { atEnd: true, minRequests: 50, strict: false, alpha: 0.05 };
const judge = (errors: number, total: number, atEnd = true) =>
  judgeLimit(
    { kind: 'error-rate', max: 0.05 },
    { kind: 'ratio', name: 'errors', query: 'q', window: 1_000, errors, total },
    { ...settings, atEnd },
  );
const pass = judge(0, 100);
const undecided = judge(0, 100, false);
const fail = judge(50, 100);
const noData = judgeLimit(
  { kind: 'error-rate', max: 0.05 },
  unavailable('errors', 'q', 'HTTP 500'),
  settings,
);

test('the worst verdict wins, and the words of all are kept', () => {
  expect(combine([pass, undecided, noData, fail])).toMatchObject({
    outcome: 'fail',
    reasonCode: 'limit_exceeded',
    words: [fail.words, noData.words, undecided.words, pass.words],
  });
  expect(combine([undecided, noData, pass])).toMatchObject({
    outcome: 'inconclusive',
    reasonCode: 'metrics_unavailable',
  });
  expect(combine([pass, undecided]).outcome).toBe('undecided');
  expect(combine([pass, pass])).toMatchObject({ outcome: 'pass', reasonCode: 'ok' });
});

test('nothing judged is not a pass', () => {
  expect(combine([])).toMatchObject({ outcome: 'inconclusive', reasonCode: 'insufficient_data' });
});

test('what is open waits until the deadline; then the policy says', () => {
  for (const outcome of ['inconclusive', 'undecided'] as const) {
    for (const policy of ['hold', 'fail', 'pass'] as const) {
      expect(settle(outcome, policy, false)).toBe('wait');
      expect(settle(outcome, policy, true)).toBe(policy);
    }
  }
  expect(settle('fail', 'pass', true)).toBe('fail');
  expect(settle('pass', 'fail', false)).toBe('pass');
});
