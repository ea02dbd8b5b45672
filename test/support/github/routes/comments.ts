// Comments on pull requests.

import type { Comment } from '../repository.ts';
import {
  type Answer,
  api,
  base,
  invalid,
  need,
  notFound,
  paged,
  type Request,
  type Routes,
  text,
  web,
} from './shared.ts';

function commentBody(request: Request, { issue, ...comment }: Comment): object {
  const page = `${web(request)}/pull/${issue}`;
  return {
    ...comment,
    url: `${api(request)}/issues/comments/${comment.id}`,
    html_url: `${page}#issuecomment-${comment.id}`,
    issue_url: `${api(request)}/issues/${issue}`,
  };
}

const commentOf = (request: Request): Comment => {
  const id = Number(request.parameters['comment_id']);
  const found = request.repository.comments.find((comment) => comment.id === id);
  if (found === undefined) throw notFound();
  return found;
};

const issueOf = (request: Request): number => {
  const number = Number(request.parameters['issue_number']);
  if (!request.repository.pulls.some((pull) => pull.number === number)) throw notFound();
  return number;
};

function commentText(request: Request): string {
  const written = text(request.body['body']);
  if (written.trim() === '') throw invalid(request, 'body cannot be blank');
  if (written.length > 65_536) throw invalid(request, 'body is too long (maximum is 65536 characters)');
  return written;
}

function createComment(request: Request): Answer {
  const { repository, token, now } = request;
  const comment: Comment = {
    id: repository.nextId(),
    issue: issueOf(request),
    user: token.identity,
    body: commentText(request),
    created_at: now,
    updated_at: now,
  };
  repository.comments.push(comment);
  return { status: 201, body: commentBody(request, comment) };
}

function updateComment(request: Request): Answer {
  const comment = commentOf(request);
  comment.body = commentText(request);
  comment.updated_at = request.now;
  return { status: 200, body: commentBody(request, comment) };
}

function deleteComment(request: Request): Answer {
  const { comments } = request.repository;
  comments.splice(comments.indexOf(commentOf(request)), 1);
  return { status: 204 };
}

const commentWrite = need('write', 'issues', 'pull-requests');

export const commentRoutes: Routes = {
  [`GET ${base}/issues/{issue_number}/comments`]: {
    need: need('read', 'issues', 'pull-requests'),
    handle(request) {
      const number = issueOf(request);
      const found = request.repository.comments.filter(({ issue }) => issue === number);
      return paged(
        request,
        found.map((comment) => commentBody(request, comment)),
      );
    },
  },
  [`POST ${base}/issues/{issue_number}/comments`]: { need: commentWrite, handle: createComment },
  [`PATCH ${base}/issues/comments/{comment_id}`]: { need: commentWrite, handle: updateComment },
  [`DELETE ${base}/issues/comments/{comment_id}`]: { need: commentWrite, handle: deleteComment },
};
