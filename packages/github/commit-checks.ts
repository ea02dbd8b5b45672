import type { GitHub } from './client.ts';

/** What there is on a commit under one name: by a check run, by a status of another system, or by several of both. */
export interface CommitCheck {
  name: string;
  state: 'success' | 'pending' | 'failed';
  /** In GitHub's words: `success`, `in_progress`, `timed_out`, … */
  said: string;
}

const perPage = 100;

/**
 * The newest check runs and statuses of a commit. Only `success` is one: what was skipped or is neutral has tested
 * nothing, and counts as failed here. Where several have one name (the same job for two events), the worst counts.
 * For a gate: a failure to read is thrown, as GitHubError.
 */
export async function readCommitChecks(github: GitHub, sha: string): Promise<CommitCheck[]> {
  const [runs, statuses] = await Promise.all([checkRunsOf(github, sha), statusesOf(github, sha)]);
  const worst = new Map<string, CommitCheck>();
  for (const check of [...runs, ...statuses]) {
    const known = worst.get(check.name);
    if (known === undefined || badness[check.state] > badness[known.state]) worst.set(check.name, check);
  }
  return [...worst.values()];
}

const badness = { success: 0, pending: 1, failed: 2 } as const;

async function checkRunsOf(github: GitHub, ref: string): Promise<CommitCheck[]> {
  const found: CommitCheck[] = [];
  for (let page = 1; ; page += 1) {
    const { data } = await github.call(
      'GET /repos/{owner}/{repo}/commits/{ref}/check-runs',
      { ref, filter: 'latest', per_page: perPage, page },
      { permission: 'checks: read' },
    );
    for (const { name, status, conclusion } of data.check_runs) {
      if (status !== 'completed') found.push({ name, state: 'pending', said: status });
      else
        found.push({
          name,
          state: conclusion === 'success' ? 'success' : 'failed',
          said: conclusion ?? 'no conclusion',
        });
    }
    if (data.check_runs.length < perPage) return found;
  }
}

async function statusesOf(github: GitHub, ref: string): Promise<CommitCheck[]> {
  const found: CommitCheck[] = [];
  for (let page = 1; ; page += 1) {
    const { data } = await github.call(
      'GET /repos/{owner}/{repo}/commits/{ref}/status',
      { ref, per_page: perPage, page },
      { permission: 'statuses: read' },
    );
    for (const { context, state } of data.statuses) {
      const isKnown = state === 'success' || state === 'pending';
      found.push({ name: context, state: isKnown ? state : 'failed', said: state });
    }
    if (data.statuses.length < perPage) return found;
  }
}
