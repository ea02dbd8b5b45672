import { defineAction, type InputSpec, type InputSpecs, readInputs } from '@deploy-actions/action-kit';
import { readConfig } from '@deploy-actions/config';
import { isRecord, type Json } from '@deploy-actions/core';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { actions } from '../../actions/registry.ts';
import { deploySchema, sectionsOf, settingsOf } from '../../scripts/generate/deploy-schema.ts';
import { definitionsOf } from '../../scripts/generate/files.ts';
import { sectionDescriptions } from '../../scripts/generate/section-descriptions.ts';

function action(name: string, inputs: InputSpecs) {
  return defineAction({
    name,
    title: name,
    description: '',
    icon: 'box',
    color: 'blue',
    mutates: false,
    permissions: {},
    inputs,
    outputs: {},
  });
}

function compile(text: string): ValidateFunction {
  return new Ajv2020({ strict: true, allowUnionTypes: true, formats: { uri: true } }).compile(
    JSON.parse(text) as object,
  );
}

/** Every key in a schema with what is said of it, references followed. */
function described(schema: Record<string, unknown>, root = schema, prefix = ''): [string, unknown][] {
  const target = schema['$ref'];
  if (typeof target === 'string') {
    const found = target
      .split('/')
      .slice(1)
      .reduce<unknown>((node, key) => (isRecord(node) ? node[key] : undefined), root);
    return isRecord(found) ? described(found, root, prefix) : [[prefix, undefined]];
  }
  const each = isRecord(schema['properties']) ? Object.entries(schema['properties']) : [];
  const below = each.flatMap(([key, inner]) =>
    isRecord(inner) ? described(inner, root, prefix === '' ? key : `${prefix}.${key}`) : [],
  );
  return [[prefix, schema['description']], ...below];
}

