import type { Outcome, Result } from '@deploy-actions/action-kit';
import { DeployError } from '@deploy-actions/core';
import { describe, expect, it } from 'vitest';
import { createTestContext } from '../../test/support/context.ts';
import { endingOf, phasesChart, phasesJson, planText } from './account.ts';
import type { PhaseName, Undo, Undone } from './phase.ts';
import { goBack, planPhases, type Ready, runPhases, settlePhases } from './pipeline.ts';

const outcome = (result: Result, more: Partial<Outcome> = {}): Outcome => ({
  result,
  reasonCode: result === 'succeeded' ? 'ok' : 'unhealthy',
  message: `It ${result}.`,
  outputs: {},
  report: {},
  ...more,
});

interface Script {
  result?: Result;
  throws?: Error;
  undo?: Undo;
  during?(): void;
}

const undone: Undone = { state: 'undone', message: 'The traffic was given back.' };
const back = (made: Undone | Error = undone, tried?: () => void): Undo => ({
  kind: 'back',
  run() {
    tried?.();
    return made instanceof Error ? Promise.reject(made) : Promise.resolve(made);
  },
});

/** The pipeline with phases that do as they are told. */
function bench(scripts: Partial<Record<PhaseName, Script>> = {}) {
  const controller = new AbortController();
  const { context, lines } = createTestContext({ signal: controller.signal });
  const began: string[] = [];
  const armed: string[] = [];
  const names: PhaseName[] = ['preflight', 'migrate', 'shift', 'watch', 'postflight'];
  const phases: Ready[] = names.map((name) => {
    const { result = 'succeeded', throws, undo, during } = scripts[name] ?? {};
    return {
      name,
      title: name,
      doing: `doing ${name}`,
      plan: () => Promise.resolve(outcome('planned', { message: `Would do ${name}.` })),
      run(within) {
        began.push(name);
        during?.();
        within.summary.paragraph(`part of ${name}`);
        return throws === undefined ? Promise.resolve(outcome(result)) : Promise.reject(throws);
      },
      ...(undo === undefined ? {} : { undo: () => undo }),
    };
  });
  const memory = { arm: (given: readonly string[]) => void armed.push(given.join(',')) };
  return {
    ...{ phases, context, lines, began, armed, memory },
    cancel: () => controller.abort(),
    async run() {
      const ended = await runPhases(phases, context, memory);
      const last = ended.at(-1);
      if (last === undefined) throw new Error('nothing ran');
      if (last.outcome.result !== 'succeeded') await goBack(ended, context, memory);
      const became = ended.flatMap((made) =>
        made.undone === null ? [] : [`${made.phase.name}: ${made.undone.state}`],
      );
      return { ended, became, ending: endingOf(ended, last) };
    },
  };
}

const stays: Undo = { kind: 'stays', why: 'The migrations stay.' };
const usual = { migrate: { undo: stays }, shift: { undo: back() } };

