// References and objects of Git.

import type { Signature, TreeEntry } from '../git.ts';
import {
  type Answer,
  api,
  base,
  invalid,
  need,
  notFound,
  Refused,
  type Request,
  type Routes,
  text,
  web,
} from './shared.ts';

const refBody = (request: Request, ref: string, sha: string) => ({
  ref,
  url: `${api(request)}/git/${ref}`,
  object: { type: 'commit', sha, url: `${api(request)}/git/commits/${sha}` },
});

const fullRef = ({ parameters }: Request): string => `refs/${parameters['ref'] ?? ''}`;

function createRef(request: Request): Answer {
  const { repository, body } = request;
  const ref = text(body['ref']);
  if (!/^refs\/[^/]+\/./.test(ref)) throw invalid(request, 'Reference name must be fully qualified');
  const sha = text(body['sha']);
  if (!repository.objects.commits.has(sha)) throw new Refused(422, 'Object does not exist');
  if (repository.refs.has(ref)) throw new Refused(422, 'Reference already exists');
  repository.refs.set(ref, sha);
  return { status: 201, body: refBody(request, ref, sha) };
}

function updateRef(request: Request): Answer {
  const { repository, body } = request;
  const ref = fullRef(request);
  const sha = text(body['sha']);
  const current = repository.refs.get(ref);
  if (current === undefined) throw new Refused(422, 'Reference does not exist');
  if (!repository.objects.commits.has(sha)) throw new Refused(422, 'Object does not exist');
  if (body['force'] !== true && !repository.objects.isAncestor(current, sha)) {
    throw new Refused(422, 'Update is not a fast forward');
  }
  repository.refs.set(ref, sha);
  return { status: 200, body: refBody(request, ref, sha) };
}

function createTree(request: Request): Answer {
  const { repository, body } = request;
  const { objects } = repository;
  const from = body['base_tree'];
  const known = typeof from === 'string' ? objects.trees.get(from) : [];
  if (known === undefined) throw new Refused(422, `base_tree is not a valid tree: ${String(from)}`);
  const entries = new Map(known.map((entry) => [entry.path, entry]));
  for (const entry of body['tree'] as Partial<TreeEntry & { content: string }>[]) {
    const { path, mode = '100644', type = 'blob', content } = entry;
    // GitHub makes the folders of a path; nothing here needs them.
    if (path === undefined || path === '' || path.includes('/'))
      throw invalid(request, 'tree.path malformed');
    if ((content === undefined) === (entry.sha === undefined)) {
      throw invalid(request, 'Must supply either tree.sha or tree.content');
    }
    if (entry.sha === null) {
      entries.delete(path);
      continue;
    }
    const sha = entry.sha ?? objects.putBlob(Buffer.from(content ?? ''));
    if (!objects.blobs.has(sha) && !objects.trees.has(sha))
      throw new Refused(422, `tree.sha ${sha} is not valid`);
    entries.set(path, { path, mode, type, sha });
  }
  return treeAnswer(request, objects.putTree([...entries.values()]), 201);
}

function treeAnswer(request: Request, sha: string, status: number): Answer {
  const tree = request.repository.objects.trees.get(sha);
  if (tree === undefined) throw notFound();
  return { status, body: { sha, url: `${api(request)}/git/trees/${sha}`, truncated: false, tree } };
}

function createCommit(request: Request): Answer {
  const { repository, body, now, token } = request;
  const { objects } = repository;
  const tree = text(body['tree']);
  if (!objects.trees.has(tree)) throw new Refused(422, 'Tree SHA does not exist');
  const parents = (body['parents'] as string[] | undefined) ?? [];
  if (!parents.every((parent) => objects.commits.has(parent))) {
    throw new Refused(422, 'Parent SHA does not exist or is not a commit object');
  }
  const own = {
    name: token.identity.login,
    email: `${token.identity.id}@users.noreply.github.example`,
    date: now,
  };
  const author = { ...own, ...(body['author'] as Partial<Signature> | undefined) };
  const committer = { ...author, ...(body['committer'] as Partial<Signature> | undefined) };
  const { sha } = objects.putCommit({ tree, parents, message: text(body['message']), author, committer });
  return commitAnswer(request, sha, 201);
}

function commitAnswer(request: Request, sha: string, status: number): Answer {
  const commit = request.repository.objects.commits.get(sha);
  if (commit === undefined) throw notFound();
  const page = (of: string) => `${web(request)}/commit/${of}`;
  const address = (of: string) => `${api(request)}/git/commits/${of}`;
  return {
    status,
    body: {
      ...commit,
      url: address(sha),
      html_url: page(sha),
      tree: { sha: commit.tree, url: `${api(request)}/git/trees/${commit.tree}` },
      parents: commit.parents.map((parent) => ({
        sha: parent,
        url: address(parent),
        html_url: page(parent),
      })),
      verification: { verified: false, reason: 'unsigned' },
    },
  };
}

function createBlob(request: Request): Answer {
  const { repository, body } = request;
  const encoding = body['encoding'] === 'base64' ? 'base64' : 'utf8';
  const sha = repository.objects.putBlob(Buffer.from(text(body['content']), encoding));
  return { status: 201, body: { sha, url: `${api(request)}/git/blobs/${sha}` } };
}

export const gitRoutes: Routes = {
  [`GET ${base}/git/ref/{ref}`]: {
    need: need('read', 'contents'),
    handle(request) {
      const sha = request.repository.refs.get(fullRef(request));
      if (sha === undefined) throw notFound();
      return { status: 200, body: refBody(request, fullRef(request), sha) };
    },
  },
  [`POST ${base}/git/refs`]: { need: need('write', 'contents'), handle: createRef },
  [`PATCH ${base}/git/refs/{ref}`]: { need: need('write', 'contents'), handle: updateRef },
  [`DELETE ${base}/git/refs/{ref}`]: {
    need: need('write', 'contents'),
    handle(request) {
      if (!request.repository.refs.delete(fullRef(request)))
        throw new Refused(422, 'Reference does not exist');
      return { status: 204 };
    },
  },
  [`POST ${base}/git/blobs`]: { need: need('write', 'contents'), handle: createBlob },
  [`GET ${base}/git/blobs/{file_sha}`]: {
    need: need('read', 'contents'),
    handle(request) {
      const sha = request.parameters['file_sha'] ?? '';
      const content = request.repository.objects.blobs.get(sha);
      if (content === undefined) throw notFound();
      const url = `${api(request)}/git/blobs/${sha}`;
      return {
        status: 200,
        body: { sha, url, size: content.length, encoding: 'base64', content: content.toString('base64') },
      };
    },
  },
  [`POST ${base}/git/trees`]: { need: need('write', 'contents'), handle: createTree },
  [`GET ${base}/git/trees/{tree_sha}`]: {
    need: need('read', 'contents'),
    handle: (request) => treeAnswer(request, request.parameters['tree_sha'] ?? '', 200),
  },
  [`POST ${base}/git/commits`]: { need: need('write', 'contents'), handle: createCommit },
  [`GET ${base}/git/commits/{commit_sha}`]: {
    need: need('read', 'contents'),
    handle: (request) => commitAnswer(request, request.parameters['commit_sha'] ?? '', 200),
  },
};
