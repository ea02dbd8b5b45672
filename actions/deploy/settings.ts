import {
  type ActionDefinition,
  asStepEnvironment,
  type Context,
  defineAction,
  goodResults,
  type InputSpecs,
  type InputsRead,
  type InputValues,
  type Outcome,
  type Problem,
  readInputs,
} from '@deploy-actions/action-kit';
import {
  checkKubernetesTarget,
  checkLimits,
  checkTarget,
  deliveryInputs,
  checkLedger,
  githubInputs,
  kubernetesFollowerInputs,
  kubernetesTargetInputs,
  ledgerInputs,
  limitInputs,
  targetInputs,
} from '@deploy-actions/targets';
import { type ActionName, actionOf } from './parts.ts';
import type { Asked } from './phase.ts';

/** Inputs that the phases read from deploy.yml themselves, beside those of the single actions. */
function settings<const I extends InputSpecs>(
  inputs: I,
  check: (inputs: Partial<InputValues<I>>) => Problem[],
): ActionDefinition<I> {
  return defineAction({
    ...{ name: 'deploy', title: 'Deploy', description: '', icon: 'send', color: 'blue', mutates: false },
    ...{ permissions: {}, inputs, outputs: {}, check },
  });
}

/** Where the release goes. */
export const targetSettings = settings(
  {
    ...targetInputs,
    ...kubernetesTargetInputs,
    ...kubernetesFollowerInputs,
    ...deliveryInputs,
    ...ledgerInputs,
    ...githubInputs,
  },
  (inputs) => [...checkTarget(inputs), ...checkKubernetesTarget(inputs), ...checkLedger(inputs)],
);
/** What it is judged by. */
export const limitSettings = settings(limitInputs, checkLimits);

/** Reads inputs as a step of their own would that is given no more than these; what it does not have is left out. */
export function readSettings<I extends InputSpecs>(
  definition: ActionDefinition<I>,
  given: Record<string, string | undefined>,
  { inputs, config }: Asked,
  context: Context,
): Promise<InputsRead<I>> {
  const all: Record<string, string | undefined> = {
    environment: inputs.environment,
    'github-token': inputs['github-token'],
    'break-freeze': inputs['break-freeze'],
    'prometheus-token': inputs['prometheus-token'],
    'prometheus-password': inputs['prometheus-password'],
    kubeconfig: inputs.kubeconfig,
    ...given,
  };
  const known = Object.entries(all).flatMap(([name, value]) =>
    value !== undefined && name in definition.inputs ? [[name, value] as const] : [],
  );
  return readInputs(definition, {
    environment: asStepEnvironment(Object.fromEntries(known)),
    workspace: context.facts.workspace,
    config: () => Promise.resolve(config),
    mask: context.mask,
  });
}

/** One of the single actions, its inputs read and right. */
export interface Part {
  inputs: Readonly<Record<string, unknown>>;
  /** `instead` replaces inputs, such as `{ 'dry-run': true }`; of the type that the action has them. */
  run(context: Context, instead?: Record<string, unknown>): Promise<Outcome>;
  post(context: Context): Promise<void>;
}

export async function preparePart(
  action: ActionName,
  given: Record<string, string | undefined>,
  asked: Asked,
  context: Context,
): Promise<Part | Problem[]> {
  const { definition, code } = await actionOf(action);
  const read = await readSettings(definition, given, asked, context);
  if (!read.ok) return read.problems;
  const { inputs } = read;
  return {
    inputs,
    run: (within, instead = {}) => code.run({ ...inputs, ...instead } as typeof inputs, within),
    post: async (within) => code.post?.(inputs, within),
  };
}

export function isGood({ result }: Outcome): boolean {
  return goodResults.includes(result);
}
