import type { ActionCode, ActionDefinition, InputSpecs, OutputSpecs } from '@deploy-actions/action-kit';

interface Action {
  definition: ActionDefinition;
  code: ActionCode<InputSpecs, OutputSpecs>;
}

const actions = {
  'migrate-db': async () => ({
    ...(await import('../migrate-db/definition.ts')),
    code: await import('../migrate-db/run.ts'),
  }),
  'blue-green-switch': async () => ({
    ...(await import('../blue-green-switch/definition.ts')),
    code: await import('../blue-green-switch/run.ts'),
  }),
  canary: async () => ({
    ...(await import('../canary/definition.ts')),
    code: await import('../canary/run.ts'),
  }),
  'health-check': async () => ({
    ...(await import('../health-check/definition.ts')),
    code: await import('../health-check/run.ts'),
  }),
  rollback: async () => ({
    ...(await import('../rollback/definition.ts')),
    code: await import('../rollback/run.ts'),
  }),
};

export type ActionName = keyof typeof actions;

/** The actions that the pipeline is made of, loaded when their phase is prepared. */
export function actionOf(name: ActionName): Promise<Action> {
  // Definition and code of one folder go together; the list is heterogeneous, as in the registry.
  return actions[name]();
}
