import type { Json } from '@deploy-actions/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readConfig } from './document.ts';

const file = 'deploy.yml';
const paths = ['app', 'env', 'health.timeout', 'health.url', 'router.nginx.command', 'router.type'];

async function read(text: string) {
  return readConfig(text, { file, paths });
}

async function problemsIn(text: string): Promise<string[]> {
  const { problems } = await read(text);
  return problems.map(({ place, message }) => `${place.line}:${place.column} ${message}`);
}

describe('inheritance', () => {
  const text = [
    'health:', // 1
    '  timeout: 1m',
    '  url: https://example.com/',
    'router: { type: nginx, nginx: { command: nginx } }',
    'environments:', // 5
    '  base:',
    '    health: { timeout: 2m }',
    '    env: { A: 1 }',
    '  staging:',
    '    extends: base', // 10
    '    env: { B: 2 }',
    '  production:',
    '    extends: staging',
    '    health: { url: ~ }',
    '    router:', // 15
    '  alone:',
  ].join('\n');

  it.each<[string, string, unknown]>([
    ['production', 'env', [{ B: 2 }, 'staging', 'deploy.yml:11:10 environments.staging.env']],
    ['production', 'health.timeout', ['2m', 'base', 'deploy.yml:7:24 environments.base.health.timeout']],
    ['production', 'health.url', 'unset at 14:20'],
    ['production', 'router.type', 'unset at 15:5'],
    ['production', 'router.nginx.command', 'unset at 15:5'],
    ['production', 'app', 'absent'],
    ['staging', 'router.type', ['nginx', null, 'deploy.yml:4:17 router.type']],
    ['alone', 'health.timeout', ['1m', null, 'deploy.yml:2:12 health.timeout']],
    ['', 'health.timeout', ['1m', null, 'deploy.yml:2:12 health.timeout']],
  ])('%s has of %s what is nearest, and its origin', async (environment, path, expected) => {
    const found = (await read(text)).find(environment, path);
    expect(
      found.state === 'set'
        ? [found.value, found.origin.environment, found.origin.where]
        : found.state === 'unset'
          ? `unset at ${found.origin.place.line}:${found.origin.place.column}`
          : 'absent',
    ).toEqual(expected);
  });

  it.each<[string, string, string[]]>([
    [
      'a circle, once',
      'environments:\n  c: { extends: a }\n  a: { extends: b }\n  b: { extends: a }\n',
      ['3:17 environments.a.extends makes a circle: a → b → a.'],
    ],
    ['itself', 'environments: { a: { extends: a } }', ['1:31 environments.a.extends makes a circle: a → a.']],
    [
      'two circles',
      'environments: { a: { extends: a }, b: { extends: c }, c: { extends: b } }',
      [
        '1:31 environments.a.extends makes a circle: a → a.',
        '1:50 environments.b.extends makes a circle: b → c → b.',
      ],
    ],
    [
      'nobody',
      'environments:\n  a:\n    extends: stagin\n  staging:\n',
      ['3:14 environments.a.extends names "stagin", which is no environment.'],
    ],
    [
      'a list',
      'environments:\n  a:\n    extends: [b]\n  b:\n',
      ['3:14 environments.a.extends must be the name of another environment.'],
    ],
    ['nothing', 'environments: { a: { extends: ~ } }', []],
    ['a name that looks like a number', 'environments: { 1.10: {}, a: { extends: 1.10 } }', []],
  ])('extending %s', async (_name, content, expected) => expect(await problemsIn(content)).toEqual(expected));

  it('goes over twenty environments, and over thousands takes no time', async () => {
    const chain = (count: number) =>
      Array.from({ length: count }, (_, index) => `  e${index + 1}: { extends: e${index} }`).join('\n');
    expect(await problemsIn(`environments:\n  e0:\n${chain(19)}`)).toEqual([]);
    expect(await problemsIn(`environments:\n  e0:\n${chain(20)}`)).toEqual([
      '22:19 environments.e20.extends goes on for more than 20 environments.',
    ]);
    const start = performance.now();
    expect(await problemsIn(`environments:\n  e0:\n${chain(20_000)}`)).toHaveLength(19_981);
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  it('is readable in spite of a circle', async () => {
    const document = await read('app: x\nenvironments: { a: { extends: b }, b: { extends: a, env: {} } }');
    expect(document.find('a', 'env')).toMatchObject({ state: 'set' });
    expect(document.find('a', 'app')).toMatchObject({ state: 'set' });
  });

  type Tree = { [key: string]: Tree | Json };

  const value = fc.oneof({ weight: 3, arbitrary: fc.nat(9) }, fc.constant(null));
  const own = (keys: Record<string, fc.Arbitrary<unknown>>) =>
    fc.oneof(
      { weight: 5, arbitrary: fc.record(keys, { requiredKeys: [] }) },
      { weight: 1, arbitrary: fc.constant(null) },
    );
  const settings = fc.record(
    {
      app: value,
      env: value,
      health: own({ timeout: value, url: value }),
      router: own({ nginx: own({ command: value }), type: value }),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<Tree>;
  const names = ['e0', 'e1', 'e2', 'e3'];

  /** What one mapping makes of another below it: null takes away, sections are merged, everything else replaces. */
  function overlaid(below: Tree, above: Tree, prefix = ''): Tree {
    const merged: Tree = { ...below };
    for (const [key, given] of Object.entries(above)) {
      const path = `${prefix}${key}`;
      if (given === null) delete merged[key];
      else if (paths.includes(path)) merged[key] = given;
      else merged[key] = overlaid((merged[key] ?? {}) as Tree, given as Tree, `${path}.`);
    }
    return merged;
  }

  it('agrees with merging the mappings one over the other', async () => {
    await fc.assert(
      fc.asyncProperty(
        settings,
        fc.array(fc.tuple(settings, fc.option(fc.nat(9))), { minLength: 4, maxLength: 4 }),
        fc.shuffledSubarray(names, { minLength: 4 }),
        fc.boolean(),
        async (shared, each, order, isBlock) => {
          // An environment extends one of those before it in `names`, wherever these stand in the file.
          const parentOf = (index: number) => {
            const choice = each[index]?.[1] ?? null;
            return choice === null || index === 0 ? undefined : choice % index;
          };
          const environments = Object.fromEntries(
            order.map((name) => {
              const index = names.indexOf(name);
              const parent = parentOf(index);
              return [
                name,
                { ...each[index]?.[0], ...(parent === undefined ? {} : { extends: `e${parent}` }) },
              ];
            }),
          );
          const document = await read(JSON.stringify({ ...shared, environments }, null, isBlock ? 2 : 0));
          expect(document.problems).toEqual([]);
          const effective = (index: number): Tree => {
            const parent = parentOf(index);
            const below = parent === undefined ? overlaid({}, shared) : effective(parent);
            return overlaid(below, each[index]?.[0] ?? {});
          };
          for (const [index, name] of names.entries()) {
            const model = effective(index);
            for (const path of paths) {
              const expected = path
                .split('.')
                .reduce<unknown>((node, key) => (node as Tree | undefined)?.[key], model);
              const found = document.find(name, path);
              expect(found.state === 'set' ? found.value : undefined).toEqual(expected);
              if (found.state !== 'set') continue;
              // The origin is the nearest of the chain that says this very value.
              const { environment } = found.origin;
              const said = environment === null ? shared : (environments[environment] as Tree);
              expect(path.split('.').reduce<unknown>((node, key) => (node as Tree)[key], said)).toEqual(
                expected,
              );
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('files as they are', () => {
  it.each<[string, string, string[]]>([
    [
      'with carriage returns',
      'app: x\r\n\r\nhealth:\r\n  tiemout: 1s\r\n',
      ['4:3 health.tiemout is not a known key.'],
    ],
    ['with a byte order mark', '\ufeffhelth: 1\n', ['1:1 helth is not a known key.']],
    [
      'with emoji',
      'app: "🚀🚀"\nenv: {"🚀": "🚀", }\nhealth: {"🚀🚀": 1, url: x, x: 1}\n',
      ['3:10 health.🚀🚀 is not a known key.', '3:27 health.x is not a known key.'],
    ],
    [
      'with a tab',
      'health:\n\turl: x\n',
      ['2:1 This is not valid YAML: a line is indented with a tab; use spaces.'],
    ],
    [
      'too deep',
      `env: ${'['.repeat(150)}`,
      ['1:105 This is not valid YAML: nesting exceeded maxDepth (100).'],
    ],
    ['deep below a setting', `env: ${'['.repeat(90)}${']'.repeat(90)}`, []],
  ])('%s', async (_name, text, expected) => expect(await problemsIn(text)).toEqual(expected));

  it('of a megabyte take a moment', async () => {
    const env = Array.from({ length: 45_000 }, (_, index) => `      NAME_${index}: value ${index}`).join(
      '\n',
    );
    const text = `environments:\n  production:\n    env:\n${env}\n    helth: 1\n`;
    expect(text.length).toBeGreaterThan(1_000_000);
    const start = performance.now();
    const { problems, find } = await read(text);
    expect(problems.map(({ place }) => place)).toEqual([{ line: 45_004, column: 5 }]);
    expect(find('production', 'env')).toMatchObject({ state: 'set' });
    expect(performance.now() - start).toBeLessThan(5_000);
  });

  it('of a megabyte of mistakes take a moment', async () => {
    const text = Array.from({ length: 60_000 }, (_, index) => `appp${index}: value`).join('\n');
    const start = performance.now();
    expect((await read(text)).problems).toHaveLength(60_000);
    expect(performance.now() - start).toBeLessThan(10_000);
  });
});
