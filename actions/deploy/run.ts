import {
  type Context,
  describeProblem,
  escapeMarkdown,
  goodResults,
  type InputValues,
  type Outcome,
} from '@deploy-actions/action-kit';
import { loadConfig } from '@deploy-actions/config';
import { DeployError } from '@deploy-actions/core';
import type { definition } from './definition.ts';
import { partsOf, type Phase, type PhaseName, preparePhases } from './phases.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

interface Ended {
  name: PhaseName;
  outcome: Outcome;
}

/** An error of a phase ends that phase, not the account of what the others did. */
async function runPhase(phase: Phase, context: Context): Promise<Ended> {
  context.summary.heading(phase.title, 2);
  context.log.info(`${phase.title}:`);
  try {
    return { name: phase.name, outcome: await phase.run(context) };
  } catch (thrown) {
    if (!(thrown instanceof DeployError)) throw thrown;
    const { reasonCode, message, remedy, details } = thrown;
    return {
      name: phase.name,
      outcome: {
        result: reasonCode === 'cancelled' ? 'cancelled' : 'failed',
        reasonCode,
        message,
        remedy,
        outputs: {},
        report: { details },
      },
    };
  }
}

function isGood({ outcome }: Ended): boolean {
  return goodResults.includes(outcome.result);
}

async function prepared(
  inputs: Inputs,
  context: Context,
): Promise<{ phases: Phase[]; back: Phase | undefined }> {
  const config = await loadConfig(context.facts.workspace, inputs.environment);
  const back = { name: 'back', action: 'rollback', inputs: { environment: inputs.environment } } as const;
  const { phases, problems } = await preparePhases([...partsOf(inputs, config), back], context);
  if (problems.length > 0) {
    const lines = [...new Set(problems.map((found) => `- ${describeProblem(found)}`))];
    throw new DeployError(
      'invalid_config',
      `What the phases need is not all there; nothing was touched.\n${lines.join('\n')}`,
      { remedy: 'Say it in .github/deploy.yml; its JSON Schema is deploy.schema.json.' },
    );
  }
  return {
    phases: phases.filter(({ name }) => name !== 'back'),
    back: phases.find(({ name }) => name === 'back'),
  };
}

/**
 * What to do about a phase that failed after others had succeeded, last one first. Traffic is given back; migrations stay,
 * because a plan that passed its check is safe for the old version too, and going back could lose what was written since.
 */
async function goBack(ended: Ended[], back: Phase | undefined, context: Context): Promise<string[]> {
  const told: string[] = [];
  for (const { name, outcome } of ended.toReversed().filter(isGood)) {
    if (name === 'shift' && outcome.result === 'succeeded' && back !== undefined) {
      const undone = await runPhase(back, context);
      ended.push(undone);
      told.push(
        isGood(undone)
          ? `The traffic was given back: ${undone.outcome.message}`
          : `The traffic could not be given back: ${undone.outcome.message}`,
      );
    } else if (name === 'migrate' && outcome.result === 'succeeded') {
      told.push('The migrations stay: the old version works with them.');
    }
  }
  return told;
}

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { phases, back } = await prepared(inputs, context);
  const ended: Ended[] = [];
  for (const phase of phases) {
    const made = await runPhase(phase, context);
    ended.push(made);
    if (!isGood(made)) break;
  }
  const last = ended.at(-1);
  if (last === undefined) throw new DeployError('internal', 'There was no phase to run.');
  const told = isGood(last) || context.signal.aborted ? [] : await goBack(ended, back, context);
  context.summary.table(
    ['Phase', 'Result', 'What happened'],
    ended.map(({ name, outcome }) => [name, outcome.result, escapeMarkdown(outcome.message)]),
  );

  const shift = ended.findLast(({ name }) => name === 'shift' || name === 'back');
  const { result, reasonCode, message, remedy } = last.outcome;
  const wentBack = ended.some(({ name }) => name === 'back');
  const changed = ended.some(({ outcome }) => outcome.result === 'succeeded');
  return {
    result: isGood(last)
      ? inputs['dry-run']
        ? 'planned'
        : changed
          ? 'succeeded'
          : 'unchanged'
      : wentBack
        ? 'rolled-back'
        : result,
    reasonCode,
    message: [isGood(last) ? (shift?.outcome.message ?? message) : message, ...told].join(' '),
    remedy,
    outputs: {
      version: shift?.outcome.outputs['version'],
      slot: shift?.outcome.outputs['slot'],
      'rejected-version': wentBack ? inputs.version : shift?.outcome.outputs['rejected-version'],
      'previous-version': shift?.outcome.outputs['previous-version'],
      'requests-sent': shift?.outcome.outputs['requests-sent'],
      'requests-lost': shift?.outcome.outputs['requests-lost'],
      phase: last.name,
      phases: JSON.stringify(
        ended.map(({ name, outcome }) => ({
          name,
          result: outcome.result,
          'reason-code': outcome.reasonCode,
          message: outcome.message,
        })),
      ),
    },
    report: {
      details: last.outcome.report['details'],
      phases: ended.map(({ name, outcome }) => ({ name, ...outcome })),
    },
  };
}

/** Settles what the shift left behind; the other phases leave nothing. */
export async function post(inputs: Inputs, context: Context): Promise<void> {
  const config = await loadConfig(context.facts.workspace, inputs.environment);
  const { phases, problems } = await preparePhases(partsOf(inputs, config), context);
  // The main step said so, and touched nothing.
  if (problems.length > 0) return;
  for (const phase of phases) await phase.post(context);
}
