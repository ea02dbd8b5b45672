import { describe, expect, it } from 'vitest';
import { parseManifests, placeOfField, refuseDuplicates, secretsIn } from './parse.ts';
import { ManifestsRefused } from './problems.ts';

const parse = (text: string, name = 'k8s/web.yml') => parseManifests([{ name, text }]);

async function refusal(text: string): Promise<string[]> {
  const thrown: unknown = await parse(text).catch((reason: unknown) => reason);
  if (thrown instanceof ManifestsRefused) return thrown.details;
  throw new Error(`it was not refused: ${String(thrown)}`);
}

const map = (name: string, more = '') =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\n${more}`;

describe('manifests', () => {
  it('are read from several documents, of which some are empty, and from Lists', async () => {
    const list = JSON.stringify({
      apiVersion: 'v1',
      kind: 'List',
      items: [{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'c' } }],
    });
    const found = await parse(`# first\n---\n${map('a')}---\n---\n${map('b')}---\n${list}\n`);
    expect(found.map(({ object }) => `${object.kind} ${object.metadata.name}`)).toEqual([
      'ConfigMap a',
      'ConfigMap b',
      'Service c',
    ]);
    expect(found[1]?.node.place).toEqual({ line: 9, column: 1 });
  });

  it('mean what kubectl reads: 0644 is octal, and << merges', async () => {
    const [found] = await parse(
      `${map('a')}base: &base\n  mode: 0644\n  quoted: '0644'\n  level: info\nother:\n  <<: *base\n  level: debug\n`,
    );
    expect(found?.object['other']).toEqual({ mode: 0o644, quoted: '0644', level: 'debug' });
  });

  it.each([
    ['a mistake in the syntax', map('a', 'data: [1\n'), /^k8s\/web\.yml:\d+:\d+: /],
    ['a tab', map('a', 'data:\n\tA: b\n'), /^k8s\/web\.yml:6:1: a line is indented with a tab/],
    [
      'a key that is there twice',
      map('a', 'kind: Secret\n'),
      /^k8s\/web\.yml:5:1: the key `kind` is there twice/,
    ],
    [
      'no name',
      'apiVersion: v1\nkind: ConfigMap\n',
      /^k8s\/web\.yml:1:1: ConfigMap has no `metadata\.name`\./,
    ],
    ['no object', 'just text', /^k8s\/web\.yml:1:1: this is no object/],
    ['no object in a list', '---\n- a\n', /^k8s\/web\.yml:2:1: this is no object/],
    ['nothing at all', '# empty\n', /^k8s\/web\.yml: has no object/],
    [
      'a word that is a boolean to kubectl',
      map('a', 'data:\n  A: yes\n'),
      /^k8s\/web\.yml:6:6: `yes` is a boolean/,
    ],
  ])('with %s are refused with their place', async (_name, text, pattern) => {
    expect((await refusal(text))[0]).toMatch(pattern);
  });

  it('may have such a word in quotes', async () => {
    expect((await parse(map('a', 'data:\n  A: "yes"\n')))[0]?.object['data']).toEqual({ A: 'yes' });
  });

  it('are all judged, not only until the first mistake', async () => {
    expect(await refusal(`kind: A\n---\nkind: B\n`)).toHaveLength(2);
  });

  it('of one object in two files are refused with both places', async () => {
    const all = await parseManifests([
      { name: 'a.yml', text: map('same') },
      { name: 'b.yml', text: `${map('other')}---\n${map('same')}` },
    ]);
    expect(() => refuseDuplicates(all, () => 'shop')).toThrow(
      /b\.yml:6:1: ConfigMap same is at a\.yml:1:1 already/,
    );
    expect(() => refuseDuplicates(all, ({ source }) => source)).not.toThrow();
  });
});

describe('a Secret', () => {
  const secret = (more: string) => `apiVersion: v1\nkind: Secret\nmetadata: { name: s }\n${more}`;

  it('has its stringData encoded, and no value of it is shown by anything', async () => {
    const [found] = await parse(secret('data:\n  A: YQ==\nstringData:\n  B: plain-value\n'));
    expect(found?.object).toMatchObject({ data: { A: 'YQ==', B: 'cGxhaW4tdmFsdWU=' } });
    expect(found?.object).not.toHaveProperty('stringData');
    expect(found === undefined ? [] : secretsIn(found)).toEqual(['YQ==', 'cGxhaW4tdmFsdWU=', 'plain-value']);
  });

  it('with a value that is not base64 is refused without the value', async () => {
    const [line] = await refusal(secret('data:\n  KEY: <secret-key>\n'));
    expect(line).toMatch(/^k8s\/web\.yml:5:3: data\.KEY of the Secret is not base64/);
    expect(line).not.toContain('secret-key');
  });
});

describe('the place of a field', () => {
  it.each([
    ['spec.replicas', '6:3'],
    ['.spec.template.containers[1].image', '13:7'],
    ['.spec.template.containers[name="b"].image', '13:7'],
    ['.spec.template.containers[name="b"].ports[containerPort=80,protocol="TCP"].hostPort', '15:9'],
    ['spec.template.containers[0].command', '10:7'],
    ['nothing.of.it', '1:1'],
  ])('%s', async (field, place) => {
    const [found] = await parse(
      [
        'apiVersion: apps/v1',
        'kind: Deployment',
        'metadata:',
        '  name: web',
        'spec:',
        '  replicas: 2',
        '  template:',
        '    kept: true',
        '    containers:',
        '    - name: a',
        '      image: one',
        '    - name: b',
        '      image: two',
        '      ports:',
        '      - containerPort: 80',
      ].join('\n'),
    );
    const { line, column } = placeOfField(found ?? { node: never() }, field);
    expect(`${line}:${column}`).toBe(place);
  });
});

function never(): never {
  throw new Error('no manifest');
}
