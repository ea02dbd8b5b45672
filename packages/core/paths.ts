import { isAbsolute, relative, sep } from 'node:path';

/** A path relative to the folder that it lies in, with slashes; empty for the folder itself, undefined for what is not below it. */
export function pathBelow(folder: string, path: string): string | undefined {
  const below = relative(folder, path);
  const leaves = below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below);
  return leaves ? undefined : below.split(sep).join('/');
}
