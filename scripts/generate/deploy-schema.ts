import type { ActionDefinition, InputSpec } from '@deploy-actions/action-kit';
import { sectionDescriptions } from './section-descriptions.ts';

type Schema = Record<string, unknown>;

/** A key of deploy.yml that inputs read, with the first definition that says so. */
interface Setting {
  action: string;
  input: string;
  spec: InputSpec;
  schema: Schema;
}

const durationPattern = String.raw`^(?:0|(?=\d)(?:\d+(?:\.\d+)?d)?(?:\d+(?:\.\d+)?h)?(?:\d+(?:\.\d+)?m)?(?:\d+(?:\.\d+)?s)?(?:\d+ms)?)$`;
/** What deploy.yml says to its reader, not to an input. */
const ownKeys = ['environments', 'extends'];

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
          { type: 'string', pattern: String.raw`^[\s,]*[+-]?\d+(?:\s*[,\n][\s,]*[+-]?\d+)*[\s,]*$` },
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
    case 'images':
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
    const [first = ''] = path.split('.');
    if (ownKeys.includes(first)) {
      throw new Error(
        `${named(setting)} reads \`${path}\` of deploy.yml, but \`${first}\` is the file's own.`,
      );
    }
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

/** The same, or null: in an environment `~` keeps away what would be inherited, at the top it says nothing. */
function orNull(schema: Schema): Schema {
  const { type, anyOf } = schema;
  const values = schema['enum'];
  if (Array.isArray(values)) return { ...schema, enum: [...(values as unknown[]), null] };
  if (Array.isArray(anyOf)) return { ...schema, anyOf: [...(anyOf as unknown[]), { type: 'null' }] };
  return typeof type === 'string' ? { ...schema, type: [type, 'null'] } : schema;
}

/** The sections that settings are in, with those that sections are in: `router`, `router.nginx`. */
export function sectionsOf(paths: Iterable<string>): string[] {
  const sections = new Set<string>();
  for (const path of paths) {
    const keys = path.split('.');
    for (let depth = 1; depth < keys.length; depth += 1) sections.add(keys.slice(0, depth).join('.'));
  }
  return [...sections].toSorted();
}

function sectionSchema(path: string): Schema {
  const description = sectionDescriptions[path];
  return orNull({
    ...(description === undefined ? {} : { description }),
    type: 'object',
    additionalProperties: false,
  });
}

function put(schema: Schema, path: string, leaf: Schema, section = ''): void {
  const [key = '', ...rest] = path.slice(section === '' ? 0 : section.length + 1).split('.');
  const properties = (schema['properties'] ??= {}) as Record<string, Schema>;
  if (rest.length === 0) {
    properties[key] = leaf;
    return;
  }
  const below = section === '' ? key : `${section}.${key}`;
  put((properties[key] ??= sectionSchema(below)), path, leaf, below);
}

/** dist/deploy.schema.json: JSON Schema (draft 2020-12) of .github/deploy.yml, for editors and for tests. */
export function deploySchema(definitions: ActionDefinition[]): string {
  const settings: Schema = {};
  for (const [path, { spec, schema }] of settingsOf(definitions)) {
    put(settings, path, {
      description: spec.description,
      ...orNull(schema),
      ...(spec.example === undefined ? {} : { examples: [spec.example] }),
    });
  }
  const keys = Object.keys(settings['properties'] ?? {});
  const all = Object.fromEntries(keys.map((key) => [key, { $ref: `#/$defs/settings/properties/${key}` }]));
  const document = {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'deploy.yml of deploy-actions',
    description:
      'Says once what the steps would otherwise repeat. An input of a step wins over it; below `environments`, a name wins over the same key at the top.',
    type: ['object', 'null'],
    additionalProperties: false,
    properties: {
      ...all,
      environments: {
        description:
          'Environments by name, as the input `environment` says it. What one says wins over what it extends, and that over the top of the file; a value is taken as a whole, and `~` unsets what would be inherited.',
        type: ['object', 'null'],
        additionalProperties: { anyOf: [{ type: 'null' }, { $ref: '#/$defs/environment' }] },
      },
    },
    $defs: {
      settings: { description: 'What may stand at the top and in every environment.', ...settings },
      environment: {
        description: 'The settings of one environment.',
        type: 'object',
        additionalProperties: false,
        properties: {
          extends: {
            description: 'The environment that this one takes everything from which it does not say itself.',
            // A name such as 1.10 is a number to YAML; it is read as it is written.
            type: ['string', 'number', 'boolean', 'null'],
            examples: ['staging'],
          },
          ...all,
        },
      },
    },
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
