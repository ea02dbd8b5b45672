import { type ActionDefinition, commonOutputs, type InputSpec } from '@deploy-actions/action-kit';
import { yamlFile } from './yaml.ts';

interface ActionInput {
  description: string;
  required: boolean;
  default?: string;
}

/**
 * An input that deploy.yml can set has neither `default` nor `required` in action.yml: the runner would put the default
 * in the step's environment, where it could not be told from what the user wrote, and would win over deploy.yml.
 */
function actionInput(spec: InputSpec): ActionInput {
  const derived = spec.otherwise === undefined ? '' : ` Default: ${spec.otherwise.means}.`;
  if (spec.config === undefined) {
    const otherwise = spec.expression ?? spec.default;
    return {
      description: `${spec.description}${derived}`,
      required: spec.required === true && spec.otherwise === undefined,
      ...(otherwise === undefined ? {} : { default: otherwise }),
    };
  }
  const otherwise = spec.default === undefined ? derived : ` Default: ${spec.default}.`;
  const needed = spec.required === true && derived === '' ? ' Required, here or there.' : '';
  return {
    description: `${spec.description} In deploy.yml: ${spec.config}.${otherwise}${needed}`,
    required: false,
  };
}

/**
 * action.yml of an action whose stubs are in `stubs`, a folder relative to the file: `./` in dist/<name>, and
 * `./dist/<name>/` for the action of the repository's root.
 */
export function actionYml(definition: ActionDefinition, stubs: string): string {
  const outputs = { ...definition.outputs, ...commonOutputs };
  return yamlFile(`actions/${definition.name}/definition.ts`, {
    name: `deploy-actions: ${definition.title}`,
    description: definition.description,
    branding: { icon: definition.icon, color: definition.color },
    inputs: Object.fromEntries(
      Object.entries(definition.inputs).map(([name, spec]) => [name, actionInput(spec)]),
    ),
    outputs: Object.fromEntries(
      Object.entries(outputs).map(([name, { description }]) => [name, { description }]),
    ),
    runs: {
      using: 'node24',
      main: `${stubs}main.mjs`.replace(/^\.\//, ''),
      ...(definition.mutates ? { post: `${stubs}post.mjs`.replace(/^\.\//, ''), 'post-if': 'always()' } : {}),
    },
  });
}
