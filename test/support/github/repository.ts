// What the double remembers: one repository with its Git objects, deployments, checks, comments and analyses.

import { createObjects, type Objects } from './git.ts';
import type { Identity } from './tokens.ts';

export interface DeploymentStatus {
  id: number;
  state: string;
  description: string;
  environment: string;
  environment_url: string;
  log_url: string;
  creator: Identity;
  created_at: string;
}

export interface Deployment {
  id: number;
  sha: string;
  ref: string;
  task: string;
  environment: string;
  description: string | null;
  payload: unknown;
  transient_environment: boolean;
  production_environment: boolean;
  creator: Identity;
  created_at: string;
  /** Oldest first. */
  statuses: DeploymentStatus[];
}

export interface CheckAnnotation {
  path: string;
  start_line: number;
  end_line: number;
  start_column?: number;
  end_column?: number;
  annotation_level: string;
  message: string;
  title?: string;
  raw_details?: string;
}

export interface CheckRun {
  id: number;
  name: string;
  head_sha: string;
  external_id: string | null;
  status: string;
  conclusion: string | null;
  started_at: string | null;
  completed_at: string | null;
  output: { title: string | null; summary: string | null; text: string | null };
  annotations: CheckAnnotation[];
}

export interface CommitStatus {
  id: number;
  sha: string;
  context: string;
  state: 'error' | 'failure' | 'pending' | 'success';
  description: string | null;
}

export interface Comment {
  id: number;
  issue: number;
  user: Identity;
  body: string;
  created_at: string;
  updated_at: string;
}

export interface PullRequest {
  number: number;
  head: string;
  base: string;
  fork: boolean;
}

export interface WorkflowRun {
  id: number;
  run_attempt: number;
  status: string;
  conclusion: string | null;
}

export interface Analysis {
  id: string;
  commit_sha: string;
  ref: string;
  /** One entry a run of the file: its tool, category and number of results. */
  runs: { tool: string; category: string; results: number }[];
  sarif: unknown;
  /** Answered in turn as the processing status; the last one for ever. */
  progress: ('pending' | 'complete' | 'failed')[];
  errors: string[];
}

export interface Repository {
  readonly owner: string;
  readonly name: string;
  readonly objects: Objects;
  /** Full names to object names. */
  readonly refs: Map<string, string>;
  readonly deployments: Deployment[];
  readonly checkRuns: CheckRun[];
  /** As others set them, oldest first; nothing here sets any. */
  readonly statuses: CommitStatus[];
  readonly comments: Comment[];
  readonly pulls: PullRequest[];
  readonly runs: WorkflowRun[];
  readonly analyses: Analysis[];
  /** False answers uploads as GitHub does where code scanning is not bought or not switched on. */
  codeScanning: boolean;
  nextId(): number;
  /** The commit of a branch, tag, full reference or commit name. */
  resolve(ref: string): string | undefined;
}

export function createRepository(owner: string, name: string, date: string): Repository {
  const objects = createObjects();
  const refs = new Map<string, string>();
  const tree = objects.putTree([
    { path: 'README.md', mode: '100644', type: 'blob', sha: objects.putBlob(Buffer.from(`# ${name}\n`)) },
  ]);
  const author = { name: 'Mona', email: 'mona@users.noreply.github.example', date };
  const { sha } = objects.putCommit({ tree, parents: [], message: 'First', author, committer: author });
  refs.set('refs/heads/main', sha);
  let lastId = 1_000;
  return {
    owner,
    name,
    objects,
    refs,
    deployments: [],
    checkRuns: [],
    statuses: [],
    comments: [],
    pulls: [],
    runs: [],
    analyses: [],
    codeScanning: true,
    nextId: () => (lastId += 1),
    resolve(ref) {
      if (objects.commits.has(ref)) return ref;
      if (ref === 'HEAD') return refs.get('refs/heads/main');
      for (const full of [ref, `refs/heads/${ref}`, `refs/tags/${ref}`]) {
        const found = refs.get(full);
        if (found !== undefined) return found;
      }
      return undefined;
    },
  };
}
