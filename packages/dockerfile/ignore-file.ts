import { posix } from 'node:path';
import { DeployError } from '@deploy-actions/core';

/*
 * What a `.dockerignore` leaves out of a build's context, by the rules of the engine: the reader of the file and the matcher of patterns
 * are those of github.com/moby/patternmatcher (0.6), and the walk is BuildKit's. No library in npm follows them: they differ in
 * `**`, in exceptions below a folder that is left out, and in trailing spaces. test/platforms/images compares it with a real builder.
 */

interface Pattern {
  /** A line that begins with `!` takes back what lines before it left out. */
  exception: boolean;
  text: string;
  matches(path: string): boolean;
}

export interface IgnoreRules {
  patterns: readonly Pattern[];
}

/** For each pattern whether it matched a folder: then it matches all that is below it. */
export type FolderMatches = readonly boolean[];

/** The lines of an ignore file that say something, as the engine reads them. */
function linesOf(text: string): string[] {
  const patterns: string[] = [];
  for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    const trimmed = line.trim();
    if (trimmed === '') continue;
    const exception = trimmed.startsWith('!');
    const written = exception ? trimmed.slice(1).trim() : trimmed;
    const cleaned = written === '' ? '' : clean(written);
    patterns.push((exception ? '!' : '') + (cleaned.length > 1 ? cleaned.replace(/^\//, '') : cleaned));
  }
  return patterns;
}

/** Without `.`, `..` and slashes that mean nothing, as Go's filepath.Clean writes paths. */
function clean(path: string): string {
  const normal = posix.normalize(path);
  return normal.length > 1 ? normal.replace(/\/$/, '') : normal;
}

/**
 * The expression that a pattern stands for. `*` and `?` stop at slashes; `**` is any number of folders, also none; at the end it is
 * everything below.
 */
function expressionOf(pattern: string): RegExp {
  let source = '';
  const characters = Array.from(pattern);
  for (let at = 0; at < characters.length; at += 1) {
    const character = characters[at] ?? '';
    const next = characters[at + 1];
    if (character === '*' && next === '*') {
      at += characters[at + 2] === '/' ? 2 : 1;
      source += at + 1 >= characters.length ? '.*' : '(?:.*/)?';
    } else if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (character === '\\') {
      at += 1;
      source += next === undefined ? '\\\\' : escaped(next);
    } else if (character === '[') {
      const end = closing(characters, at);
      source += classOf(characters.slice(at + 1, end));
      at = end;
    } else source += escaped(character);
  }
  return new RegExp(`^${source}$`, 'su');
}

const escaped = (character: string) => character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');

/** The index of the bracket that ends a class of characters. A class without an end makes the file unreadable for the engine, too. */
function closing(characters: readonly string[], from: number): number {
  for (let at = from + 1; at < characters.length; at += 1) {
    if (characters[at] === '\\') at += 1;
    else if (characters[at] === ']') {
      if (at > from + 1 + (characters[from + 1] === '^' ? 1 : 0)) return at;
      break;
    }
  }
  throw new SyntaxError('a [ without anything in it, or without its ]');
}

function classOf(inside: readonly string[]): string {
  const negated = inside[0] === '^';
  const members = inside
    .slice(negated ? 1 : 0)
    .join('')
    .replace(/\\(.)/gsu, '$1')
    .replace(/[\\^[\]]/g, '\\$&')
    .replace(/^-|-$/g, '\\-');
  return `[${negated ? '^' : ''}${members}]`;
}

function matcherOf(pattern: string): (path: string) => boolean {
  if (!/[*?[\]\\]/.test(pattern)) return (path) => path === pattern;
  // `**` before anything but a slash, with nothing else to expand, is whatever ends so.
  const end = /^\*\*(?!\/)([^*?[\]\\]+)$/.exec(pattern)?.[1];
  if (end !== undefined) return (path) => path.endsWith(end);
  const expression = expressionOf(pattern);
  return (path) => expression.test(path);
}

/** Reads an ignore file. Throws `invalid_config` for a pattern that the engine would refuse; `name` names the file. */
export function readIgnoreRules(text: string, name = '.dockerignore'): IgnoreRules {
  const patterns = linesOf(text).flatMap((line): Pattern[] => {
    const cleaned = clean(line.trim());
    const exception = cleaned.startsWith('!');
    const pattern = exception ? cleaned.slice(1) : cleaned;
    try {
      if (pattern === '') throw new SyntaxError('nothing follows the !');
      return [{ exception, text: pattern, matches: matcherOf(pattern) }];
    } catch (thrown) {
      const why = thrown instanceof Error ? thrown.message : String(thrown);
      throw new DeployError('invalid_config', `${name}: the pattern "${line}" cannot be read: ${why}.`, {
        remedy: 'Correct it.',
        cause: thrown,
      });
    }
  });
  return { patterns };
}

/**
 * Whether a path of the context is left out. `parent`: what the same said of its folder; undefined at the top. The last pattern
 * that matches decides. A pattern is not asked where it could change nothing.
 */
export function isIgnored(
  { patterns }: IgnoreRules,
  path: string,
  parent: FolderMatches | undefined,
): { ignored: boolean; matches: FolderMatches } {
  let ignored = false;
  const matches = patterns.map((pattern, index) => {
    const match = parent?.[index] === true || (pattern.exception === ignored && pattern.matches(path));
    if (match) ignored = !pattern.exception;
    return match;
  });
  return { ignored, matches };
}

/** Whether anything below a folder that is left out may be taken back. */
export function mayTakeBack({ patterns }: IgnoreRules, folder: string): boolean {
  return patterns.some(
    ({ exception, text }) =>
      exception && (/[*?[\]\\^]/.test(text.replace(/\/?\*\*$/, '')) || `${text}/`.startsWith(`${folder}/`)),
  );
}
