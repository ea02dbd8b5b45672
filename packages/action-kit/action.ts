import type { ActionDefinition, InputSpecs, InputValues, OutputSpecs, Outcome } from './definition.ts';
import type { RunnerLog } from './log.ts';
import type { RunFacts } from './runner.ts';
import type { Summary } from './summary.ts';

/** Where an annotation stands; a path relative to the repository's root, lines from 1. */
export interface AnnotationPlace {
  file: string;
  startLine: number;
  endLine: number;
  title: string;
}

/** Tells how far a deployment is, in words; waits for nothing. */
export interface DeploymentProgress {
  phase(description: string): void;
}

/** All that an action may touch of the runner. */
export interface Context {
  facts: RunFacts;
  log: RunnerLog;
  summary: Summary;
  /** Aborts when the run is cancelled. There are 7.5 s left then. */
  signal: AbortSignal;
  /** The environment of the step, for the programs that an action starts. */
  environment: NodeJS.ProcessEnv;
  /** Absolute path of a file that ships with the code, such as the program of the proxy. */
  asset(name: string): string;
  /** From here on the text is replaced by *** in every log of the job. */
  mask(secret: string): void;
  /** The text without anything that was masked: what is sent elsewhere than to the log, the runner does not see. */
  redact(text: string): string;
  /** An annotation on a line of the repository; a step shows 10 of each level. */
  annotate(level: 'error' | 'warning' | 'notice', message: string, place: AnnotationPlace): void;
  /** Handed to the post step. Names and identifiers, never secrets. */
  remember(name: string, value: string): void;
  recall(name: string): string;
  /**
   * Given to an action that runs as a phase of another one: that one made the deployment, ends it, and posts the plan.
   */
  deployment?: DeploymentProgress;
}

export interface ActionCode<I extends InputSpecs, O extends OutputSpecs> {
  run(inputs: InputValues<I>, context: Context): Promise<Outcome<O>>;
  /** Settles what a cancelled or crashed main step left behind. */
  post?(inputs: InputValues<I>, context: Context): Promise<void>;
}

/** An action as the bundle lists it: its definition is loaded first, its code only when the inputs are right. */
export interface ActionModule<I extends InputSpecs = InputSpecs, O extends OutputSpecs = OutputSpecs> {
  definition(): Promise<ActionDefinition<I, O>>;
  code(): Promise<ActionCode<I, O>>;
}

/** Ties code to its definition, so that a bundle cannot list one with the other's types. */
export function actionModule<I extends InputSpecs, O extends OutputSpecs>(
  definition: () => Promise<{ definition: ActionDefinition<I, O> }>,
  code: () => Promise<ActionCode<I, O>>,
): ActionModule {
  const module: ActionModule<I, O> = {
    definition: async () => (await definition()).definition,
    code,
  };
  // The list of all actions is heterogeneous; each pair was checked by this function's own types.
  return module;
}
