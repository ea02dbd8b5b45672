import type { Json } from '@deploy-actions/core';
import { describe, expect, it } from 'vitest';
import { defineAction, type InputSpecs } from './definition.ts';
import { describeProblem, readInputs } from './inputs.ts';

function action<const I extends InputSpecs>(inputs: I) {
  return defineAction({
    name: 'example',
    title: 'Example',
    description: '',
    icon: 'box',
    color: 'blue',
    mutates: false,
    permissions: {},
    inputs,
    outputs: {},
  });
}

interface Said {
  inputs?: Record<string, string>;
  config?: Record<string, Json>;
  masked?: string[];
}

function read<const I extends InputSpecs>(definition: ReturnType<typeof action<I>>, said: Said = {}) {
  return readInputs(definition, {
    environment: Object.fromEntries(
      Object.entries(said.inputs ?? {}).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]),
    ),
    workspace: '/workspace',
    config: async () => (path) => {
      const value = said.config?.[path];
      return value === undefined ? undefined : { value, where: `.github/deploy.yml ${path}` };
    },
    mask: (secret) => said.masked?.push(secret),
  });
}

async function valuesOf<const I extends InputSpecs>(definition: ReturnType<typeof action<I>>, said?: Said) {
  const result = await read(definition, said);
  return result.ok ? result.inputs : result.problems;
}

describe('precedence', () => {
  const definition = action({
    interval: { kind: 'duration', description: '', default: '2s', config: 'health.interval' },
  });

  it.each([
    [
      'the input wins over deploy.yml',
      { inputs: { interval: '1s' }, config: { 'health.interval': '9s' } },
      1_000,
    ],
    ['deploy.yml wins over the default', { config: { 'health.interval': '9s' } }, 9_000],
    ['the default is last', {}, 2_000],
    [
      'an empty input says nothing',
      { inputs: { interval: '  ' }, config: { 'health.interval': '9s' } },
      9_000,
    ],
  ])('%s', async (_name, said, interval) => expect(await valuesOf(definition, said)).toEqual({ interval }));
});

describe('values of deploy.yml', () => {
  const definition = action({
    value: { kind: 'string', description: '', config: 'value' },
    flag: { kind: 'boolean', description: '', config: 'flag' },
    count: { kind: 'integer', description: '', config: 'count' },
    steps: { kind: 'integers', min: 0, max: 100, description: '', config: 'steps' },
    share: { kind: 'percentage', description: '', config: 'share' },
    time: { kind: 'duration', description: '', config: 'time' },
    names: { kind: 'list', description: '', config: 'names' },
    run: { kind: 'command', description: '', config: 'run' },
    fields: { kind: 'map', description: '', config: 'fields' },
    document: { kind: 'json', description: '', config: 'document' },
  });

  it.each<[string, Json, unknown]>([
    ['value', 'text', 'text'],
    ['flag', false, false],
    ['count', 3, 3],
    ['steps', [20, 40], [20, 40]],
    ['steps', 20, [20]],
    ['share', 12.5, 12.5],
    ['share', '12.5%', 12.5],
    ['time', '10m', 600_000],
    ['time', 0, 0],
    ['names', ['a', 'b'], ['a', 'b']],
    ['run', ['echo', "it's", 'a b', ''], ['echo', "it's", 'a b', '']],
    ['run', 'echo "a b"', ['echo', 'a b']],
    ['fields', { a: 1, b: 'x=y' }, { a: '1', b: 'x=y' }],
    ['document', { a: [null] }, { a: [null] }],
  ])('%s: %j', async (path, value, expected) =>
    expect(await valuesOf(definition, { config: { [path]: value } })).toEqual({ [path]: expected }),
  );

  // 1.10 has become 1.1 when it is read: nobody can tell any more.
  it.each<[string, Json]>([
    ['value', 1.1],
    ['value', ['a']],
    ['flag', 'true'],
    ['count', '3'],
    ['steps', ['x']],
    ['steps', ['20']],
    ['steps', [1.5]],
    ['share', [1]],
    ['time', 10],
    ['names', { a: 1 }],
    ['run', [['a']]],
    ['fields', ['a=b']],
    ['fields', { a: { b: 1 } }],
  ])('%s cannot be %j, and the message says where that is said', async (path, value) => {
    const problems = await valuesOf(definition, { config: { [path]: value } });
    expect(problems).toEqual([
      expect.objectContaining({
        input: path,
        from: `.github/deploy.yml ${path}`,
        message: expect.stringContaining('allowed'),
      }),
    ]);
  });
});

