import { type ActionDefinition, commonOutputs, type InputSpec } from '@deploy-actions/action-kit';
import { formOf } from './describe.ts';

const begin = (block: string) => `<!-- begin generated ${block} -->`;
const end = (block: string) => `<!-- end generated ${block} -->`;

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function table(header: string[], rows: string[][]): string {
  return [header, header.map(() => '---'), ...rows]
    .map((cells) => `| ${cells.map(cell).join(' | ')} |`)
    .join('\n');
}

/** A value as a step's line of YAML needs it: in quotes where YAML would read something else than this text. */
function yamlScalar(text: string): string {
  if (text.includes('\n')) return `|\n      ${text.split('\n').join('\n      ')}`;
  return /^[A-Za-z./][\w ./:@=-]*$/.test(text) && !/^(?:true|false|null|yes|no|on|off)$|: |:$| $/i.test(text)
    ? text
    : `'${text.replaceAll("'", "''")}'`;
}

function usage(definition: ActionDefinition): string {
  const shown = Object.entries(definition.inputs).filter(([, spec]) => spec.example !== undefined);
  const needed = shown.filter(([, spec]) => spec.required === true && spec.otherwise === undefined);
  const lines = (needed.length > 0 ? needed : shown.slice(0, 1)).map(
    ([name, spec]) => `    ${name}: ${yamlScalar(spec.example ?? '')}`,
  );
  return [
    '```yaml',
    `- uses: org/deploy-actions/${definition.name}@v1`,
    ...(lines.length > 0 ? ['  with:', ...lines] : []),
    '```',
  ].join('\n');
}

function inputRow([name, spec]: [string, InputSpec]): string[] {
  const value = spec.expression ?? spec.default;
  const needed = spec.required === true ? '**required**' : '';
  const otherwise = value !== undefined ? `\`${value}\`` : (spec.otherwise?.means ?? needed);
  return [
    `\`${name}\``,
    `${spec.description}${spec.example === undefined ? '' : ` Example: \`${spec.example.replaceAll('\n', ' ⏎ ')}\`.`}`,
    formOf(spec),
    otherwise,
    spec.config === undefined ? '' : `\`${spec.config}\``,
  ];
}

function permissions(definition: ActionDefinition): string {
  const rights = Object.entries(definition.permissions);
  if (rights.length === 0) return 'The token of the workflow needs no rights for this action.';
  return ['```yaml', 'permissions:', ...rights.map(([name, right]) => `  ${name}: ${right}`), '```'].join(
    '\n',
  );
}

/** The blocks of an action's README that come from its definition. */
function blocks(definition: ActionDefinition): Record<'introduction' | 'reference', string> {
  const outputs = Object.entries({ ...definition.outputs, ...commonOutputs });
  return {
    introduction: `# ${definition.title}\n\n${definition.description}\n\n${usage(definition)}`,
    reference: [
      '## Inputs',
      table(
        ['Input', 'Meaning', 'Form', 'Default', 'In deploy.yml'],
        Object.entries(definition.inputs).map(inputRow),
      ),
      '## Outputs',
      table(
        ['Output', 'Meaning'],
        outputs.map(([name, { description }]) => [`\`${name}\``, description]),
      ),
      '## Permissions',
      permissions(definition),
    ].join('\n\n'),
  };
}

/**
 * The README with its generated blocks renewed; what is written by hand around them stays. A new action gets both blocks.
 * Throws when a block's markers are missing from a README that exists.
 */
export function readme(definition: ActionDefinition, existing: string | undefined): string {
  const wanted = Object.entries(blocks(definition));
  let text = existing ?? wanted.map(([name]) => `${begin(name)}\n${end(name)}\n`).join('\n');
  for (const [name, content] of wanted) {
    const from = text.indexOf(begin(name));
    const to = text.indexOf(end(name));
    if (from < 0 || to < from) {
      throw new Error(
        `actions/${definition.name}/README.md has no generated block "${name}". Put the lines ${begin(name)} and ${end(name)} where it belongs.`,
      );
    }
    text = `${text.slice(0, from)}${begin(name)}\n\n${content}\n\n${text.slice(to)}`;
  }
  return text;
}
