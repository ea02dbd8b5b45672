// What a real builder is sent as its context, beside what this repository takes for it.

import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { contextEntries } from '@deploy-actions/images';
import { type Engine, openEngine } from '../engine/engine.ts';

let engine: Engine;
let folder = '';

const files = [
  ...['README.md', 'a.log', 'x/b.log', 'x/y/c.log', '.env', '.env.example', '.git/HEAD', 'x/.git/HEAD'],
  ...[
    'node_modules/p/index.js',
    'web/node_modules/p/index.js',
    'docs/a.md',
    'docs/keep/b.md',
    'docs/keep/c.txt',
  ],
  ...[
    'src/app.py',
    'src/__pycache__/app.pyc',
    'src/test/app_test.py',
    'temp1',
    'temp10',
    'a.b',
    'axb',
    'ü.txt',
  ],
];

beforeAll(async () => {
  engine = await openEngine((line) => void process.stderr.write(`${line}\n`));
  folder = await mkdtemp(join(tmpdir(), 'ignore-'));
  for (const file of files) {
    await mkdir(dirname(join(folder, 'context', file)), { recursive: true });
    await writeFile(join(folder, 'context', file), file);
  }
  await mkdir(join(folder, 'context/empty/inner'), { recursive: true });
  await symlink('../a.b', join(folder, 'context/src/link'));
  await writeFile(join(folder, 'context/Dockerfile'), 'FROM scratch\nCOPY . /\n');
});
afterAll(async () => {
  await engine?.end();
  await rm(folder, { recursive: true, force: true });
});

async function below(root: string, at = root): Promise<string[]> {
  const entries = await readdir(at, { withFileTypes: true });
  const paths = entries.map(async (entry) => {
    const path = join(at, entry.name);
    return [relative(root, path), ...(entry.isDirectory() ? await below(root, path) : [])];
  });
  return (await Promise.all(paths)).flat().toSorted();
}

it.each([
  '',
  'node_modules\n.git\n*.log',
  '**/node_modules\n**/.git\n**/*.log',
  '*\n!src\n!a.b',
  'docs\n!docs/keep',
  'docs/**\n!docs/keep/*.md',
  '.env*\n!.env.example',
  '# comment\n  /docs/  \n\ntemp?\n!temp1',
  '**/*.p?c\n**/__pycache__\n[a-b].[^x]*',
  'empty\n!empty/inner',
  '**\n!**/*.py',
  'src/link\nu*\nü*',
  '*/*\n!*/keep',
])('with the ignore file %j both see the same', async (text) => {
  const context = join(folder, 'context');
  await writeFile(join(context, '.dockerignore'), text);
  const out = join(folder, 'out');
  await rm(out, { recursive: true, force: true });
  await engine.docker(
    'buildx',
    'build',
    '--quiet',
    '--provenance=false',
    '--output',
    `type=local,dest=${out}`,
    context,
  );
  const entries = await contextEntries(context, join(context, 'Dockerfile'), new AbortController().signal);
  expect(entries.map(({ path }) => path).toSorted()).toEqual(await below(out));
});
