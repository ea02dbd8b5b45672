import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { silentLog } from '@deploy-actions/core';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { readSources, renderSource } from './sources.ts';

let workspace: string;
beforeEach(async () => {
  workspace = await mkdtemp(join(tmpdir(), 'manifests-'));
  for (const name of [
    'k8s/b.yml',
    'k8s/a.yaml',
    'k8s/deep/c.json',
    'k8s/notes.md',
    'one.yml',
    'chart/Chart.yaml',
  ]) {
    await mkdir(dirname(join(workspace, name)), { recursive: true });
    await writeFile(join(workspace, name), name);
  }
});
afterEach(() => rm(workspace, { recursive: true }));

const names = async (...items: string[]) => (await readSources(items, workspace)).map(({ name }) => name);

it('files, folders and globs name manifests, each once', async () => {
  expect(await names('one.yml', 'k8s', 'k8s/*.yml')).toEqual([
    'one.yml',
    'k8s/a.yaml',
    'k8s/b.yml',
    'k8s/deep/c.json',
  ]);
  expect(await names('k8s/*.y{,a}ml')).toEqual(['k8s/a.yaml', 'k8s/b.yml']);
});

it('what names nothing is refused', async () => {
  await expect(names('no-such')).rejects.toMatchObject({ reasonCode: 'not_found' });
  await expect(names('k8s/*.toml')).rejects.toMatchObject({ reasonCode: 'not_found' });
});

it('what has to be rendered first is refused with how to', async () => {
  await expect(names('chart')).rejects.toMatchObject({
    reasonCode: 'invalid_input',
    remedy: expect.stringContaining('render: helm template chart'),
  });
});

it('a command that fails or writes nothing is refused with its last words', async () => {
  const options = {
    workspace,
    environment: { PATH: process.env['PATH'] },
    signal: new AbortController().signal,
    log: silentLog,
  };
  expect(await renderSource(['cat', 'one.yml'], options)).toEqual({ name: 'cat one.yml', text: 'one.yml' });
  await expect(renderSource(['cat', 'no-such'], options)).rejects.toMatchObject({
    reasonCode: 'command_failed',
    details: [expect.stringContaining('no-such')],
  });
  await expect(renderSource(['true'], options)).rejects.toMatchObject({ reasonCode: 'invalid_input' });
});