describe('dist/deploy.schema.json', async () => {
  const definitions = await definitionsOf(actions);
  const text = deploySchema(definitions);
  const validate = compile(text);

  it('has a description at every level', () => {
    const schema = JSON.parse(text) as { $defs: { environment: Record<string, unknown> } };
    const all = described(schema);
    expect(all.length).toBeGreaterThan(settingsOf(definitions).size);
    const ofEnvironment = described(schema.$defs.environment, schema);
    expect(ofEnvironment.map(([path]) => path)).toContain('extends');
    for (const [path, description] of [...all, ...ofEnvironment]) {
      expect(description, path).toEqual(expect.stringMatching(/[.:`]$/));
    }
  });

  it('has sections that scripts/generate/section-descriptions.ts describes, and no others', () => {
    expect(Object.keys(sectionDescriptions).toSorted()).toEqual(sectionsOf(settingsOf(definitions).keys()));
  });

  it.each<[string, Json]>([
    ['nothing', null],
    [
      'settings',
      { health: { url: 'https://example.com/', status: [200, 204], timeout: 0, json: { status: 'ok' } } },
    ],
    ['environments', { environments: { production: { health: { timeout: '10m' } }, staging: null } }],
    ['inheritance', { environments: { production: { extends: 'staging' }, staging: {} } }],
    [
      'what is unset',
      { environments: { production: { health: null, platform: null, router: { type: null, nginx: null } } } },
    ],
    ['nothing at all of a key', { health: null, app: null, 'keep-previous': null, environments: null }],
  ])('accepts %s', (_name, document) =>
    expect(validate(document), JSON.stringify(validate.errors)).toBe(true),
  );

  it.each<[string, Json]>([
    ['an unknown key', { helth: {} }],
    ['an unknown key below', { health: { tiemout: '1s' } }],
    ['an unknown key of an environment', { environments: { production: { health: { tiemout: '1s' } } } }],
    ['a duration without a unit', { health: { timeout: 10 } }],
    ['a status out of range', { health: { status: [99] } }],
    ['environments that are a list', { environments: [] }],
    ['inheritance at the top', { extends: 'staging' }],
    ['inheritance from several', { environments: { production: { extends: ['staging'] } } }],
    ['environments in one', { environments: { production: { environments: {} } } }],
  ])('refuses %s', (_name, document) => expect(validate(document)).toBe(false));
});

describe('the schema and the reader', () => {
  const specs: Record<string, InputSpec> = {
    text: { kind: 'string', pattern: /^[a-z]+$/, description: '' },
    boolean: { kind: 'boolean', description: '' },
    integer: { kind: 'integer', min: 0, max: 9, description: '' },
    integers: { kind: 'integers', min: 0, max: 99, description: '' },
    percentage: { kind: 'percentage', description: '' },
    duration: { kind: 'duration', description: '' },
    enum: { kind: 'enum', values: ['a', 'b'], description: '' },
    list: { kind: 'list', description: '' },
    map: { kind: 'map', description: '' },
    json: { kind: 'json', description: '' },
  };

  const text = fc.string({ unit: fc.constantFrom(...'01+-.,% \nabhms='.split('')), maxLength: 5 });
  const value: fc.Arbitrary<Json> = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>,
    // Almost what is allowed, by itself and in a list.
    text,
    fc.array(fc.oneof(text, fc.integer({ min: -9, max: 120 }), fc.constantFrom(0.5, true)), { maxLength: 3 }),
    fc.constantFrom<Json>(
      'a',
      'b',
      'abc',
      '5%',
      '101%',
      '10m',
      '1h30m',
      '5',
      '1,2',
      0,
      5,
      50,
      12.5,
      true,
      [1, 2],
      ['a'],
      { a: 1 },
    ),
  );

  it.each(Object.entries(specs))('agree about every value of kind %s', async (name, spec) => {
    const definition = action('one', { [name]: { ...spec, config: 'key' } });
    const validate = compile(deploySchema([definition]));
    await fc.assert(
      fc.asyncProperty(value, async (content) => {
        // What is empty says nothing to either: the reader takes the default. And nobody writes 1e-300 percent.
        const says = /[^\s,[\]{}"]/.test(JSON.stringify(content).replaceAll(/\\[nrt]/g, ' '));
        fc.pre(content !== null && says && !(typeof content === 'number' && String(content).includes('e')));
        // The reader takes no spaces at the ends of a text for a part of it, as of an input; to the schema they are characters.
        fc.pre(typeof content !== 'string' || content === content.trim());
        const read = await readInputs(definition, {
          environment: {},
          workspace: '/workspace',
          config: async () => () => ({ value: content, where: 'deploy.yml key' }),
          mask: () => {},
        });
        const valid = validate({ key: content });
        // The schema cannot say everything of a text, but what it refuses the reader refuses, and so for types.
        if (!valid) expect(read.ok, JSON.stringify(content)).toBe(false);
        else if (typeof content !== 'string') expect(read.ok, JSON.stringify(content)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe('the schema and the loader', () => {
  const paths = ['app', 'health.url', 'router.nginx.command', 'router.type'];
  const definition = action(
    'one',
    Object.fromEntries(
      paths.map((config, index) => [`i${index}`, { kind: 'json', description: '', config }]),
    ),
  );
  const validate = compile(deploySchema([definition]));

  const key = fc.constantFrom(
    ...paths.flatMap((path) => path.split('.')),
    'environments',
    'extends',
    'staging',
    'x',
  );
  const { document } = fc.letrec<{ document: Json }>((tie) => ({
    document: fc.oneof(
      { maxDepth: 6, depthSize: 'max' },
      fc.constantFrom<Json>(null, 'staging', 1.5, true, []),
      fc.dictionary(key, tie('document'), { maxKeys: 3 }) as fc.Arbitrary<Json>,
    ),
  }));
  /** Documents that are nearly right, because of those made by chance hardly any is. */
  const section = (keys: Record<string, fc.Arbitrary<Json>>): fc.Arbitrary<Json> =>
    fc.oneof(
      { weight: 12, arbitrary: fc.record(keys, { requiredKeys: [] }) as fc.Arbitrary<Json> },
      { weight: 1, arbitrary: document },
    );
  const settings = {
    app: document,
    health: section({ url: document }),
    router: section({ nginx: section({ command: document }), type: document }),
  };
  const name = fc.constantFrom<Json>('staging', 'production', null, 1.1, false);
  const environment = section({ ...settings, extends: fc.oneof({ weight: 9, arbitrary: name }, document) });
  const file = section({
    ...settings,
    environments: section({ staging: environment, production: environment }),
  });

  it('accept the same keys at the same places', async () => {
    const seen = { accepted: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(fc.oneof(file, document), async (content) => {
        const { problems } = await readConfig(JSON.stringify(content), { file: 'deploy.yml', paths });
        // Which environments there are, a schema cannot know.
        const found = problems.filter(({ message }) => !/which is no environment|a circle/.test(message));
        seen[found.length === 0 ? 'accepted' : 'refused'] += 1;
        expect(validate(content), JSON.stringify(found)).toBe(found.length === 0);
      }),
      { numRuns: 2_000 },
    );
    expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(100);
  });

  it('leave the file its own keys', () => {
    for (const config of ['environments', 'extends', 'extends.x']) {
      const other = action('two', { i: { kind: 'json', description: '', config } });
      expect(() => deploySchema([other])).toThrow("is the file's own");
    }
  });
});

describe('two actions that read the same key', () => {
  const input = (spec: InputSpec) => ({ time: { ...spec, config: 'watch' } }) as InputSpecs;
  const watch: InputSpec = { kind: 'duration', max: '1h', description: 'How long.' };

  it('may have defaults of their own', () => {
    const definitions = [action('one', input(watch)), action('two', input({ ...watch, default: '1m' }))];
    expect([...settingsOf(definitions).keys()]).toEqual(['watch']);
  });

  it('must allow the same values', () => {
    const definitions = [action('one', input(watch)), action('two', input({ ...watch, max: '2h' }))];
    expect(() => settingsOf(definitions)).toThrow('`time` of one and `time` of two both read `watch`');
  });

  it('must not take a value for a section', () => {
    const nested = action('two', { mode: { kind: 'boolean', description: '', config: 'watch.mode' } });
    expect(() => settingsOf([action('one', input(watch)), nested])).toThrow(
      /value for `time` of one and a section/,
    );
  });

  it('must not be told a secret', () => {
    const secret = action('one', { token: { kind: 'secret', description: '', config: 'token' } });
    expect(() => settingsOf([secret])).toThrow('`token` of one cannot be read from deploy.yml');
  });
});
