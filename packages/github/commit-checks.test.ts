import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { faults } from '../../test/support/github/index.ts';
import { readCommitChecks } from './commit-checks.ts';
import { type Bench, startBench } from './test-support.ts';

let bench: Bench;
beforeEach(async () => {
  bench = await startBench();
});
afterEach(() => bench.stop());

function run(name: string, status: string, conclusion: string | null = null) {
  const { repository, head } = bench.double;
  repository.checkRuns.push({
    id: repository.nextId(),
    name,
    head_sha: head,
    external_id: null,
    status,
    conclusion,
    started_at: null,
    completed_at: null,
    output: { title: null, summary: null, text: null },
    annotations: [],
  });
}

function status(context: string, state: 'error' | 'failure' | 'pending' | 'success') {
  const { repository, head } = bench.double;
  repository.statuses.push({ id: repository.nextId(), sha: head, context, state, description: null });
}

const read = () => readCommitChecks(bench.connect(), bench.double.head);

describe('the checks of a commit', () => {
  it('are its check runs and its statuses, each in GitHub’s words', async () => {
    run('unit', 'completed', 'success');
    run('e2e (chromium, 2)', 'in_progress');
    run('lint', 'completed', 'timed_out');
    status('ci/legacy', 'success');
    status('ci/security', 'error');
    expect(await read()).toEqual([
      { name: 'lint', state: 'failed', said: 'timed_out' },
      { name: 'e2e (chromium, 2)', state: 'pending', said: 'in_progress' },
      { name: 'unit', state: 'success', said: 'success' },
      { name: 'ci/legacy', state: 'success', said: 'success' },
      { name: 'ci/security', state: 'failed', said: 'error' },
    ]);
  });

  it.each(['skipped', 'neutral', 'cancelled', 'action_required', 'failure'])(
    'that ended as %s are no success',
    async (conclusion) => {
      run('unit', 'completed', conclusion);
      expect(await read()).toEqual([{ name: 'unit', state: 'failed', said: conclusion }]);
    },
  );

  it('that were run again count as they ended last', async () => {
    run('unit', 'completed', 'failure');
    run('unit', 'completed', 'success');
    status('ci/legacy', 'failure');
    status('ci/legacy', 'success');
    expect((await read()).map(({ state }) => state)).toEqual(['success', 'success']);
  });

  it('of one name by a run and by a status count as the worse', async () => {
    run('unit', 'completed', 'success');
    status('unit', 'pending');
    expect(await read()).toEqual([{ name: 'unit', state: 'pending', said: 'pending' }]);
  });

  it('are all read where there are many', async () => {
    for (let index = 0; index < 230; index += 1) {
      run(`run ${index}`, 'completed', 'success');
      status(`status ${index}`, 'success');
    }
    expect(await read()).toHaveLength(460);
  });
});

describe('checks that cannot be read', () => {
  it.each([
    ['check-runs', { checks: 'none' }, 'checks: read'],
    ['statuses', { checks: 'read' }, 'statuses: read'],
  ])('for a permission that is missing: %s', async (_what, { checks }, permission) => {
    const permissions = checks === 'read' ? ({ checks: 'read' } as const) : ({ statuses: 'read' } as const);
    await expect(readCommitChecks(bench.connect({ permissions }), bench.double.head)).rejects.toMatchObject({
      reasonCode: 'permission_denied',
      remedy: `Add \`${permission}\` to the \`permissions\` of the job.`,
    });
  });

  it('for an outage are an error, never an empty list', async () => {
    bench.double.inject({ operation: /status$/, fault: faults.unavailable });
    await expect(read()).rejects.toMatchObject({ reasonCode: 'unreachable' });
  });
});
