import type { Context, InputValues, Outcome } from '@deploy-actions/action-kit';
import { holdWhileReady, openTarget, releaseOf, runDelivery, settleAfter } from '@deploy-actions/targets';
import type { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const target = await openTarget(inputs, context);
  return runDelivery(context, {
    target,
    inputs,
    wanted: {
      strategy: 'blue-green',
      release: releaseOf(inputs, context),
      weights: [100],
      keepPrevious: inputs['keep-previous'],
    },
    windows: [],
    hold: holdWhileReady(target.platform, inputs.watch, context.log),
  });
}

export async function post(inputs: Inputs, context: Context): Promise<void> {
  await settleAfter(context, await openTarget(inputs, context), inputs);
}
