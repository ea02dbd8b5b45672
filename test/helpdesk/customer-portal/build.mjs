// node build.mjs [FOLDER]: the site in FOLDER, by default dist.
//
// Scripts and styles are named for their content, so that browsers may keep them for ever, and a page of the version before still finds
// its own beside the new ones where both are served. VERSION is required: the page and /health/ show it.

import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { build } from 'esbuild';

const version = process.env.VERSION ?? '';
if (!/^[\w.+-]{1,128}$/.test(version)) {
  console.error('VERSION is required: letters, digits, dots, dashes, underscores and plus signs');
  process.exit(2);
}
const here = import.meta.dirname;
const target = process.argv[2] ?? join(here, 'dist');

await rm(target, { recursive: true, force: true });
await mkdir(target, { recursive: true });
const { metafile } = await build({
  entryPoints: [join(here, 'src/portal.ts'), join(here, 'src/portal.css')],
  outdir: join(target, 'assets'),
  entryNames: '[name]-[hash]',
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  define: { 'process.env.VERSION': JSON.stringify(version) },
  metafile: true,
  logLevel: 'warning',
});

const files = Object.keys(metafile.outputs).map((path) => basename(path));
let page = await readFile(join(here, 'src/index.html'), 'utf8');
for (const name of ['portal.css', 'portal.js']) {
  const [stem, extension] = name.split('.');
  const made = files.find((file) => file.startsWith(`${stem}-`) && file.endsWith(`.${extension}`));
  if (made === undefined || page.split(`/assets/${name}`).length !== 2)
    throw new Error(`src/index.html has to name /assets/${name} once`);
  page = page.replace(`/assets/${name}`, `/assets/${made}`);
}
await writeFile(join(target, 'index.html'), page);
await writeFile(join(target, 'health.json'), `${JSON.stringify({ status: 'healthy', version })}\n`);
await cp(join(here, 'src/favicon.svg'), join(target, 'favicon.svg'));
