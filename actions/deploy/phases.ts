import {
  asStepEnvironment,
  type Context,
  type Outcome,
  type Problem,
  readInputs,
} from '@deploy-actions/action-kit';
import { loadConfig, type Lookup } from '@deploy-actions/config';
import { type ActionName, actionOf } from './parts.ts';

export type PhaseName = 'migrate' | 'shift' | 'check' | 'back';

/** A phase with its inputs read and checked, ready to run. */
export interface Phase {
  name: PhaseName;
  title: string;
  run(context: Context): Promise<Outcome>;
  post(context: Context): Promise<void>;
}

/** What the one step says; everything else of a phase comes from deploy.yml. */
export interface Given {
  environment: string;
  version: string;
  strategy: 'blue-green' | 'canary';
  'dry-run': boolean;
}

interface Part {
  name: PhaseName;
  action: ActionName;
  /** Inputs that the step gives to the action of this phase. */
  inputs: Record<string, string>;
}

/** The phases that deploy.yml asks for, in order. A database or a health check that it does not name has no phase. */
export function partsOf(given: Given, config: Lookup): Part[] {
  const { environment, version, strategy } = given;
  const dryRun = { 'dry-run': String(given['dry-run']) };
  const parts: Part[] = [];
  if (config('database.migrator') !== undefined) {
    parts.push({ name: 'migrate', action: 'migrate-db', inputs: { environment, ...dryRun } });
  }
  parts.push({
    name: 'shift',
    action: strategy === 'canary' ? 'canary' : 'blue-green-switch',
    inputs: { environment, version, ...dryRun },
  });
  const isChecked = config('health.url') !== undefined || config('health.command') !== undefined;
  // A plan has nothing to check: what would be checked does not run yet.
  if (isChecked && !given['dry-run']) {
    parts.push({ name: 'check', action: 'health-check', inputs: { environment } });
  }
  return parts;
}

async function prepare({ name, action, inputs }: Part, context: Context): Promise<Phase | Problem[]> {
  const { definition, code } = await actionOf(action);
  const read = await readInputs(definition, {
    environment: asStepEnvironment(inputs),
    workspace: context.facts.workspace,
    config: () => loadConfig(context.facts.workspace, inputs['environment'] ?? ''),
    mask: context.mask,
  });
  if (!read.ok) return read.problems;
  return {
    name,
    title: definition.title,
    run: (within) => code.run(read.inputs, within),
    post: async (within) => code.post?.(read.inputs, within),
  };
}

/** Reads and checks the inputs of every phase before any of them runs. */
export async function preparePhases(
  parts: Part[],
  context: Context,
): Promise<{ phases: Phase[]; problems: Problem[] }> {
  const phases: Phase[] = [];
  const problems: Problem[] = [];
  for (const part of parts) {
    const made = await prepare(part, context);
    if (Array.isArray(made)) problems.push(...made);
    else phases.push(made);
  }
  return { phases, problems };
}