describe('problems', () => {
  const definition = action({
    name: { kind: 'string', description: '', required: true, example: 'helpdesk', config: 'app' },
    weights: { kind: 'integers', min: 1, max: 100, description: '' },
    token: { kind: 'secret', description: '', required: true },
    variables: { kind: 'map', description: '' },
  });

  it('are all told at once, each with its input, value and what is allowed', async () => {
    const result = await read(definition, { inputs: { weights: '20,x', variables: 'hunter2', weight: '3' } });
    const lines = result.ok ? [] : result.problems.map(describeProblem);
    expect(lines).toEqual([
      'weight: is not an input of this action. Did you mean `weights`?',
      expect.stringMatching(
        /^name: is required and missing\..*`name: helpdesk`.*`app` in \.github\/deploy\.yml/,
      ),
      expect.stringMatching(/^weights: "20,x" is not allowed; allowed is .* from 1 to 100/),
      expect.stringMatching(/^token: is required and missing/),
      expect.stringMatching(/^variables: line 1 /),
    ]);
    expect(lines.join('\n')).not.toContain('hunter2');
  });

  it('between inputs are told with the others, but not of inputs that are wrong themselves', async () => {
    const both = {
      ...definition,
      check: () => [
        { input: 'weights', message: 'does not rise' },
        { input: 'name', message: 'is taken' },
      ],
    };
    const given = { name: 'x', token: 't', weights: 'x' };
    const result = await read(both, { inputs: given });
    expect(result.ok ? [] : result.problems.map(({ input }) => input)).toEqual(['name', 'weights']);
  });

  it('are not told of what would follow from an input that is wrong', async () => {
    const derived = action({
      workload: { kind: 'string', description: '', required: true, pattern: /^deployment\// },
      app: {
        ...{ kind: 'string', description: '', required: true },
        otherwise: { means: 'its name', of: ({ workload }) => workload && String(workload).slice(11) },
      },
      port: { kind: 'integer', description: '', required: true },
    });
    const wrong = async (inputs: Record<string, string>) => {
      const result = await read(derived, { inputs });
      return result.ok ? result.inputs : result.problems.map(({ input }) => input);
    };
    expect(await wrong({ workload: 'deploy/shop' })).toEqual(['workload', 'port']);
    expect(await wrong({})).toEqual(['workload', 'app', 'port']);
    expect(await wrong({ workload: 'deployment/shop', port: '1' })).toMatchObject({ app: 'shop' });
  });

  it('are cut when the value is long', async () => {
    const result = await read(definition, { inputs: { name: 'x', token: 't', weights: 'y'.repeat(10_000) } });
    expect(
      result.ok ? '' : describeProblem(result.problems[0] ?? { input: '', message: '' }).length,
    ).toBeLessThan(400);
  });
});

describe('where deploy.yml says it', () => {
  it('is named in a problem', async () => {
    const definition = action({ time: { kind: 'duration', description: '', config: 'watch' } });
    const result = await read(definition, { config: { watch: '5x' } });
    expect(result.ok ? [] : result.problems.map(describeProblem)).toEqual([
      expect.stringMatching(/^time \(from \.github\/deploy\.yml watch\): "5x" is not a duration; allowed is/),
    ]);
  });

  it('is not asked for by an action that reads nothing of it', async () => {
    const definition = action({ time: { kind: 'duration', description: '' } });
    const result = await readInputs(definition, {
      environment: {},
      workspace: '/workspace',
      config: () => Promise.reject(new Error('deploy.yml is broken')),
      mask: () => {},
    });
    expect(result).toEqual({ ok: true, inputs: {} });
  });
});

describe('secrets', () => {
  it('are masked before anything else is looked at, even when the run is refused', async () => {
    const masked: string[] = [];
    const definition = action({
      token: { kind: 'secret', description: '' },
      other: { kind: 'string', description: '', required: true },
    });
    const result = await readInputs(definition, {
      environment: { INPUT_TOKEN: ' hunter2 ' },
      workspace: '/workspace',
      config: async () => {
        expect(masked).toEqual(['hunter2']);
        return () => undefined;
      },
      mask: (secret) => masked.push(secret),
    });
    expect(result.ok).toBe(false);
    expect(masked).toEqual(['hunter2']);
    expect(JSON.stringify(result)).not.toContain('hunter2');
  });
});
