import { type Context, createSummary, outcomeOfError, type Outcome } from '@deploy-actions/action-kit';
import { cancelled, delayedSignal, DeployError, formatDuration, messageOf } from '@deploy-actions/core';
import type { Earlier, PhaseName, Phase, Prepared, Undone } from './phase.ts';
import { isGood } from './settings.ts';

/** A phase with its inputs read and right. */
export type Ready = Pick<Phase, 'name' | 'title' | 'doing'> & Prepared;

/** A phase that ran. */
export interface Ended {
  phase: Ready;
  outcome: Outcome;
  seconds: number;
  /** What it said in the summary, in Markdown. */
  summary: string;
  /** What became of what it did, once a later phase had failed. */
  undone: Undone | null;
}

/** What the post step has to know if the main step is ended before it can say it: written down before each effect. */
export interface Memory {
  /** The phases whose doing is to be taken back unless the pipeline comes to its end; empty when there is none. */
  arm(names: readonly PhaseName[]): void;
}

/** Runs one phase with a summary of its own. An error ends the phase, not the account of what the others did. */
async function runOne(
  phase: Ready,
  context: Context,
  work: (within: Context) => Promise<Outcome>,
): Promise<Ended> {
  const summary = createSummary();
  const start = performance.now();
  context.log.info(`${phase.title}:`);
  context.deployment?.phase(phase.doing);
  let outcome: Outcome;
  try {
    outcome = await work({ ...context, summary });
  } catch (thrown) {
    outcome = outcomeOfError(thrown);
  }
  const seconds = Number(((performance.now() - start) / 1_000).toFixed(1));
  return { phase, outcome, seconds, summary: summary.text(), undone: null };
}

/** Runs the phases in order, up to the first that does not end well. */
export async function runPhases(
  phases: readonly Ready[],
  context: Context,
  memory: Memory,
): Promise<Ended[]> {
  const ended: Ended[] = [];
  const armed: PhaseName[] = [];
  for (const phase of phases) {
    const earlier: Earlier = new Map(ended.map(({ phase: { name }, outcome }) => [name, outcome]));
    const made = await runOne(phase, context, (within) => {
      if (context.signal.aborted) throw cancelled(`before «${phase.title}» began`);
      return phase.run(within, earlier);
    });
    ended.push(made);
    if (!isGood(made.outcome)) return ended;
    if (undoOf(made)?.kind === 'back') {
      armed.push(phase.name);
      memory.arm(armed);
    }
  }
  memory.arm([]);
  return ended;
}

/** The plan of every phase; one that cannot be made does not keep the others from being shown. */
export async function planPhases(phases: readonly Ready[], context: Context): Promise<Ended[]> {
  const planned: Ended[] = [];
  for (const phase of phases) {
    planned.push(await runOne(phase, context, (within) => phase.plan(within)));
    if (context.signal.aborted) break;
  }
  return planned;
}

function undoOf({ phase, outcome }: Ended) {
  return outcome.result === 'succeeded' ? phase.undo?.(outcome) : undefined;
}

/**
 * Milliseconds that going back may take after a cancel before it is left to the post step. What it consists of stops
 * itself a few seconds after that; the runner gives 7.5 s in all.
 */
const afterCancel = 2_000;

/**
 * Goes back through what was done, last first, with one attempt each, and says of each what became of it. When a phase
 * cannot be taken back, those before it are left as they are: what was done later stands on them.
 *
 * A run that was cancelled goes back, too, as far as there is time for; then the post step does.
 */
export async function goBack(ended: Ended[], context: Context, memory: Memory): Promise<void> {
  const late = delayedSignal(context.signal, afterCancel);
  const within: Context = { ...context, signal: late.signal };
  let stopped: Ended | undefined;
  try {
    for (const made of ended.toReversed()) {
      const undo = undoOf(made);
      if (undo === undefined) continue;
      if (undo.kind === 'stays') made.undone = { state: 'stays', message: undo.why };
      else if (stopped !== undefined) made.undone = leftBy(made, stopped);
      else {
        made.undone = await undoOne(made, within, undo.run);
        if (made.undone.state === 'failed' || made.undone.state === 'pending') stopped = made;
      }
    }
  } finally {
    late.clear();
  }
  // What was tried and failed is not tried again; what there was no time for is the post step's.
  if (stopped?.undone?.state !== 'pending') memory.arm([]);
}

function leftBy({ phase }: Ended, stopped: Ended): Undone {
  const state = stopped.undone?.state === 'pending' ? 'pending' : 'failed';
  return {
    state,
    message: `${phase.title} was not taken back, because «${stopped.phase.title}» after it ${state === 'pending' ? 'is not yet' : 'could not be'}.`,
  };
}

async function undoOne(
  made: Ended,
  context: Context,
  run: (within: Context) => Promise<Undone>,
): Promise<Undone> {
  const { phase } = made;
  const summary = createSummary();
  context.log.info(`Going back: ${phase.title}.`);
  context.deployment?.phase(`Going back: ${phase.title}`);
  let undone: Undone;
  try {
    undone = await run({ ...context, summary });
  } catch (thrown) {
    undone = {
      state: 'failed',
      message: `${phase.title} could not be taken back: ${messageOf(thrown)}`,
      remedy: thrown instanceof DeployError ? thrown.remedy : undefined,
    };
  }
  made.summary += `\n\n**Going back**\n\n${summary.text()}`;
  if (undone.state !== 'failed' || !context.signal.aborted) return undone;
  return {
    ...undone,
    state: 'pending',
    message: `${phase.title} is taken back by the post step of this action: there was no time left after the cancel.`,
  };
}

/** Settles what a main step that was ended left behind, last phase first. Throws what could not be taken back. */
export async function settlePhases(
  phases: readonly Ready[],
  context: Context,
  armed: readonly string[],
): Promise<Undone[]> {
  const undone: Undone[] = [];
  for (const phase of phases.toReversed()) {
    const isBack = armed.includes(phase.name);
    if (isBack) {
      context.log.warning(
        `The main step was ended before it could take «${phase.title}» back; doing so now.`,
      );
    }
    const made = await phase.post?.(context, isBack);
    if (made === undefined) continue;
    context.log.info(made.message);
    undone.push(made);
    if (made.state === 'failed') {
      throw new DeployError('revert_failed', `${made.message} ${made.remedy ?? ''}`.trim());
    }
  }
  return undone;
}

export function describeSeconds(seconds: number): string {
  return formatDuration(seconds * 1_000);
}
