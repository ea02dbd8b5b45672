// A user's repository on this machine: act runs the workflows of its last commit, with the committed dist as the suite.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ActOptions, type ActRun, runWorkflow } from '../support/act.ts';
import { endProcessesWith } from '../support/processes.ts';

const dist = process.env['DIST'] ?? join(import.meta.dirname, '../../dist');

export interface Repository {
  /** Holds all that a test leaves on this machine, the repository among it. */
  folder: string;
  /** The working copy. */
  directory: string;
  /** Commits everything in it. Returns the SHA. */
  commit(message: string): Promise<string>;
  run(
    workflow: string,
    options?: Partial<Pick<ActOptions, 'event' | 'inputs' | 'secrets' | 'cancelAt'>>,
  ): Promise<ActRun>;
  /** Ends what still runs, removes the folder, and throws when something is left. */
  end(): Promise<void>;
}

export async function createRepository(): Promise<Repository> {
  const folder = await mkdtemp(join(tmpdir(), 'workflows-'));
  const directory = join(folder, 'helpdesk');
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', args, { cwd: directory })).stdout.trim();
  await mkdir(directory);
  await git('init', '--quiet', '--initial-branch', 'main');
  await git('remote', 'add', 'origin', 'https://github.com/acme/helpdesk.git');
  const author = ['-c', 'user.name=A developer', '-c', 'user.email=developer@example.com'];

  let runs = 0;
  return {
    folder,
    directory,
    async commit(message) {
      await git('add', '--all');
      await git(...author, 'commit', '--quiet', '--message', message);
      return git('rev-parse', 'HEAD');
    },
    run(workflow, options = {}) {
      runs += 1;
      return runWorkflow({
        repository: directory,
        event: 'push',
        workflow: join('.github', 'workflows', workflow),
        variables: { RELEASES: join(folder, 'releases') },
        labels: ['self-hosted'],
        // act takes the working copy for a checkout of the repository itself: it fetches nothing.
        actions: { 'org/deploy-actions@v1': dist },
        home: join(folder, 'home'),
        runId: String(runs),
        ...options,
      });
    },
    async end() {
      const left = await endProcessesWith(folder, 2_000);
      await rm(folder, { recursive: true, force: true });
      if (left.length > 0) throw new Error(`left: ${JSON.stringify(left)}`);
    },
  };
}

/** `name: result` of every step that ran, in order; post steps are marked. */
export function stepsOf(run: ActRun): string[] {
  return run.steps.map(({ name, stage, result }) => `${stage === 'Post' ? 'post ' : ''}${name}: ${result}`);
}
