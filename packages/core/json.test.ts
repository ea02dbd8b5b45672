import fc from 'fast-check';
import { expect, it } from 'vitest';
import { canonicalJson, digestOf } from './json.ts';
import { parseYaml } from './yaml.ts';

/** The same data with the keys of every object the other way round. */
function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, inner]) => [key, reversed(inner)]),
  );
}

it('gives the same bytes for the same data, whatever the order of keys', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const plain: unknown = JSON.parse(JSON.stringify(value));
      expect(canonicalJson(reversed(plain))).toBe(canonicalJson(plain));
      expect(JSON.parse(canonicalJson(plain))).toEqual(plain);
    }),
  );
});

it('digests the canonical bytes', () => {
  expect(digestOf({})).toBe('sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a');
  expect(digestOf({ b: 1, a: [2] })).toBe(digestOf({ a: [2], b: 1 }));
});

it('reads JSON as YAML, which it is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      const text = JSON.stringify(value);
      expect(await parseYaml(text)).toEqual(JSON.parse(text));
    }),
  );
  expect(await parseYaml('# nothing\n')).toBeNull();
  await expect(parseYaml('a: 1\n---\na: 2\n')).rejects.toThrow('3:1: a second document');
});
