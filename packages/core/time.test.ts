import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deadlineIn, formatDuration, parseDuration, sleep } from './time.ts';

describe('parseDuration', () => {
  it('adds up every unit, from large to small', () => {
    const units = [
      ['d', 86_400_000],
      ['h', 3_600_000],
      ['m', 60_000],
      ['s', 1_000],
      ['ms', 1],
    ] as const;
    const counts = fc.tuple(...units.map(() => fc.option(fc.nat({ max: 500 }), { nil: undefined })));
    fc.assert(
      fc.property(counts, (given) => {
        fc.pre(given.some((count) => count !== undefined));
        const text = units
          .map(([unit], index) => (given[index] === undefined ? '' : `${given[index]}${unit}`))
          .join('');
        const milliseconds = units.reduce((sum, [, factor], index) => sum + factor * (given[index] ?? 0), 0);
        expect(parseDuration(text)).toBe(milliseconds);
      }),
    );
  });

  it.each([
    '',
    ' ',
    '10',
    '-1s',
    '1s1m',
    '1 m',
    '1.5ms',
    'm',
    '1e3s',
    'NaN',
    'Infinity',
    '99999999999999999999d',
  ])('refuses %j', (text) => expect(parseDuration(text)).toBeUndefined());

  it('refuses what it does not know, never guesses', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const read = parseDuration(text);
        expect(read === undefined || (Number.isSafeInteger(read) && read >= 0)).toBe(true);
      }),
    );
  });
});

describe('formatDuration', () => {
  it('can be read again, to within what it rounds', () => {
    fc.assert(
      fc.property(fc.nat({ max: 40 * 86_400_000 }), (milliseconds) => {
        const read = parseDuration(formatDuration(milliseconds)) ?? Number.NaN;
        const rounding = milliseconds < 1_000 ? 0 : milliseconds < 60_000 ? 50 : 500;
        expect(Math.abs(read - milliseconds)).toBeLessThanOrEqual(rounding);
      }),
    );
  });

  it.each([
    [0, '0ms'],
    [2_500, '2.5s'],
    [90_000, '1m30s'],
    [5_400_000, '1h30m'],
  ])('%i', (milliseconds, text) => expect(formatDuration(milliseconds)).toBe(text));
});

describe('waiting', () => {
  it('counts down on the monotonic clock', async () => {
    const deadline = deadlineIn(30);
    expect(deadlineIn(10_000).passed()).toBe(false);
    await sleep(40, new AbortController().signal);
    expect(deadline.passed()).toBe(true);
    expect(deadline.remaining()).toBe(0);
    expect(deadline.elapsed()).toBeGreaterThanOrEqual(39);
  });

  it('ends at once when it is cancelled, before or while it waits', async () => {
    const cancelledError = { reasonCode: 'cancelled', message: 'Cancelled while testing.' };
    await expect(sleep(60_000, AbortSignal.abort(), 'testing')).rejects.toMatchObject(cancelledError);
    const start = performance.now();
    await expect(sleep(60_000, AbortSignal.timeout(20), 'testing')).rejects.toMatchObject(cancelledError);
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  it('does not end at once when it is longer than a timer can be', async () => {
    const waited = sleep(60 * 86_400_000, AbortSignal.timeout(50), 'testing');
    await expect(waited).rejects.toMatchObject({ reasonCode: 'cancelled' });
  });
});
