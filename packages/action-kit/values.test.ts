import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InputSpec } from './definition.ts';
import { parseImageReference, parseValue, splitCommand } from './values.ts';

type Kind = InputSpec extends infer S ? (S extends { kind: string } ? Omit<S, 'description'> : never) : never;

async function parse(spec: Kind, text: string, workspace = '/workspace'): Promise<unknown> {
  const parsed = await parseValue({ description: '', ...spec }, text, workspace);
  return 'value' in parsed ? parsed.value : parsed;
}

const refused = { problem: expect.stringContaining('allowed') as unknown };

describe('boolean', () => {
  it.each([
    ['true', true],
    ['True', true],
    ['FALSE', false],
  ])('%s', async (text, value) => expect(await parse({ kind: 'boolean' }, text)).toBe(value));

  it('is never guessed', async () => {
    const words = fc.string({ minLength: 1 }).filter((text) => !/^(?:true|false)$/i.test(text));
    await fc.assert(
      fc.asyncProperty(words, async (text) => {
        expect(await parse({ kind: 'boolean' }, text)).toEqual(refused);
      }),
    );
  });
});

describe('numbers', () => {
  it('reads whole numbers within the limits and refuses those outside', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), fc.integer(), fc.integer(), async (value, a, b) => {
        const [min, max] = [Math.min(a, b), Math.max(a, b)];
        const read = await parse({ kind: 'integer', min, max }, String(value));
        expect(read).toEqual(value >= min && value <= max ? value : refused);
      }),
    );
  });

  it('reads percentages with and without their sign', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 1000 }),
        fc.constantFrom('', '%', ' %'),
        async (tenths, sign) => {
          expect(await parse({ kind: 'percentage' }, `${tenths / 10}${sign}`)).toBe(tenths / 10);
        },
      ),
    );
  });

  it('reads lists of whole numbers, separated by commas or lines', async () => {
    const spec = { kind: 'integers', min: 0, max: 100 } as const;
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1 }),
        fc.constantFrom(',', ', ', '\n', ',\n'),
        async (numbers, separator) => {
          expect(await parse(spec, numbers.join(separator))).toEqual(numbers);
        },
      ),
    );
    expect(await parse(spec, '20,101')).toEqual(refused);
  });
});

describe('duration', () => {
  it.each([
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['250ms', 250],
    ['0', 0],
  ])('%s', async (text, value) => expect(await parse({ kind: 'duration' }, text)).toBe(value));

  it('is within its limits, which are named', async () => {
    const spec = { kind: 'duration', min: '1s', max: '1m' } as const;
    expect(await parse(spec, '1s')).toBe(1_000);
    for (const text of ['999ms', '61s']) {
      expect(await parse(spec, text)).toEqual({ problem: expect.stringMatching(/at least 1s, at most 1m/) });
    }
  });
});

describe('map', () => {
  it('gives back every name and value, even the names of what objects inherit', async () => {
    const name = fc.oneof(fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,20}$/), fc.constant('__proto__'));
    const value = fc.stringMatching(/^(?:\S(?:[^\n]{0,20}\S)?)?$/);
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.tuple(name, value), { selector: ([key]) => key }),
        async (entries) => {
          const text = entries.map(([key, content]) => `${key}=${content}`).join('\n');
          const read = await parse({ kind: 'map' }, text);
          expect(Object.entries(read as object)).toHaveLength(entries.length);
          for (const [key, content] of entries)
            expect(Object.getOwnPropertyDescriptor(read, key)?.value).toBe(content);
        },
      ),
    );
  });

  it('names the line that is wrong, never what it says', async () => {
    const read = await parse({ kind: 'map' }, 'A=1\n# a comment\nhunter2');
    expect(read).toEqual({ problem: expect.stringContaining('line 3') });
    expect(JSON.stringify(read)).not.toContain('hunter2');
  });
});

describe('command', () => {
  it('splits what was quoted back into the same words', () => {
    const quote = (word: string) => `'${word.replaceAll("'", "'\\''")}'`;
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (words) => {
        expect(splitCommand(words.map(quote).join(' '))).toEqual(words);
      }),
    );
  });

  it.each([
    ['python  manage.py', ['python', 'manage.py']],
    ['a"b c"d', ['ab cd']],
    [String.raw`a\ b "\"" '\'`, ['a b', '"', '\\']],
    ["''", ['']],
    ['$HOME *', ['$HOME', '*']],
  ])('%s', (text, words) => expect(splitCommand(text)).toEqual(words));
});

