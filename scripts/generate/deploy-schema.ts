import type { ActionDefinition, InputSpec } from '@deploy-actions/action-kit';

type Schema = Record<string, unknown>;

/** A key of deploy.yml that inputs read, with the first definition that says so. */
interface Setting {
  action: string;
  input: string;
  spec: InputSpec;
  schema: Schema;
}

const durationPattern = String.raw`^(?:0|(?=\d)(?:\d+(?:\.\d+)?d)?(?:\d+(?:\.\d+)?h)?(?:\d+(?:\.\d+)?m)?(?:\d+(?:\.\d+)?s)?(?:\d+ms)?)$`;
/** Not every number: of a version `1.10` the YAML reader has made 1.1 already. */
const scalar = {
  type: ['string', 'boolean', 'integer'],
  minimum: Number.MIN_SAFE_INTEGER,
  maximum: Number.MAX_SAFE_INTEGER,
};

/** What deploy.yml may say for an input of a kind. */
function schemaOf(spec: InputSpec): Schema {
  switch (spec.kind) {
    case 'string':
      return { type: 'string', ...(spec.pattern === undefined ? {} : { pattern: spec.pattern.source }) };
    case 'boolean':
      return { type: 'boolean' };
    case 'integer':
      return { type: 'integer', ...limits(spec.min, spec.max) };
    case 'integers':
      return {
        anyOf: [
          { type: 'integer', ...limits(spec.min, spec.max) },
          { type: 'array', items: { type: 'integer', ...limits(spec.min, spec.max) }, minItems: 1 },
          { type: 'string', pattern: String.raw`^\s*\d+(?:\s*[,\n]\s*\d+)*\s*$` },
        ],
      };
    case 'percentage':
      return {
        anyOf: [
          { type: 'number', minimum: 0, maximum: 100 },
          { type: 'string', pattern: String.raw`^\d+(?:\.\d+)?\s*%?$` },
        ],
      };
    case 'duration':
      return { anyOf: [{ type: 'string', pattern: durationPattern }, { const: 0 }] };
    case 'enum':
      return { enum: [...spec.values] };
    case 'list':
    case 'command':
      return { anyOf: [{ type: 'string' }, { type: 'array', items: scalar }] };
    case 'map':
      return {
        type: 'object',
        propertyNames: { pattern: '^[A-Za-z_][A-Za-z0-9_.-]*$' },
        additionalProperties: scalar,
      };
    case 'image':
    case 'path':
      return { type: 'string' };
    case 'url':
      return { type: 'string', format: 'uri', pattern: '^[Hh][Tt][Tt][Pp][Ss]?://' };
    case 'json':
    case 'yaml':
      return {};
    case 'secret':
      throw new Error('a secret does not belong in a file of the repository');
  }
}

function limits(minimum: number | undefined, maximum: number | undefined): Schema {
  return { ...(minimum === undefined ? {} : { minimum }), ...(maximum === undefined ? {} : { maximum }) };
}

/**
 * Every key of deploy.yml, sorted. Throws when two inputs disagree about a key, or one's key is a section of another's,
 * naming both.
 */
export function settingsOf(definitions: ActionDefinition[]): Map<string, Setting> {
  const settings = new Map<string, Setting>();
  const named = ({ action, input }: Setting) => `\`${input}\` of ${action}`;
  for (const definition of definitions) {
    for (const [input, spec] of Object.entries(definition.inputs)) {
      if (spec.config === undefined) continue;
      const setting = { action: definition.name, input, spec, schema: {} as Schema };
      try {
        setting.schema = schemaOf(spec);
      } catch (thrown) {
        throw new Error(`${named(setting)} cannot be read from deploy.yml`, { cause: thrown });
      }
      const first = settings.get(spec.config);
      if (first === undefined) settings.set(spec.config, setting);
      else if (constraints(first.spec) !== constraints(spec)) {
        throw new Error(
          `${named(first)} and ${named(setting)} both read \`${spec.config}\` of deploy.yml, but allow different values.`,
        );
      }
    }
  }
  for (const [path, setting] of settings) {
    for (const [other, nested] of settings) {
      if (other.startsWith(`${path}.`)) {
        throw new Error(
          `\`${path}\` of deploy.yml is a value for ${named(setting)} and a section for ${named(nested)}.`,
        );
      }
    }
  }
  return new Map([...settings].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** What two inputs that read the same key have to have in common. Defaults may differ from action to action. */
function constraints(spec: InputSpec): string {
  const { description: _d, default: _o, example: _e, required: _r, otherwise: _w, ...rest } = spec;
  const comparable = Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(comparable, (_key, value: unknown) =>
    value instanceof RegExp ? String(value) : value,
  );
}

function put(schema: Schema, path: string[], leaf: Schema): void {
  const [key = '', ...rest] = path;
  const properties = (schema['properties'] ??= {}) as Record<string, Schema>;
  if (rest.length === 0) {
    properties[key] = leaf;
    return;
  }
  put((properties[key] ??= { type: 'object', additionalProperties: false }), rest, leaf);
}

/** dist/deploy.schema.json: JSON Schema (draft 2020-12) of .github/deploy.yml, for editors and for tests. */
export function deploySchema(definitions: ActionDefinition[]): string {
  const shared: Schema = { type: 'object', additionalProperties: false };
  for (const [path, { spec, schema }] of settingsOf(definitions)) {
    put(shared, path.split('.'), {
      description: spec.description,
      ...schema,
      ...(spec.example === undefined ? {} : { examples: [spec.example] }),
    });
  }
  const settings = (shared['properties'] ?? {}) as Record<string, Schema>;
  const document = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'deploy.yml of deploy-actions',
    description:
      'Says once what the steps would otherwise repeat. An input of a step wins over it; below `environments`, a name wins over the same key at the top.',
    type: ['object', 'null'],
    additionalProperties: false,
    properties: {
      ...Object.fromEntries(
        Object.keys(settings).map((key) => [key, { $ref: `#/$defs/settings/properties/${key}` }]),
      ),
      environments: {
        description: 'Settings by environment name.',
        type: 'object',
        additionalProperties: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/settings' }] },
      },
    },
    $defs: { settings: shared },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** packages/config/known-paths.ts: what the reader of deploy.yml accepts. */
export function knownPathsModule(definitions: ActionDefinition[]): string {
  const paths = [...settingsOf(definitions).keys()];
  return `// Generated from the \`config\` of every input by \`npm run gen\`.
/** Every key that deploy.yml may have, as dotted paths. */
export const knownPaths: readonly string[] = ${JSON.stringify(paths)};
`;
}
