import type { Context, Problem } from '@deploy-actions/action-kit';
import { DeployError } from '@deploy-actions/core';
import { analysisOf, checkMetrics, limitInputs, type LimitInputs, openTarget } from '@deploy-actions/targets';
import type { Asked } from './phase.ts';
import { limitSettings, readSettings, targetSettings } from './settings.ts';

/** Whether deploy.yml says anything of limits. */
export function hasLimits({ config }: Asked): boolean {
  return Object.values(limitInputs).some((spec) => 'config' in spec && config(spec.config) !== undefined);
}

/** The limits, or why nothing could be judged by them: found out before anything is touched, not when traffic has moved. */
export async function readLimits(asked: Asked, context: Context): Promise<LimitInputs | Problem[]> {
  const limits = await readSettings(limitSettings, {}, asked, context);
  if (!limits.ok) return limits.problems;
  const settings = await readSettings(targetSettings, {}, asked, context);
  if (!settings.ok) return settings.problems;
  try {
    const { ownMetrics } = await openTarget(settings.inputs, context);
    analysisOf(limits.inputs, ownMetrics, { slot: 'green', version: asked.inputs.version }, 1);
    await checkMetrics(limits.inputs, context.signal, context.log);
    return limits.inputs;
  } catch (thrown) {
    if (!(thrown instanceof DeployError)) throw thrown;
    return [{ input: 'analysis', message: [thrown.message, thrown.remedy ?? ''].join(' ').trim() }];
  }
}
