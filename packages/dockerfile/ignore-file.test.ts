import { describe, expect, it } from 'vitest';
import { type FolderMatches, isIgnored, mayTakeBack, readIgnoreRules } from './ignore-file.ts';

/** The paths that are left out, asked as a walk asks: folders before what is in them. */
function ignoredOf(file: string, paths: string[]): string[] {
  const rules = readIgnoreRules(file);
  return paths.filter((path) => {
    const parts = path.split('/');
    let matches: FolderMatches | undefined;
    let ignored = false;
    for (const index of parts.keys())
      ({ ignored, matches } = isIgnored(rules, parts.slice(0, index + 1).join('/'), matches));
    return ignored;
  });
}

// What is expected was answered by github.com/moby/patternmatcher 0.6.1.
describe('an ignore file', () => {
  it.each<[string, string[], string[]]>([
    ['node_modules', ['node_modules/a/b', 'web/node_modules/a'], ['node_modules/a/b']],
    ['**/node_modules', ['node_modules/a', 'web/node_modules/a'], ['node_modules/a', 'web/node_modules/a']],
    ['*.md\n!README.md', ['README.md', 'a.md', 'docs/a.md'], ['a.md']],
    ['**/*.pyc', ['a.pyc', 'x/y/a.pyc', 'a.py'], ['a.pyc', 'x/y/a.pyc']],
    ['docs\n!docs/keep', ['docs/a', 'docs/keep/b'], ['docs/a']],
    ['*\n!src\n!package.json', ['src/a/b', 'package.json', 'x/y'], ['x/y']],
    ['docs/**', ['docs', 'docs/a', 'docsx/a'], ['docs/a']],
    ['/dist/', ['dist/a', 'x/dist/a'], ['dist/a']],
    ['a/**/b', ['a/b', 'a/x/y/b', 'ab'], ['a/b', 'a/x/y/b']],
    ['# no\n  build  \n', ['build/x', '# no'], ['build/x']],
    ['temp?', ['tempa', 'temp', 'temp/a'], ['tempa']],
    ['[ab].txt\n[^x].md', ['a.txt', 'c.txt', 'x.md', 'y.md'], ['a.txt', 'y.md']],
    ['**.log', ['a.log', 'x/y/b.log', 'log'], ['a.log', 'x/y/b.log']],
    ['.env*\n!.env.example', ['.env', '.env.local', '.env.example'], ['.env', '.env.local']],
    ['a.b\n(c)', ['a.b', 'axb', '(c)', 'c'], ['a.b', '(c)']],
  ])('%j of %j leaves out %j', (file, paths, ignored) => {
    expect(ignoredOf(file, paths)).toEqual(ignored);
  });

  it('says where it cannot be read', () => {
    expect(() => readIgnoreRules('ok\n[a', 'web.dockerignore')).toThrow(
      /web\.dockerignore: the pattern "\[a"/,
    );
    expect(() => readIgnoreRules('!')).toThrow('nothing follows');
  });

  it('has a folder that is left out walked only for exceptions that may be in it', () => {
    const rules = readIgnoreRules('*\n!src/app');
    expect(mayTakeBack(rules, 'src')).toBe(true);
    expect(mayTakeBack(rules, 'node_modules')).toBe(false);
    expect(mayTakeBack(readIgnoreRules('*\n!**/*.py'), 'node_modules')).toBe(true);
    expect(mayTakeBack(readIgnoreRules('*'), 'src')).toBe(false);
  });
});
