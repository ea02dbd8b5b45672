import { type Phase, startAction } from '@deploy-actions/action-kit';
import { loadConfig } from '@deploy-actions/config';
import { actions } from './registry.ts';

/** The one entry of the bundle: the stub of each action calls it with its name and the folder of the bundle. */
export async function start(name: string, phase: Phase, bundle: string): Promise<void> {
  const action = actions[name];
  if (action === undefined) throw new Error(`There is no action ${JSON.stringify(name)}.`);
  await startAction(action, phase, bundle, (workspace, input) => loadConfig(workspace, input('environment')));
}
