// A user's repository on this machine and on a GitHub of its own: act runs the workflows of its last commit, with the
// committed dist as the suite.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ActOptions, type ActRun, runWorkflow } from '../support/act.ts';
import { type GitHubDouble, type Permissions, startGitHub } from '../support/github/index.ts';
import { endProcessesWith } from '../support/processes.ts';
import { permissionsOf } from './permissions.ts';
import * as standIns from './stand-ins.ts';

const root = join(import.meta.dirname, '../..');
const dist = process.env['DIST'] ?? join(root, 'dist');

/** The actions of others that the workflows use, as they pin them. */
export const pinned = {
  checkout: 'actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1',
  setupPython: 'actions/setup-python@a309ff8b426b58ec0e2a45f0f869d46889d02405',
};

export interface RunOptions extends Partial<
  Pick<
    ActOptions,
    'event' | 'payload' | 'inputs' | 'secrets' | 'cancelAt' | 'onLine' | 'actor' | 'variables' | 'programs'
  >
> {
  /**
   * What the token may do; default what the jobs of the workflow ask for, and those of the suite's reusable workflows that
   * they call.
   */
  permissions?: Permissions;
}

export interface Repository {
  /** Holds all that a test leaves on this machine, the repository among it. */
  folder: string;
  /** The working copy. */
  directory: string;
  /** Where its workflows report to. */
  github: GitHubDouble;
  /** Commits everything in it, and pushes that: GitHub knows the commit. Returns the SHA. */
  commit(message: string): Promise<string>;
  /** Goes on from the commit that is checked out, on a new branch. */
  branch(name: string): Promise<void>;
  run(workflow: string, options?: RunOptions): Promise<ActRun>;
  /**
   * Ends what still runs, removes the folder, and throws when something is left, or when a call to GitHub was none that
   * GitHub allows.
   */
  end(): Promise<void>;
}

/** `python`: the folder of the programs that actions/setup-python sets up. */
export async function createRepository({ python = '' } = {}): Promise<Repository> {
  const folder = await mkdtemp(join(tmpdir(), 'workflows-'));
  const directory = join(folder, 'helpdesk');
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', args, { cwd: directory })).stdout.trim();
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  await mkdir(directory);
  const github = await startGitHub();
  const foreign = {
    [pinned.checkout]: await standIns.checkout(join(folder, 'checkout'), directory),
    [pinned.setupPython]: await standIns.setupPython(join(folder, 'setup-python'), python),
  };
  await git('init', '--quiet', '--initial-branch', 'main');
  await git('remote', 'add', 'origin', 'https://github.com/acme/helpdesk.git');
  const author = ['-c', 'user.name=A developer', '-c', 'user.email=developer@example.com'];

  let runs = 0;
  return {
    folder,
    directory,
    github,
    async commit(message) {
      await git('add', '--all');
      await git(...author, 'commit', '--quiet', '--allow-empty', '--message', message);
      const sha = await git('rev-parse', 'HEAD');
      github.receive(await git('branch', '--show-current'), sha);
      return sha;
    },
    async branch(name) {
      await git('checkout', '--quiet', '-b', name);
    },
    async run(workflow, { permissions, variables, ...options } = {}) {
      runs += 1;
      const path = join('.github', 'workflows', workflow);
      const allowed =
        permissions ??
        (await permissionsOf(await readFile(join(directory, path), 'utf8'), (called) =>
          readFile(join(dist, called), 'utf8'),
        ));
      return runWorkflow({
        repository: directory,
        event: 'push',
        workflow: path,
        variables: { RELEASES: join(folder, 'releases'), ...variables },
        labels: ['self-hosted', 'ubuntu-latest'],
        // Of a checkout without inputs act makes a copy of the working copy itself: it fetches nothing.
        actions: {
          'org/deploy-actions@v1': dist,
          [`org/deploy-actions@v${version}`]: dist,
          ...foreign,
        },
        token: github.token(allowed),
        github,
        home: join(folder, 'home'),
        runId: String(runs),
        ...options,
      });
    },
    async end() {
      const left = await endProcessesWith(folder, 2_000);
      await rm(folder, { recursive: true, force: true });
      await github.stop();
      if (left.length > 0) throw new Error(`left: ${JSON.stringify(left)}`);
    },
  };
}

/** `name: result` of every step that ran, in order; post steps are marked. Jobs run side by side: name one of several. */
export function stepsOf(run: ActRun, job?: string): string[] {
  const steps = job === undefined ? run.steps : run.steps.filter((step) => step.job === job);
  return steps.map(({ name, stage, result }) => `${stage === 'Post' ? 'post ' : ''}${name}: ${result}`);
}

/** `state: description` of each status of each deployment on GitHub, oldest first, with names in the place of SHAs. */
export function deploymentsOf({ github }: { github: GitHubDouble }, sha: Record<string, string>): string[][] {
  const named = (text: string) =>
    Object.entries(sha).reduce((told, [version, commit]) => told.replaceAll(commit, version), text);
  return github.repository.deployments.map(({ statuses }) =>
    statuses.map(({ state, description }) => named(`${state}: ${description}`)),
  );
}
