import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonOf, parseYaml, readYaml, type YamlNode } from './yaml.ts';

/** Every key and value with its place: `a.b 2:3 → 2:6`. */
function places(node: YamlNode, path = ''): string[] {
  const at = ({ line, column }: { line: number; column: number }) => `${line}:${column}`;
  if (node.kind === 'list') return node.items.flatMap((item, index) => places(item, `${path}[${index}]`));
  if (node.kind === 'scalar') return [`${path} ${at(node.place)}`];
  return Array.from(node.entries).flatMap(([key, entry]) => {
    const below = path === '' ? key : `${path}.${key}`;
    const inside = places(entry.node, below);
    return [`${below} key ${at(entry.place)}`, ...inside];
  });
}

async function placesIn(text: string): Promise<string[]> {
  const { root, problems } = await readYaml(text);
  expect(problems).toEqual([]);
  return root === null ? [] : places(root);
}

async function problemsIn(text: string): Promise<string[]> {
  const { problems } = await readYaml(text);
  return problems.map(({ place, message }) => `${place.line}:${place.column} ${message}`);
}

describe('the places of keys and values', () => {
  it.each<[string, string, string[]]>([
    ['a plain mapping', 'a: 1\nb:\n  c: x\n', ['a key 1:1', 'a 1:4', 'b key 2:1', 'b.c key 3:3', 'b.c 3:6']],
    ['quotes', `"a": 'x'\n'b': "y"\n`, ['a key 1:1', 'a 1:6', 'b key 2:1', 'b 2:6']],
    ['nothing written', 'a:\nb: \n', ['a key 1:1', 'a 1:1', 'b key 2:1', 'b 2:1']],
    ['a list', 'a:\n  - 1\n  -   x\n', ['a key 1:1', 'a[0] 2:5', 'a[1] 3:7']],
    [
      'flow',
      'a: {b: [1, "é"], c: 2}',
      ['a key 1:1', 'a.b key 1:5', 'a.b[0] 1:9', 'a.b[1] 1:12', 'a.c key 1:18', 'a.c 1:21'],
    ],
    ['a question mark', '? a\n: b\n', ['a key 1:3', 'a 2:3']],
    ['a block', '"a|b": |2- # x | y\n\n    x\nc: >', ['a|b key 1:1', 'a|b 1:8', 'c key 4:1', 'c 4:4']],
    ['anchors and tags', 'a: &x !!str 1.10\nb: *x\n', ['a key 1:1', 'a 1:13', 'b key 2:1', 'b 2:4']],
    [
      'carriage returns',
      'a: 1\r\n\r\nb:\r\n  c: |\r\n    x\r\n',
      ['a key 1:1', 'a 1:4', 'b key 3:1', 'b.c key 4:3', 'b.c 4:6'],
    ],
    ['a byte order mark', '\ufeffa: 1\nb: 2\n', ['a key 1:1', 'a 1:4', 'b key 2:1', 'b 2:4']],
    ['emoji', '# 😀\n{"😀😀": "👍", b: é}\n', ['😀😀 key 2:2', '😀😀 2:8', 'b key 2:13', 'b 2:16']],
    ['a tab between', 'a:\t1\n', ['a key 1:1', 'a 1:4']],
  ])('with %s', async (_name, text, expected) => expect(await placesIn(text)).toEqual(expected));

  it('of what is in an alias are where it was written', async () => {
    expect(await placesIn('a: &x\n  b: 1\nc: *x\n')).toEqual([
      'a key 1:1',
      'a.b key 2:3',
      'a.b 2:6',
      'c key 3:1',
      'c.b key 2:3',
      'c.b 2:6',
    ]);
    const { root } = await readYaml('a: &x {b: 1}\nc: *x\n');
    expect(root?.kind === 'mapping' && root.entries.get('c')?.node.place).toEqual({ line: 2, column: 4 });
  });

  it('are those of the text that JSON was written as', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' }), async (value) => {
        const text = JSON.stringify(value, null, 1);
        const { root, problems } = await readYaml(text);
        expect(problems).toEqual([]);
        const lines = text.split('\n').map((line) => Array.from(line));
        const check = (node: YamlNode | undefined) => {
          if (node === undefined) return;
          const rest = lines[node.place.line - 1]?.slice(node.place.column - 1).join('') ?? '';
          expect(rest).toMatch(
            node.kind === 'list' ? /^\[/ : node.kind === 'mapping' ? /^\{/ : /^["\-\dntf]/,
          );
          if (node.kind === 'scalar') expect(rest.replace(/,$/, '')).toBe(JSON.stringify(node.value));
          if (node.kind === 'list') node.items.forEach(check);
          if (node.kind === 'mapping') for (const { node: inner } of node.entries.values()) check(inner);
        };
        check(root ?? undefined);
      }),
    );
  });
});

