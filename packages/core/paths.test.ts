import { expect, it } from 'vitest';
import { pathBelow } from './paths.ts';

it.each([
  ['/runner', '/runner', ''],
  ['/runner', '/runner/a/b', 'a/b'],
  ['/runner', '/runner/..hidden', '..hidden'],
  ['/runner', '/runners', undefined],
  ['/runner', '/', undefined],
  ['a', 'a/b', 'b'],
  ['.', '../b', undefined],
])('below %s, %s is %j', (folder, path, below) => {
  expect(pathBelow(folder, path)).toBe(below);
});
