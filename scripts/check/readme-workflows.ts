import { globSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** The whole workflows that a page shows: text by the name that each has. */
export function workflowsIn(markdown: string): Map<string, string> {
  const blocks = markdown.matchAll(/^```yaml\n(name: (.+)\n[^]*?\n)```$/gm);
  return new Map([...blocks].map(([, text = '', name = '']) => [name, text]));
}

/** Writes the workflows that the READMEs of the examples show below a folder, where linters find them. Their paths. */
export async function writeReadmeWorkflows(root: string, folder: string): Promise<string[]> {
  const written: string[] = [];
  for (const readme of globSync('workflows-examples/*/README.md', { cwd: root }).toSorted()) {
    for (const [name, text] of workflowsIn(await readFile(join(root, readme), 'utf8'))) {
      const file = `${name.toLowerCase().replaceAll(' ', '-')}.yml`;
      const path = join(folder, dirname(readme), '.github', 'workflows', file);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, text);
      written.push(path);
    }
  }
  return written;
}
