import { type ActionDefinition, commonOutputs, type InputSpec, results } from '@deploy-actions/action-kit';
import { yamlFile } from './yaml.ts';

type Type =
  | { type: 'string' | 'boolean' | 'integer' | 'float' }
  | { type: 'enum'; 'allowed-values': string[] }
  | { type: 'list'; separator: string; 'list-item': Type };

function typeOf(spec: InputSpec): Type {
  switch (spec.kind) {
    case 'boolean':
      return { type: 'boolean' };
    case 'integer':
      return { type: 'integer' };
    case 'enum':
      return { type: 'enum', 'allowed-values': [...spec.values] };
    case 'list':
      return {
        type: 'list',
        separator: spec.separator === 'lines' ? '\n' : ',',
        'list-item': { type: 'string' },
      };
    case 'images':
      return { type: 'list', separator: ',', 'list-item': { type: 'string' } };
    case 'integers':
      return { type: 'list', separator: ',', 'list-item': { type: 'integer' } };
    case 'map':
      return { type: 'list', separator: '\n', 'list-item': { type: 'string' } };
    // The format knows neither units nor references: `20%`, `10m` and URLs are strings to it.
    default:
      return { type: 'string' };
  }
}

/** action-types.yml: the format of github.com/typesafegithub/github-actions-typing, for typed workflow generators. */
export function actionTypesYml(definition: ActionDefinition): string {
  const outputs = Object.keys({ ...definition.outputs, ...commonOutputs });
  return yamlFile(`actions/${definition.name}/definition.ts`, {
    inputs: Object.fromEntries(Object.entries(definition.inputs).map(([name, spec]) => [name, typeOf(spec)])),
    outputs: Object.fromEntries(
      outputs.map((name): [string, Type] => [
        name,
        name === 'result' ? { type: 'enum', 'allowed-values': [...results] } : { type: 'string' },
      ]),
    ),
  });
}
