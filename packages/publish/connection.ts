import type { Context } from '@deploy-actions/action-kit';
import type { GitHubOptions } from '@deploy-actions/github';

/** Where a run's own repository is, and the token to speak to it; undefined without a token, or outside of a repository. */
export function connectionOf(
  { facts }: Pick<Context, 'facts'>,
  token = '',
): Pick<GitHubOptions, 'token' | 'apiUrl' | 'graphqlUrl' | 'repository'> | undefined {
  const { repository, apiUrl, graphqlUrl } = facts;
  return token === '' || !/^[^/]+\/[^/]+$/.test(repository)
    ? undefined
    : { token, apiUrl, graphqlUrl, repository };
}
