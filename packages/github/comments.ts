import { commentLimit, fitMarkdown } from './markdown.ts';
import { createOnce, type GitHub, type Id } from './client.ts';
import { hasStatus } from './errors.ts';

export interface CommentReport {
  /** Number of the pull request. */
  pullRequest: number;
  /** A hidden first line (`<!-- … -->`) that is the same for each comment of one purpose, and for no other. */
  marker: string;
  /** Markdown; with the marker as its first line or without. */
  body: string;
}

export interface CommentResult {
  id: Id;
  url: string;
  done: 'created' | 'updated' | 'unchanged';
}

const permission = 'pull-requests: write';
const route = '/repos/{owner}/{repo}/issues';

/**
 * Has one comment of this purpose on a pull request say this. A comment is ours when the token's own identity wrote it
 * and it begins with the marker; what others wrote is never touched. Where runs at the same time made several, the
 * oldest is kept. Throws GitHubError.
 */
export async function writeComment(github: GitHub, report: CommentReport): Promise<CommentResult> {
  const { pullRequest: issue_number, marker } = report;
  const body = fitMarkdown(
    report.body.startsWith(marker) ? report.body : `${marker}\n${report.body}`,
    commentLimit,
  );
  const self = await identityOf(github);
  const find = async () =>
    (await list(github, issue_number)).filter(
      ({ user, body: text = '' }) => user?.id === self && text.startsWith(marker),
    );
  const [own, ...others] = await find();
  for (const { id } of others) await remove(github, id);
  if (own !== undefined) {
    if (own.body === body) return { id: own.id, url: own.html_url, done: 'unchanged' };
    try {
      await github.call(
        `PATCH ${route}/comments/{comment_id}`,
        { comment_id: own.id, body },
        { permission, repeatable: true },
      );
      return { id: own.id, url: own.html_url, done: 'updated' };
    } catch (thrown) {
      // Somebody deleted it since.
      if (!hasStatus(thrown, 404)) throw thrown;
    }
  }
  const { id, html_url: url } = await createOnce(
    github,
    async () =>
      (await github.call(`POST ${route}/{issue_number}/comments`, { issue_number, body }, { permission }))
        .data,
    async () => (await find()).find((comment) => comment.body === body),
  );
  return { id, url, done: 'created' };
}

async function list(github: GitHub, issue_number: number) {
  const perPage = 100;
  const comments = [];
  for (let page = 1; ; page++) {
    const { data } = await github.call(
      `GET ${route}/{issue_number}/comments`,
      { issue_number, per_page: perPage, page },
      { permission },
    );
    comments.push(...data);
    if (data.length < perPage) return comments;
  }
}

async function remove(github: GitHub, comment_id: Id): Promise<void> {
  try {
    await github.call(
      `DELETE ${route}/comments/{comment_id}`,
      { comment_id },
      { permission, repeatable: true },
    );
  } catch (thrown) {
    if (!hasStatus(thrown, 404)) throw thrown;
  }
}

/** The id of who writes with this token. `GET /user` is closed to the token of a job; GraphQL tells. */
async function identityOf(github: GitHub): Promise<number> {
  const { viewer } = await github.graphql<{ viewer: { databaseId: number } }>(
    'query Viewer { viewer { databaseId } }',
    {},
    { permission },
  );
  return viewer.databaseId;
}
