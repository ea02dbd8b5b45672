import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Context } from '@deploy-actions/action-kit';
import { DeployError } from '@deploy-actions/core';
import { createGitHub, createRefStore, type GitHub, isRunOver } from '@deploy-actions/github';
import { connectionOf } from '@deploy-actions/publish';
import {
  createFileStore,
  isHolderAlive,
  type LeaseHolder,
  type LeaseOptions,
  type StateStore,
} from '@deploy-actions/release-engine';
import type { GitHubInputs, TargetInputs } from './inputs.ts';
import type { KubernetesTargetInputs } from './kubernetes-inputs.ts';

/** Where an environment keeps its state, and how to tell whether the holder of its lease still lives. */
export interface State {
  /** As the input `state` says. */
  keptIn: 'platform' | 'git-ref';
  store: StateStore;
  isAlive: LeaseOptions['isAlive'];
}

export type StateInputs = Pick<
  TargetInputs,
  'app' | 'environment' | 'platform' | 'state' | 'state-directory'
> &
  GitHubInputs &
  Partial<KubernetesTargetInputs>;

export function stateDirectoryOf(
  inputs: Pick<TargetInputs, 'app' | 'environment' | 'state-directory'>,
  environment: NodeJS.ProcessEnv,
): string {
  if (inputs['state-directory'] !== undefined) return inputs['state-directory'];
  const home = environment['XDG_STATE_HOME'] || join(environment['HOME'] || homedir(), '.local', 'state');
  const root = process.getuid?.() === 0 ? '/var/lib' : home;
  return join(root, 'deploy-actions', inputs.app, inputs.environment);
}

/** Opens the state of an environment; writes nothing, and calls nobody yet. */
export async function openState(inputs: StateInputs, context: Context): Promise<State> {
  switch (inputs.state) {
    case 'platform': {
      if (inputs.platform === 'kubernetes') {
        // Loaded where it is needed: what speaks to a cluster is large.
        return (await import('./open-kubernetes.ts')).openClusterState(inputs, context);
      }
      const directory = join(stateDirectoryOf(inputs, context.environment), 'state');
      return { keptIn: 'platform', store: createFileStore(directory), isAlive: isHolderAlive };
    }
    case 'git-ref':
      return openRefState(connect(inputs, context), inputs);
  }
}

/** Milliseconds after a cancel in which the way back may still be written down: the runner gives 7.5 s. */
const afterCancel = 6_500;

function connect(inputs: GitHubInputs, context: Context): GitHub {
  const token = inputs['github-token'];
  const connection = connectionOf(context, token);
  if (connection === undefined) {
    const missing =
      token === undefined || token === '' ? '`github-token` is missing' : 'This is no run of a repository';
    throw new DeployError('invalid_input', `${missing}, and \`state: git-ref\` is kept in the repository.`, {
      remedy: 'Give a token with `contents: write`; in a workflow, that of the job is the default.',
    });
  }
  return createGitHub({ ...connection, log: context.log, signal: laterThan(context.signal, afterCancel) });
}

/** A signal that aborts so many milliseconds after another. */
function laterThan(signal: AbortSignal, milliseconds: number): AbortSignal {
  const controller = new AbortController();
  const onAbort = () => void setTimeout(() => controller.abort(), milliseconds).unref();
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return controller.signal;
}

/** False when GitHub says that the run of a holder has ended; undefined when it does not say, or the holder is no run. */
async function runLives(github: GitHub, id: string): Promise<boolean | undefined> {
  const [, run, attempt] = /^(\d+)\.(\d+)$/.exec(id) ?? [];
  if (run === undefined) return undefined;
  const over = await isRunOver(github, { id: Number(run), attempt: Number(attempt) });
  return over === undefined ? undefined : !over;
}

/** The same, wherever the state is kept; undefined without a token. */
export async function isRunAlive(
  inputs: GitHubInputs,
  context: Context,
  holder: LeaseHolder,
): Promise<boolean | undefined> {
  const canAsk = connectionOf(context, inputs['github-token']) !== undefined;
  return canAsk ? runLives(connect(inputs, context), holder.id) : undefined;
}

/** Milliseconds between two questions whether a run is over: each counts against the limit of the repository's token. */
const betweenQuestions = 60_000;

/** State on a git reference, with its applications apart: one environment has one reference, however many they are. */
export function openRefState(
  github: GitHub,
  { app, environment }: Pick<TargetInputs, 'app' | 'environment'>,
): State {
  const store = createRefStore(github, environment);
  const own = (key: string) => `${app}-${key}`;
  const asked = new Map<string, { at: number; answer: Promise<boolean | undefined> }>();

  return {
    keptIn: 'git-ref',
    store: {
      ...store,
      read: (key) => store.read(own(key)),
      write: (key, value, expected) => store.write(own(key), value, expected),
      touch: (key, version) => store.touch(own(key), version),
      age: (key, version) => store.age(own(key), version),
    },
    isAlive(holder: LeaseHolder) {
      const here = isHolderAlive(holder);
      if (here !== undefined) return here;
      const last = asked.get(holder.id);
      if (last !== undefined && performance.now() - last.at < betweenQuestions) return last.answer;
      const answer = runLives(github, holder.id);
      asked.set(holder.id, { at: performance.now(), answer });
      return answer;
    },
  };
}
