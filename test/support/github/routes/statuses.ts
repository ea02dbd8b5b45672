// The statuses of a commit, as systems outside of GitHub Actions set them.

import { api, base, need, paged, Refused, type Request, type Routes } from './shared.ts';
import type { CommitStatus } from '../repository.ts';

function statusBody(request: Request, { sha, ...status }: CommitStatus): object {
  const url = `${api(request)}/statuses/${sha}`;
  return {
    ...status,
    target_url: null,
    avatar_url: null,
    url,
    created_at: request.now,
    updated_at: request.now,
  };
}

/** As GitHub sums them up: one that failed decides, then one that is pending, and none at all is pending too. */
function stateOf(statuses: CommitStatus[]): string {
  if (statuses.some(({ state }) => state === 'error' || state === 'failure')) return 'failure';
  return statuses.length === 0 || statuses.some(({ state }) => state === 'pending') ? 'pending' : 'success';
}

export const statusRoutes: Routes = {
  [`GET ${base}/commits/{ref}/status`]: {
    need: need('read', 'statuses'),
    handle(request) {
      const { repository, parameters } = request;
      const sha = repository.resolve(parameters['ref'] ?? '');
      if (sha === undefined) throw new Refused(422, `No commit found for SHA: ${parameters['ref']}`);
      // The newest of each context.
      const latest = new Map(
        repository.statuses.filter((one) => one.sha === sha).map((one) => [one.context, one]),
      );
      const found = [...latest.values()];
      const full = `${repository.owner}/${repository.name}`;
      const url = `${api(request)}/commits/${sha}`;
      return paged(
        request,
        found.map((one) => statusBody(request, one)),
        (statuses) => ({
          state: stateOf(found),
          statuses,
          sha,
          total_count: found.length,
          repository: { full_name: full, name: repository.name },
          commit_url: url,
          url: `${url}/status`,
        }),
      );
    },
  },
};
