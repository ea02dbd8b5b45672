import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { transform } from 'esbuild';

/**
 * What ncc makes of `directory`/index.mjs: text by file name. It runs in that directory, because it numbers modules and chunks
 * by their paths relative to where it runs. ncc leaves its own runtime and the chunks as they are, so they are minified after.
 */
export async function pack(root: string, directory: string): Promise<Map<string, string>> {
  const ncc = join(root, 'node_modules/@vercel/ncc/dist/ncc/cli.js');
  await promisify(execFile)(
    process.execPath,
    [ncc, 'build', 'index.mjs', '--out', 'packed', '--no-cache', '--quiet', '--target', 'es2024'],
    { cwd: directory },
  );
  const packed = join(directory, 'packed');
  const files = new Map<string, string>();
  for (const name of (await readdir(packed)).toSorted()) {
    if (!/^(?:\d+\.)?index\.mjs$/.test(name)) {
      throw new Error(
        `ncc made ${name} beside the bundle; the build would have to ship it, and does not know what it is`,
      );
    }
    const { code } = await transform(await readFile(join(packed, name), 'utf8'), {
      format: 'esm',
      platform: 'node',
      target: 'node24',
      minify: true,
      legalComments: 'none',
    });
    files.set(name, code);
  }
  return files;
}
