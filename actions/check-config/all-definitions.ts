import type { ActionDefinition } from '@deploy-actions/action-kit';

/** The definitions of all actions, because each may read deploy.yml. They are loaded here and by nobody else. */
export async function allDefinitions(): Promise<ActionDefinition[]> {
  const { actions } = await import('../registry.ts');
  return Promise.all(Object.values(actions).map((action) => action.definition()));
}
