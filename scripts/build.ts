// npm run build                  renews what is generated, then makes dist: the tree of a version tag
// npm run build -- --out FOLDER  makes it elsewhere and writes nothing else
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { overBudget, sizes } from './build/budget.ts';
import { licenses } from './build/licenses.ts';
import { pack } from './build/pack.ts';
import { shake } from './build/shake.ts';
import { writeTree } from './build/tree.ts';
import { generatedFiles } from './generate/files.ts';
import { renew } from './gen.ts';

const root = join(import.meta.dirname, '..');

/** The bundle of all actions, and programs that outlive an action: each one file, so that it can be copied to where it stays. */
const entries = { index: 'actions/main.ts', proxy: 'packages/proxy/main.ts' };

/** dist as the sources say it: text by path. Depends on nothing but the sources and the locked packages. */
export async function distTree(): Promise<Map<string, string>> {
  // At the same place seen from ncc wherever the clone is: the numbers of modules come from the paths between the two.
  const cache = join(root, 'node_modules/.cache');
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'build-'));
  try {
    const tree = new Map<string, string>();
    const metafiles = [];
    for (const [name, entry] of Object.entries(entries)) {
      const directory = join(work, name);
      metafiles.push(await shake(root, entry, directory));
      const files = await pack(root, directory);
      if (name !== 'index' && files.size > 1)
        throw new Error(`${entry} loads code lazily, but has to be one file`);
      for (const [file, text] of files) {
        tree.set(`bundle/${file === 'index.mjs' ? `${name}.mjs` : file}`, text);
      }
    }
    tree.set('licenses.txt', await licenses(root, metafiles));
    tree.set('LICENSE', await readFile(join(root, 'LICENSE'), 'utf8'));
    tree.set('package.json', '{ "type": "module" }\n');
    for (const [path, text] of await generatedFiles(root)) {
      if (path.startsWith('dist/')) tree.set(path.slice('dist/'.length), text);
    }
    return tree;
  } finally {
    await rm(work, { recursive: true });
  }
}

if (import.meta.main) {
  const out = process.argv.indexOf('--out');
  const directory = out < 0 ? join(root, 'dist') : resolve(process.argv[out + 1] ?? '');
  if (out < 0) for (const path of await renew()) if (!path.startsWith('dist/')) console.log(`wrote ${path}`);
  const tree = await distTree();
  for (const change of await writeTree(directory, tree))
    console.log(
      change
        .replace(/ (?:differs|is missing)$/, ' written')
        .replace(/ is not made by the build$/, ' removed'),
    );
  const { bytes, tarball } = sizes(tree);
  console.log(`${tree.size} files, ${bytes} bytes, ${tarball} as a gzipped tarball`);
  for (const problem of overBudget(tree)) {
    console.error(problem);
    process.exitCode = 1;
  }
}
