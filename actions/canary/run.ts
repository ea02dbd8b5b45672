import type { Context, InputValues, Outcome } from '@deploy-actions/action-kit';
import {
  analysisOf,
  checkMetrics,
  heldBy,
  linuxHostRelease,
  openTarget,
  requireReady,
  runDelivery,
  settleAfter,
  watchWindow,
  type WindowResult,
} from '@deploy-actions/targets';
import type { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const target = await openTarget(inputs, context);
  const windows: { weight: number; result: WindowResult }[] = [];
  // Refused before anything moves when there is nothing to judge by.
  analysisOf(inputs, target.ownMetrics, { slot: 'green', version: inputs.version }, inputs.weights.length);
  await checkMetrics(inputs, context.signal, context.log);
  const outcome = await runDelivery(context, {
    target,
    inputs,
    wanted: {
      strategy: 'canary',
      release: linuxHostRelease(inputs, context),
      weights: [...inputs.weights.filter((weight) => weight < 100), 100],
      keepPrevious: inputs['keep-previous'],
    },
    windows,
    async hold({ weight, last, journal }, signal) {
      const { slot, release } = journal.to;
      const stillWell = () => requireReady(target.platform, slot, signal);
      await stillWell();
      // With all traffic there is no canary left to judge, unless 100 was asked for as a step.
      if (last && !inputs.weights.includes(100)) return { pass: true };
      const names = { slot, version: release.version };
      const analysis = analysisOf(inputs, target.ownMetrics, names, inputs.weights.length);
      const result = await watchWindow(analysis, inputs.pause, signal, context.log, stillWell);
      windows.push({ weight, result });
      for (const words of result.combined.words) context.log.info(`${weight} %: ${words}`);
      return heldBy(result, weight);
    },
  });
  const last = windows.at(-1);
  return {
    ...outcome,
    outputs: { ...outcome.outputs, verdict: last?.result.decision, weight: last?.weight },
  };
}

export async function post(inputs: Inputs, context: Context): Promise<void> {
  await settleAfter(context, await openTarget(inputs, context), inputs);
}
