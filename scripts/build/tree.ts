import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';

/** Every file below a folder: text by path relative to it. */
export async function readTree(directory: string): Promise<Map<string, string>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(
      files
        .toSorted()
        .map(async (file): Promise<[string, string]> => [
          relative(directory, file),
          await readFile(file, 'utf8'),
        ]),
    ),
  );
}

/** How a folder differs from what it should be, a line a file. */
export function differences(actual: Map<string, string>, wanted: Map<string, string>): string[] {
  return [...new Set([...actual.keys(), ...wanted.keys()])].toSorted().flatMap((path) => {
    if (!wanted.has(path)) return [`${path} is not made by the build`];
    if (!actual.has(path)) return [`${path} is missing`];
    return actual.get(path) === wanted.get(path) ? [] : [`${path} differs`];
  });
}

/** Makes a folder have these files and no others. What is right already is not touched. */
export async function writeTree(directory: string, wanted: Map<string, string>): Promise<string[]> {
  await mkdir(directory, { recursive: true });
  const actual = await readTree(directory);
  const changed = differences(actual, wanted);
  for (const [path, text] of wanted) {
    if (actual.get(path) === text) continue;
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
  for (const path of actual.keys()) if (!wanted.has(path)) await rm(join(directory, path));
  return changed;
}