describe('a pipeline', () => {
  it('runs every phase in order, and has nothing to take back in the end', async () => {
    const { run, began, armed } = bench(usual);
    const { ended, ending, became } = await run();
    expect(began).toEqual(['preflight', 'migrate', 'shift', 'watch', 'postflight']);
    expect(ending).toMatchObject({ result: 'succeeded', reasonCode: 'ok' });
    expect(became).toEqual([]);
    expect(ended.map(({ summary }) => summary.trim())).toContain('part of watch');
    expect(armed).toEqual(['shift', '']);
  });

  it('is unchanged when no phase that changes anything did', async () => {
    const { phases, context, memory } = bench({
      migrate: { result: 'unchanged', undo: stays },
      shift: { result: 'unchanged', undo: back() },
    });
    const ended = await runPhases(phases, context, memory);
    expect(endingOf(ended, ended.at(-1) ?? never()).result).toBe('unchanged');
  });

  it('says of the migrations too when the version served already', async () => {
    const { phases, context, memory } = bench({
      migrate: { undo: stays },
      shift: { result: 'unchanged', undo: back() },
    });
    const ended = await runPhases(phases, context, memory);
    expect(endingOf(ended, ended.at(-1) ?? never())).toMatchObject({
      ...{ result: 'succeeded', reasonCode: 'ok', message: 'It succeeded. It unchanged.' },
    });
  });

  it.each<[PhaseName, string[], Result]>([
    ['preflight', [], 'failed'],
    ['migrate', [], 'failed'],
    ['shift', ['migrate: stays'], 'failed'],
    ['watch', ['migrate: stays', 'shift: undone'], 'rolled-back'],
    ['postflight', ['migrate: stays', 'shift: undone'], 'rolled-back'],
  ])('that fails in %s goes back through what was done', async (name, became, result) => {
    const { run, began } = bench({ ...usual, [name]: { ...usual[name as 'shift'], result: 'failed' } });
    const made = await run();
    expect(began.at(-1)).toBe(name);
    expect(made.became).toEqual(became);
    expect(made.ending).toMatchObject({ result, reasonCode: 'unhealthy' });
    expect(made.ending.message).toContain('It failed.');
    if (result === 'rolled-back') {
      expect(made.ending.message).toBe('It failed. The traffic was given back. The migrations stay.');
    }
  });

  it.each([
    ['an error with a reason', new DeployError('lock_lost', 'Lost.'), 'lock_lost'],
    ['an error of its own', new TypeError('x is undefined'), 'internal'],
  ])('that is thrown out of by %s goes back, too', async (_what, throws, reasonCode) => {
    const { became, ending } = await bench({ ...usual, watch: { throws } }).run();
    expect(became).toEqual(['migrate: stays', 'shift: undone']);
    expect(ending).toMatchObject({ result: 'rolled-back', reasonCode });
  });

  it('that could not tell whether it went well says that, and that it went back', async () => {
    const { ending } = await bench({ ...usual, watch: { result: 'inconclusive' } }).run();
    expect(ending.result).toBe('inconclusive');
    expect(ending.message).toContain('The traffic was given back.');
  });

  it('takes nothing back that was so before', async () => {
    const { became, ending } = await bench({
      shift: { result: 'unchanged', undo: back() },
      postflight: { result: 'failed' },
    }).run();
    expect(became).toEqual([]);
    expect(ending.result).toBe('failed');
  });
});

function never(): never {
  throw new Error('nothing ran');
}

describe('a way back that fails', () => {
  const failed: Undone = {
    state: 'failed',
    message: 'The traffic could not be given back.',
    remedy: 'Do it by hand.',
  };

  it.each([
    ['by its answer', failed, 'The traffic could not be given back.'],
    ['by an error', new DeployError('unreachable', 'No router.', { remedy: 'Do it by hand.' }), 'No router.'],
  ])('%s is said, with what is left and what to do', async (_how, made, words) => {
    const { ending, became } = await bench({
      migrate: { undo: stays },
      shift: { undo: back(made) },
      watch: { result: 'failed' },
    }).run();
    expect(became).toEqual(['migrate: stays', 'shift: failed']);
    expect(ending).toMatchObject({ result: 'failed', reasonCode: 'revert_failed', remedy: 'Do it by hand.' });
    expect(ending.message).toContain(`It failed.`);
    expect(ending.message).toContain(words);
    expect(ending.message).toContain('The migrations stay.');
  });

  it('is tried once, also by the post step', async () => {
    let tried = 0;
    const { run, armed } = bench({
      shift: { undo: back(failed, () => (tried += 1)) },
      watch: { result: 'failed' },
    });
    await run();
    expect(tried).toBe(1);
    expect(armed.at(-1)).toBe('');
  });

  it('leaves alone what it stands on', async () => {
    let tried = false;
    const { ended } = await bench({
      migrate: { undo: back(undone, () => (tried = true)) },
      shift: { undo: back(failed) },
      watch: { result: 'failed' },
    }).run();
    expect(tried).toBe(false);
    expect(ended[1]?.undone).toMatchObject({
      state: 'failed',
      message: 'migrate was not taken back, because «shift» after it could not be.',
    });
  });
});

