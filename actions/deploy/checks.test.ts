import { cancelled, silentLog } from '@deploy-actions/core';
import { describe, expect, it } from 'vitest';
import { awaitChecks, describeChecks, isGreen, type RequiredCheck, standOf } from './checks.ts';

const required = ['unit', 'e2e (chromium, 2)'];
const green = required.map((name) => ({ name, state: 'success', said: 'success' }) as const);
const unit = (state: RequiredCheck['state'], said: string = state): RequiredCheck => ({
  name: 'unit',
  state,
  said,
});

/** Looks that see one list after another; the last one for ever. Time does not pass in between. */
async function wait(...seen: RequiredCheck[][]) {
  let looked = 0;
  const waited: number[] = [];
  const checks = await awaitChecks(
    () => Promise.resolve(seen[Math.min(looked++, seen.length - 1)] ?? []),
    60_000,
    {
      signal: new AbortController().signal,
      log: silentLog,
      wait(milliseconds) {
        waited.push(milliseconds);
        return Promise.resolve();
      },
    },
  );
  return { checks, looked, waited };
}

describe('the required checks', () => {
  it('are those of exactly these names', () => {
    const found = [
      { name: 'Unit', state: 'success', said: 'success' },
      { name: 'e2e (chromium, 2)', state: 'pending', said: 'queued' },
    ] as const;
    const checks = standOf([...required, 'unit'], found);
    expect(describeChecks(checks)).toBe('«unit» is not on the commit, «e2e (chromium, 2)» is queued');
    expect(isGreen(checks)).toBe(false);
    expect(isGreen(standOf(required, green))).toBe(true);
  });

  it('are looked at once when they are green', async () => {
    expect(await wait([...green])).toMatchObject({ looked: 1, waited: [] });
  });

  it('are waited for while they are pending or not there yet', async () => {
    const { checks, looked, waited } = await wait([unit('missing')], [unit('pending')], [unit('success')]);
    expect({ looked, waited }).toEqual({ looked: 3, waited: [15_000, 15_000] });
    expect(isGreen(checks)).toBe(true);
  });

  it('are not waited for once one has failed', async () => {
    const { checks, looked } = await wait([
      unit('pending'),
      { name: 'lint', state: 'failed', said: 'failure' },
    ]);
    expect(looked).toBe(1);
    expect(isGreen(checks)).toBe(false);
  });

  it('are given up when their time is over', async () => {
    const checks = await awaitChecks(() => Promise.resolve([unit('pending')]), 30, {
      signal: new AbortController().signal,
      log: silentLog,
    });
    expect(checks).toEqual([unit('pending')]);
  });

  it('that cannot be read are no reason to go on', async () => {
    const failing = () => Promise.reject(new Error('503'));
    const options = { signal: new AbortController().signal, log: silentLog };
    await expect(awaitChecks(failing, 30, options)).rejects.toThrow('503');
  });

  it('are not waited for by a run that was cancelled', async () => {
    const options = { signal: AbortSignal.abort(), log: silentLog };
    await expect(
      awaitChecks(() => Promise.resolve([unit('pending')]), 60_000, options),
    ).rejects.toMatchObject({
      reasonCode: cancelled('').reasonCode,
    });
  });
});
