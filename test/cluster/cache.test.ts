import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cached } from './cache.ts';

let cache: string;
const quiet = (): void => {};

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'cache-'));
});
afterEach(() => rm(cache, { recursive: true }));

const folders = async () => (await readdir(cache)).filter((name) => !name.endsWith('.lock'));

test('of several that want the same, one makes it', async () => {
  let made = 0;
  const make = async (folder: string): Promise<void> => {
    made += 1;
    await new Promise((resolve) => setTimeout(resolve, 50));
    await writeFile(join(folder, 'content'), 'whole');
  };
  const found = await Promise.all([1, 2, 3].map(() => cached('thing', quiet, make, cache)));
  expect([made, new Set(found)]).toEqual([1, new Set([join(cache, 'thing')])]);
  expect(await readFile(join(cache, 'thing', 'content'), 'utf8')).toBe('whole');
});

test('what failed leaves nothing, and is made by the next', async () => {
  const failing = async (folder: string): Promise<void> => {
    await writeFile(join(folder, 'content'), 'half');
    throw new Error('no room');
  };
  await expect(cached('thing', quiet, failing, cache)).rejects.toThrow('no room');
  expect(await folders()).toEqual([]);
  await cached('thing', quiet, (folder) => writeFile(join(folder, 'content'), 'whole'), cache);
  expect(await folders()).toEqual(['thing']);
});

test('what was killed half-way is not taken for complete', async () => {
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { cached } = await import(${JSON.stringify(join(import.meta.dirname, 'cache.ts'))});
       const { writeFileSync } = await import('node:fs');
       await cached('thing', () => {}, (folder) => {
         writeFileSync(folder + '/content', 'half');
         console.log('half-way');
         return new Promise((resolve) => setTimeout(resolve, 60_000));
       }, ${JSON.stringify(cache)});`,
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  await once(createInterface(child.stdout), 'line');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await folders()).toEqual([expect.stringMatching(/^thing\.making-/)]);
  await cached('thing', quiet, (folder) => writeFile(join(folder, 'content'), 'whole'), cache);
  expect(await folders()).toEqual(['thing']);
  expect(await readFile(join(cache, 'thing', 'content'), 'utf8')).toBe('whole');
});