describe('a cancel', () => {
  it('lets no phase begin after it', async () => {
    const one = bench({ ...usual, preflight: { during: () => one.cancel() } });
    const { ended, ending } = await one.run();
    expect(one.began).toEqual(['preflight']);
    expect(ended.map(({ phase }) => phase.name)).toEqual(['preflight', 'migrate']);
    expect(ending).toMatchObject({ result: 'cancelled', reasonCode: 'cancelled' });
  });

  it('while the new version is watched gives the traffic back', async () => {
    const one = bench({ ...usual, watch: { result: 'cancelled', during: () => one.cancel() } });
    const { became, ending } = await one.run();
    expect(became).toEqual(['migrate: stays', 'shift: undone']);
    expect(ending.result).toBe('cancelled');
    expect(ending.message).toContain('The traffic was given back.');
    expect(one.armed.at(-1)).toBe('');
  });

  it('leaves to the post step what there is no time for', async () => {
    const slow: Undo = {
      kind: 'back',
      run: (within) =>
        new Promise((resolve) => {
          const answer = () => resolve({ state: 'failed', message: 'Cancelled while starting.' });
          within.signal.addEventListener('abort', answer, { once: true });
        }),
    };
    const one = bench({
      migrate: { undo: back() },
      shift: { undo: slow },
      watch: { result: 'cancelled', during: () => one.cancel() },
    });
    const { became, ending } = await one.run();
    expect(became).toEqual(['migrate: pending', 'shift: pending']);
    expect(ending.result).toBe('cancelled');
    expect(ending.message).toContain('taken back by the post step');
    expect(one.armed.at(-1)).toBe('migrate,shift');
  });
});

describe('the post step', () => {
  const withPost = (made: Undone | undefined) => {
    const asked: string[] = [];
    const { phases, context } = bench();
    const post: Ready['post'] = (_context, isBack) => {
      asked.push(`shift ${isBack}`);
      return Promise.resolve(isBack ? made : undefined);
    };
    return { asked, context, phases: phases.map((one) => (one.name === 'shift' ? { ...one, post } : one)) };
  };

  it('settles, and takes back only what the main step was to', async () => {
    const { asked, phases, context } = withPost(undone);
    expect(await settlePhases(phases, context, [''])).toEqual([]);
    expect(await settlePhases(phases, context, ['shift'])).toEqual([undone]);
    expect(asked).toEqual(['shift false', 'shift true']);
  });

  it('fails when what is left cannot be taken back', async () => {
    const { phases, context } = withPost({ state: 'failed', message: 'It stays.', remedy: 'Look.' });
    await expect(settlePhases(phases, context, ['shift'])).rejects.toMatchObject({
      reasonCode: 'revert_failed',
      message: 'It stays. Look.',
    });
  });
});

describe('the account', () => {
  it('draws the phases, the way back and what was not begun', async () => {
    const { run, phases } = bench({ ...usual, watch: { result: 'failed' } });
    const { ended } = await run();
    const chart = phasesChart(phases, ended);
    expect(chart).toMatch(/preflight\["✅ preflight<br>[^"]+"\]/);
    expect(chart).toMatch(/shift\["↩️ shift/);
    expect(chart).toMatch(/watch\["❌ watch/);
    expect(chart).toContain('postflight["postflight<br>not begun"]:::idle');
    expect(chart).toContain('watch -.-> postflight');
    expect(chart).toContain('watch -.-> shift');
    expect(chart).toMatch(/shift\[".*↩ taken back"\]/);
  });

  it('is an output with what became of each', async () => {
    const { ended } = await bench({ ...usual, watch: { result: 'failed' } }).run();
    const written = JSON.parse(phasesJson(ended)) as Record<string, unknown>[];
    expect(written.map(({ name, result, undone: made }) => [name, result, made])).toEqual([
      ['preflight', 'succeeded', null],
      ['migrate', 'succeeded', 'stays'],
      ['shift', 'succeeded', 'undone'],
      ['watch', 'failed', null],
    ]);
    expect(written[2]).toMatchObject({ seconds: expect.any(Number), 'undone-message': undone.message });
  });

  it('of a plan has every phase, also after one that cannot be planned', async () => {
    const { phases, context } = bench();
    const [first, ...others] = phases;
    const broken: Ready = {
      ...(first ?? never()),
      plan: () => Promise.reject(new DeployError('unreachable', 'No |store|.')),
    };
    const text = planText(await planPhases([broken, ...others], context));
    expect(text).toContain('#### 1. preflight\n\n❌ No \\|store\\|.');
    expect(text).toContain('#### 5. postflight\n\nWould do postflight.');
  });
});
