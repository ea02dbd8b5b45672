// A Git object store in memory, with Git's own object names, so that what is stored by one route is found by another.

import { createHash } from 'node:crypto';

export interface TreeEntry {
  path: string;
  mode: string;
  type: 'blob' | 'tree' | 'commit';
  sha: string;
}

export interface Signature {
  name: string;
  email: string;
  /** ISO 8601 in whole seconds, as GitHub keeps it. */
  date: string;
}

export interface Commit {
  sha: string;
  tree: string;
  parents: string[];
  message: string;
  author: Signature;
  committer: Signature;
}

export const zeroOid = '0'.repeat(40);

function nameOf(type: string, content: Buffer): string {
  return createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest('hex');
}

export function createObjects() {
  const blobs = new Map<string, Buffer>();
  const trees = new Map<string, TreeEntry[]>();
  const commits = new Map<string, Commit>();

  function putBlob(content: Buffer): string {
    const sha = nameOf('blob', content);
    blobs.set(sha, content);
    return sha;
  }

  function putTree(entries: TreeEntry[]): string {
    // Git sorts a folder as though its name ended with a slash.
    const key = ({ path, type }: TreeEntry) => (type === 'tree' ? `${path}/` : path);
    const sorted = entries.toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
    const content = Buffer.concat(
      sorted.flatMap(({ mode, path, sha }) => [
        Buffer.from(`${mode.replace(/^0/, '')} ${path}\0`),
        Buffer.from(sha, 'hex'),
      ]),
    );
    const sha = nameOf('tree', content);
    trees.set(sha, sorted);
    return sha;
  }

  function putCommit(commit: Omit<Commit, 'sha'>): Commit {
    const by = ({ name, email, date }: Signature) => `${name} <${email}> ${Date.parse(date) / 1_000} +0000`;
    const content = [
      `tree ${commit.tree}`,
      ...commit.parents.map((parent) => `parent ${parent}`),
      `author ${by(commit.author)}`,
      `committer ${by(commit.committer)}`,
      '',
      commit.message,
    ].join('\n');
    const made = { ...commit, sha: nameOf('commit', Buffer.from(content)) };
    commits.set(made.sha, made);
    return made;
  }

  /** Whether one commit is the other, or one of its ancestors. */
  function isAncestor(ancestor: string, of: string): boolean {
    const seen = new Set<string>();
    for (const queue = [of]; queue.length > 0;) {
      const sha = queue.pop() ?? '';
      if (sha === ancestor) return true;
      if (seen.has(sha)) continue;
      seen.add(sha);
      queue.push(...(commits.get(sha)?.parents ?? []));
    }
    return false;
  }

  return { blobs, trees, commits, putBlob, putTree, putCommit, isAncestor };
}

export type Objects = ReturnType<typeof createObjects>;
