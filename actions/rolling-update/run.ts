import type { Context, InputValues, Outcome } from '@deploy-actions/action-kit';
import { kubernetesRelease, loadRolling } from '@deploy-actions/targets';
import type { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

/** Readiness of pods decides who gets the traffic, not a router. */
const withoutRouter = (inputs: Inputs) => ({ ...inputs, router: '' });

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { openWorkload, runRolling } = await loadRolling();
  const own = withoutRouter(inputs);
  return runRolling(context, {
    target: await openWorkload(inputs.workload, own, context),
    inputs: own,
    strategy: 'rolling',
    release: kubernetesRelease({ ...inputs, replicas: undefined }, context),
    template: null,
    drain: inputs['drain-seconds'],
    watch: inputs.watch,
    onFailure: inputs['on-failure'],
  });
}

export async function post(inputs: Inputs, context: Context): Promise<void> {
  const { openWorkload, settleWorkloadAfter } = await loadRolling();
  const own = withoutRouter(inputs);
  await settleWorkloadAfter(context, await openWorkload(inputs.workload, own, context), own);
}