describe('image', () => {
  const digest = `sha256:${'0a'.repeat(32)}`;
  it.each([
    ['busybox', { repository: 'busybox', tag: undefined, digest: undefined }],
    ['registry:5000/a/b', { repository: 'registry:5000/a/b', tag: undefined, digest: undefined }],
    ['registry:5000/a/b:1', { repository: 'registry:5000/a/b', tag: '1', digest: undefined }],
    [`ghcr.io/a/b:v1@${digest}`, { repository: 'ghcr.io/a/b', tag: 'v1', digest }],
    [`[::1]:5000/a@${digest}`, { repository: '[::1]:5000/a', tag: undefined, digest }],
  ])('%s', (text, value) => expect(parseImageReference(text)).toEqual(value));

  it('is put together again to what was read', () => {
    const part = fc.stringMatching(/^[a-z0-9]{1,8}$/);
    const host = fc.constantFrom('', 'ghcr.io/', 'localhost:5000/');
    const tag = fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}$/), { nil: undefined });
    fc.assert(
      fc.property(host, fc.array(part, { minLength: 1, maxLength: 4 }), tag, (registry, parts, version) => {
        const repository = `${registry}${parts.join('/')}`;
        const text = version === undefined ? repository : `${repository}:${version}`;
        expect(parseImageReference(text)).toEqual({ repository, tag: version, digest: undefined });
      }),
    );
  });
});

describe('images', () => {
  it('are separated by commas or lines', async () => {
    expect(await parse({ kind: 'images' }, 'acme/a:1, acme/b:2\nacme/c')).toEqual([
      { repository: 'acme/a', tag: '1', digest: undefined },
      { repository: 'acme/b', tag: '2', digest: undefined },
      { repository: 'acme/c', tag: undefined, digest: undefined },
    ]);
  });

  it('are refused when one of them is none', async () => {
    for (const text of ['acme/a:1,acme/b:', 'A', ',']) {
      expect(await parse({ kind: 'images' }, text), text).toEqual(refused);
    }
  });
});

describe('a list with a pattern', () => {
  const spec = { kind: 'list', pattern: /^[a-z]+$/, allowed: 'letters' } as const;

  it('has nothing but items of it', async () => {
    expect(await parse(spec, 'a, b\nc')).toEqual(['a', 'b', 'c']);
    for (const text of ['a,1', 'A', 'a\nb c']) expect(await parse(spec, text), text).toEqual(refused);
  });
});

describe('path', () => {
  let root = '';
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'values-test-'));
    mkdirSync(join(root, 'workspace/app'), { recursive: true });
    mkdirSync(join(root, 'outside'));
    symlinkSync(join(root, 'outside'), join(root, 'workspace/link'));
    symlinkSync(join(root, 'workspace/app'), join(root, 'workspace/inner'));
  });
  afterAll(() => rmSync(root, { recursive: true }));
  const inside = (text: string) =>
    parse({ kind: 'path', within: 'workspace' }, text, join(root, 'workspace'));

  it.each(['.', 'app', 'app/not-there/yet', 'inner/x', '..hidden', 'app/..'])('%s is inside', async (text) =>
    expect(await inside(text)).toBe(join(root, 'workspace', text)),
  );

  it.each(['..', '../workspace2', 'app/../../x', '/etc/passwd', 'link', 'link/not-there'])(
    '%s leaves the workspace',
    async (text) =>
      expect(await inside(text)).toEqual({ problem: expect.stringContaining('leaves the workspace') }),
  );

  it('on the host goes anywhere', async () => {
    expect(await parse({ kind: 'path', within: 'host' }, '/etc/nginx')).toBe('/etc/nginx');
    expect(await parse({ kind: 'path', within: 'host' }, 'x')).toBe('/workspace/x');
    expect(await parse({ kind: 'path', within: 'host' }, '~/x')).toBe(join(homedir(), 'x'));
    expect(await parse({ kind: 'path', within: 'host' }, '~x')).toBe('/workspace/~x');
  });
});

describe('documents', () => {
  it('reads JSON to what was written', async () => {
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        const text = JSON.stringify(value);
        expect(await parse({ kind: 'json' }, text)).toEqual(JSON.parse(text));
        expect(await parse({ kind: 'yaml' }, text)).toEqual(JSON.parse(text));
      }),
    );
  });

  it('reads YAML with JSON’s types alone', async () => {
    expect(await parse({ kind: 'yaml' }, 'day: 2024-01-02\nanswer: no')).toEqual({
      day: '2024-01-02',
      answer: 'no',
    });
  });
});
