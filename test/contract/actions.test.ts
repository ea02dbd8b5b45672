import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ActionDefinition, commonOutputs } from '@deploy-actions/action-kit';
import { parseYaml, reasonCodes } from '@deploy-actions/core';
import { describe, expect, it } from 'vitest';
import { actions } from '../../actions/registry.ts';
import { readTree } from '../../scripts/build/tree.ts';
import { definitionsOf } from '../../scripts/generate/files.ts';
import { smoke } from '../../scripts/smoke.ts';

const root = join(import.meta.dirname, '../..');
const dist = join(root, 'dist');
const definitions = await definitionsOf(actions);
const registered = definitions.map(({ name }) => name);

interface ActionYml {
  inputs: Record<string, { description: string; required: boolean; default?: string }>;
  outputs: Record<string, { description: string }>;
  runs: { using: string; main: string; post?: string; 'post-if'?: string };
}

/** The first cell of each row of the table below a heading, without its code marks. */
function namesInTable(markdown: string, heading: string): string[] {
  const section = markdown.split(`\n## ${heading}\n`)[1]?.split(/\n## |\n<!--/)[0] ?? '';
  return [...section.matchAll(/^\| `([^`]+)`/gm)].map(([, name = '']) => name);
}

function outputsOf(definition: ActionDefinition): string[] {
  return [...Object.keys(definition.outputs), ...Object.keys(commonOutputs)];
}

describe.each(definitions)('$name', (definition) => {
  const { name } = definition;

  it('declares in action.yml what its definition says, and nothing else', async () => {
    const declared = (await parseYaml(
      await readFile(join(dist, name, 'action.yml'), 'utf8'),
    )) as unknown as ActionYml;
    expect(Object.keys(declared.inputs)).toEqual(Object.keys(definition.inputs));
    for (const [input, spec] of Object.entries(definition.inputs)) {
      const fromConfig = spec.config !== undefined;
      expect(declared.inputs[input], input).toMatchObject({
        required: !fromConfig && spec.required === true && spec.otherwise === undefined,
        description: expect.stringContaining(spec.description),
      });
      // A default there would hide what deploy.yml says: the runner passes it on like what a user wrote.
      expect(declared.inputs[input]?.default, input).toBe(
        fromConfig ? undefined : (spec.expression ?? spec.default),
      );
    }
    expect(Object.keys(declared.outputs)).toEqual(outputsOf(definition));
    expect(declared.runs).toEqual({
      using: 'node24',
      main: 'main.mjs',
      ...(definition.mutates ? { post: 'post.mjs', 'post-if': 'always()' } : {}),
    });
  });

  it('lists the same inputs and outputs in its README', async () => {
    const text = await readFile(join(root, 'actions', name, 'README.md'), 'utf8');
    expect(namesInTable(text, 'Inputs')).toEqual(Object.keys(definition.inputs));
    expect(namesInTable(text, 'Outputs')).toEqual(outputsOf(definition));
  });

  it('has names, defaults and descriptions that hold what they promise', () => {
    for (const [input, spec] of Object.entries(definition.inputs)) {
      expect(input).toMatch(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/);
      expect(spec.description, input).toMatch(/[.:`]$/);
      expect(spec.required === true && spec.default !== undefined, `${input}: required with a default`).toBe(
        false,
      );
    }
    for (const output of Object.keys(definition.outputs)) {
      expect(Object.keys(commonOutputs), `${output} is an output of every action`).not.toContain(output);
    }
    expect('dry-run' in definition.inputs).toBe(definition.mutates);
  });

  it('has code, a README and a test of its own', async () => {
    const files = await readdir(join(root, 'actions', name));
    expect(files).toEqual(expect.arrayContaining(['README.md', 'definition.ts', 'run.ts']));
    expect(files.filter((file) => file.endsWith('.test.ts'))).not.toEqual([]);
  });
});

it('registers every folder of actions', async () => {
  const entries = await readdir(join(root, 'actions'), { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  expect(folders.toSorted()).toEqual(registered.toSorted());
});

it('ships exactly the files of a version tag', async () => {
  const shipped = [...(await readTree(dist)).keys()];
  const chunks = shipped.filter((path) => /^bundle\/\d+\.index\.mjs$/.test(path));
  const expected = definitions.flatMap(({ name, mutates }) => [
    `${name}/action-types.yml`,
    `${name}/action.yml`,
    `${name}/main.mjs`,
    ...(mutates ? [`${name}/post.mjs`] : []),
  ]);
  const common = [
    '.github/workflows/deploy.yml',
    '.github/workflows/images.yml',
    '.github/workflows/pr-checks.yml',
    '.github/workflows/rollback.yml',
    'LICENSE',
    'README.md',
    'action.yml',
    'bundle/index.mjs',
    'bundle/proxy.mjs',
    'deploy.schema.json',
    'licenses.txt',
    'package.json',
  ];
  expect(shipped.toSorted()).toEqual([...expected, ...chunks, ...common].toSorted());
});

it('is the pipeline in one step, from the root of the repository and of a version tag', async () => {
  const [own, shipped, atRoot] = await Promise.all(
    ['dist/deploy/action.yml', 'dist/action.yml', 'action.yml'].map((path) =>
      readFile(join(root, path), 'utf8'),
    ),
  );
  const paths = (prefix: string) => own?.replaceAll(/: (main|post)\.mjs$/gm, `: ${prefix}$1.mjs`);
  expect(shipped).toBe(paths('deploy/'));
  expect(atRoot).toBe(paths('dist/deploy/'));
});

it('loads every chunk of the bundle from somewhere', async () => {
  const files = await readTree(join(dist, 'bundle'));
  const code = [...files.values()].join('\n');
  // Minified, 6000 is 6e3.
  const loaded = new Set([...code.matchAll(/\.e\(([\de]+)\)/g)].map(([, id]) => Number(id)));
  for (const name of files.keys()) {
    const id = /^(\d+)\.index\.mjs$/.exec(name)?.[1];
    if (id !== undefined) expect(loaded, name).toContain(Number(id));
  }
});

it('documents every reason code', async () => {
  const page = await readFile(join(root, 'docs/reason-codes.md'), 'utf8');
  expect([...page.matchAll(/^\| `([a-z_]+)`/gm)].map(([, code]) => code)).toEqual(Object.keys(reasonCodes));
});

it(
  'refuses or ends as it should from every entry, with every output written',
  { timeout: 120_000 },
  async () => {
    const wrong = (await smoke(dist)).filter(({ problems }) => problems.length > 0);
    expect(wrong).toEqual([]);
  },
);
