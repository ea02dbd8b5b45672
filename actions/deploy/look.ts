import type { Context, Problem } from '@deploy-actions/action-kit';
import type { Asked } from './phase.ts';
import type { TargetSettings } from './serving.ts';
import { type Part, preparePart, readSettings, targetSettings } from './settings.ts';

/** What a version that has the traffic is looked at with. */
export interface Look {
  settings: TargetSettings;
  /** Where deploy.yml names a health check. */
  health: Part | undefined;
}

export async function prepareLook(asked: Asked, context: Context): Promise<Look | Problem[]> {
  const { config } = asked;
  const hasHealth = config('health.url') !== undefined || config('health.command') !== undefined;
  const settings = await readSettings(targetSettings, {}, asked, context);
  const health = hasHealth ? await preparePart('health-check', {}, asked, context) : undefined;
  const wrong = Array.isArray(health) ? health : [];
  if (!settings.ok) return [...settings.problems, ...wrong];
  return Array.isArray(health) ? wrong : { settings: settings.inputs, health };
}
