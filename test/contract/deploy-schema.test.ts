import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { defineAction, type InputSpec, type InputSpecs, readInputs } from '@deploy-actions/action-kit';
import type { Json } from '@deploy-actions/core';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deploySchema, settingsOf } from '../../scripts/generate/deploy-schema.ts';

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

describe('dist/deploy.schema.json', async () => {
  const validate = compile(
    await readFile(join(import.meta.dirname, '../../dist/deploy.schema.json'), 'utf8'),
  );

  it.each<[string, Json]>([
    ['nothing', null],
    [
      'settings',
      { health: { url: 'https://example.com/', status: [200, 204], timeout: 0, json: { status: 'ok' } } },
    ],
    ['environments', { environments: { production: { health: { timeout: '10m' } }, staging: null } }],
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

  const value: fc.Arbitrary<Json> = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>,
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