describe('values', () => {
  it.each<[string, unknown]>([
    ['', null],
    ['# nothing\n', null],
    ['---\n', null],
    ['yes', 'yes'],
    ['True', true],
    ['~', null],
    ['0x1f', 31],
    ['0o17', 15],
    ['017', 17],
    ['1.10', 1.1],
    ['2024-01-31', '2024-01-31'],
    ['12:30', '12:30'],
    ['"1"', '1'],
    ['!!str 1', '1'],
    ['!<tag:yaml.org,2002:int> "3"', 3],
    ['! 1', '1'],
    ['{1.10: a, ~: b}', { '1.10': 'a', '~': 'b' }],
    ['{__proto__: 1, constructor: 2}', JSON.parse('{"__proto__": 1, "constructor": 2}')],
    ['[&a x, *a]', ['x', 'x']],
  ])('of %j', async (text, value) => expect(await parseYaml(text)).toEqual(value));

  it('keep the text that a number was written as', async () => {
    expect((await readYaml('1.10')).root).toMatchObject({ value: 1.1, text: '1.10' });
  });
});

describe('problems', () => {
  it.each<[string, string, string[]]>([
    ['a key twice', 'a: 1\nb: 2\n"a": 3\n', ['3:1 the key `a` is there twice, here and at 1:1']],
    ['two documents', 'a: 1\n---\n  b: 2\n', ['3:3 a second document begins here; a file has one']],
    ['an unknown anchor', 'a: *x\n', ['1:4 `*x` stands for an anchor `&x` that does not end before it']],
    ['a circle', 'a: &x [*x]\n', ['1:8 `*x` stands for an anchor `&x` that does not end before it']],
    [
      'an unknown tag',
      'a: !secret x\nb: !!set {}\n',
      ['1:4 the tag `!secret` is not known here', '2:4 the tag `!!set` is not known here'],
    ],
    ['a wrong value for a tag', 'a: !!int x', ['1:4 this is no value for `!!int`']],
    ['a key that is no text', '? [a]\n: b\n', ['1:3 a key is text, not a list or a mapping']],
    ['a tab', 'a:\n  b: 1\n\tc: 2\n', ['3:1 a line is indented with a tab; use spaces']],
    [
      'several at once',
      'a: 1\na: *x\na: !y z\n',
      [
        '2:1 the key `a` is there twice, here and at 1:1',
        '2:4 `*x` stands for an anchor `&x` that does not end before it',
        '3:1 the key `a` is there twice, here and at 1:1',
        '3:4 the tag `!y` is not known here',
      ],
    ],
  ])('%s', async (_name, text, expected) => expect(await problemsIn(text)).toEqual(expected));

  it.each([
    ['an open bracket', 'a: [1,\n', '2:1'],
    ['an open quote', 'a: 1\nb: "x\n', '3:1'],
    ['wrong indentation', 'a:\n  - b\n c: 1', '3:2'],
    ['too deep', `a:\n ${'['.repeat(200)}`, '2:100'],
  ])('of syntax: %s', async (_name, text, place) => {
    const [found, ...more] = await problemsIn(text);
    expect(more).toEqual([]);
    expect(found).toMatch(new RegExp(`^${place} [a-z]`));
    await expect(parseYaml(text)).rejects.toThrow(`${place}: `);
  });

  it('a bomb of aliases is not read, and said once', async () => {
    const rows = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let row = 1; row < 30; row += 1) rows.push(`a${row}: &a${row} [${`*a${row - 1}, `.repeat(10)}]`);
    const { root, problems } = await readYaml(rows.join('\n'));
    expect(problems).toHaveLength(1);
    expect(problems[0]?.message).toContain('aliases repeat more than 10000 values');
    expect(JSON.stringify(root === null ? null : jsonOf(root)).length).toBeLessThan(200_000);
  });

  it('a megabyte takes a moment, in one line or in many, with an emoji in each', async () => {
    const entries = Array.from({ length: 40_000 }, (_, index) => `"😀 key ${index}": "value"`);
    for (const text of [
      `{${entries.join(', ')}}`,
      entries.join('\n'),
      entries.map((e) => `${e.slice(0, -7)}|\n x`).join('\n'),
    ]) {
      const start = performance.now();
      const { root, problems } = await readYaml(text);
      expect(problems).toEqual([]);
      expect(root?.kind === 'mapping' && root.entries.size).toBe(40_000);
      expect(performance.now() - start).toBeLessThan(5_000);
    }
  });
});
