import type { Context, InputValues, Outcome, Problem } from '@deploy-actions/action-kit';
import type { Lookup } from '@deploy-actions/config';
import type { definition } from './definition.ts';

export type PhaseName = 'preflight' | 'migrate' | 'shift' | 'watch' | 'postflight';

export type Inputs = InputValues<(typeof definition)['inputs']>;

/** What the step says, and what deploy.yml says for its environment. */
export interface Asked {
  inputs: Inputs;
  config: Lookup;
}

/**
 * A phase of the pipeline. To add one is to add it to the list in phases.ts: everything else (that its inputs are checked
 * before anything runs, its place in plan, summary, outputs and deployment, the way back) follows from this.
 */
export interface Phase {
  name: PhaseName;
  title: string;
  /** What goes on in it, for the log and the deployment: `Shifting the traffic`. */
  doing: string;
  /** Whether deploy.yml asks for it. */
  isWanted(asked: Asked): boolean;
  /** Reads and checks all that it will need, and touches nothing. Answers every problem, not the first. */
  prepare(asked: Asked, context: Context): Promise<Prepared | Problem[]>;
}

/** A phase whose inputs are right. What each part says in the summary of its context is shown below its title. */
export interface Prepared {
  /** What is and what `run` would write. Writes nothing. */
  plan(context: Context): Promise<Outcome>;
  /** May throw: that ends the phase as its outcome would. */
  run(context: Context, earlier: Earlier): Promise<Outcome>;
  /**
   * How what it did is taken back when a later phase fails. Absent where it changes nothing; asked only when it succeeded,
   * so never when what was wanted was so already.
   */
  undo?(done: Outcome): Undo;
  /**
   * In the post step: settles what a main step that was ended left behind. With `back`, what the phase did in it is to be
   * taken back, too.
   */
  post?(context: Context, back: boolean): Promise<Undone | undefined>;
}

/** How the phases before ended. */
export type Earlier = ReadonlyMap<PhaseName, Outcome>;

export type Undo =
  /** What it did stays, and why that is well, or what it means. */
  | { kind: 'stays'; why: string }
  /** One attempt. */
  | { kind: 'back'; run(context: Context): Promise<Undone> };

export interface Undone {
  /** `pending`: the post step does it. */
  state: 'undone' | 'stays' | 'failed' | 'pending';
  /** What was taken back, or what is left. */
  message: string;
  /** What to do about what is left. */
  remedy?: string | undefined;
  /** Of the action that took it back. */
  outcome?: Outcome;
}

/** The commit that is released: the version where that is one, else the one that the run is for. */
export function commitOf(version: string, runSha: string): string {
  return /^[0-9a-f]{40}$/.test(version) ? version : runSha;
}

/** The plan of a phase that only looks. */
export function plannedLook(message: string): Promise<Outcome> {
  return Promise.resolve({ result: 'planned', reasonCode: 'dry_run', message, outputs: {}, report: {} });
}
