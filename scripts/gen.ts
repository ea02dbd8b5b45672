// npm run gen            writes what is generated from the definitions of the actions
// npm run gen -- --check compares only, and names what is stale
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { generatedFiles } from './generate/files.ts';

const root = join(import.meta.dirname, '..');

/** Paths whose text is not what the definitions say. */
export async function staleFiles(): Promise<Map<string, string>> {
  const stale = new Map<string, string>();
  for (const [path, text] of await generatedFiles(root)) {
    const current = await readFile(join(root, path), 'utf8').catch(() => undefined);
    if (current !== text) stale.set(path, text);
  }
  return stale;
}

/** Writes what is stale; the paths that were. */
export async function renew(): Promise<string[]> {
  const stale = await staleFiles();
  for (const [path, text] of stale) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  return [...stale.keys()];
}

if (import.meta.main) {
  if (process.argv.includes('--check')) {
    const stale = [...(await staleFiles()).keys()];
    for (const path of stale)
      console.error(`${path} is not what the definitions say; renew it with: npm run gen`);
    if (stale.length > 0) process.exitCode = 1;
  } else {
    const written = await renew();
    console.log(
      written.length === 0
        ? 'Everything generated is current.'
        : written.map((path) => `wrote ${path}`).join('\n'),
    );
  }
}
