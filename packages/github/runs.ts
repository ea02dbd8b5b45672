import type { GitHub } from './client.ts';
import { hasStatus, isMissingPermission } from './errors.ts';

/**
 * Whether an attempt of a workflow run has ended, so that what it holds may be taken over. Undefined when that cannot be
 * known: the run was deleted, or the token lacks `actions: read`. Throws GitHubError.
 */
export async function isRunOver(
  github: GitHub,
  run: { id: number; attempt: number },
): Promise<boolean | undefined> {
  try {
    const { data } = await github.call(
      'GET /repos/{owner}/{repo}/actions/runs/{run_id}',
      { run_id: run.id },
      { permission: 'actions: read' },
    );
    // A new attempt begins when the one before has ended.
    return data.status === 'completed' || (data.run_attempt ?? run.attempt) > run.attempt;
  } catch (thrown) {
    if (hasStatus(thrown, 404) || isMissingPermission(thrown)) return undefined;
    throw thrown;
  }
}
