import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Metafile } from 'esbuild';

const allowed = ['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', '0BSD'];

/** The folders of packages of which at least one byte is in the output. */
function bundledPackages(metafiles: Metafile[]): string[] {
  const packages = metafiles
    .flatMap(({ outputs }) => Object.values(outputs))
    .flatMap(({ inputs }) => Object.entries(inputs))
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .map(([path]) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0])
    .filter((path) => path !== undefined);
  return [...new Set(packages)].toSorted();
}

async function licenseOf(root: string, path: string): Promise<{ title: string; text: string }> {
  const { name, version, license } = JSON.parse(await readFile(join(root, path, 'package.json'), 'utf8')) as {
    name: string;
    version: string;
    license?: string;
  };
  if (license === undefined || !allowed.includes(license)) {
    throw new Error(
      `${name} ${version} is in the bundle under ${license ?? 'no licence'}; allowed are ${allowed.join(', ')}`,
    );
  }
  const file = (await readdir(join(root, path))).find((entry) =>
    /^licen[cs]e(?:\.(?:md|txt))?$/i.test(entry),
  );
  if (file === undefined)
    throw new Error(`${name} ${version} is in the bundle, but its package has no licence text`);
  const text = (await readFile(join(root, path, file), 'utf8')).replaceAll('\r\n', '\n').trim();
  return { title: `${name} ${version} (${license})`, text };
}

/** The licences of everything that others wrote in the bundle. Throws when one is unknown or has no text. */
export async function licenses(root: string, metafiles: Metafile[]): Promise<string> {
  const found = await Promise.all(bundledPackages(metafiles).map((path) => licenseOf(root, path)));
  const line = '-'.repeat(78);
  return [
    'deploy-actions contains code of these packages.\n',
    ...found.map(({ title, text }) => `${line}\n${title}\n${line}\n\n${text}\n`),
  ].join('\n');
}
