import { realpathSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path';
import {
  type Json,
  messageOf,
  parseDuration,
  parseEnvironmentLines,
  parseImageReference as parseImage,
  parseYaml,
} from '@deploy-actions/core';
import type { ImageReference, InputSpec } from './definition.ts';

/** A value, or why there is none: what is wrong and what is allowed. */
export type Parsed = { value: unknown } | { problem: string };

const problem = (text: string): Parsed => ({ problem: text });

/** Splits a command line as a POSIX shell does, without expanding anything. Undefined when a quote is not closed. */
export function splitCommand(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote: '"' | "'" | undefined;
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index);
    if (quote === undefined && /\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (quote === undefined && (character === '"' || character === "'")) {
      quote = character;
      word ??= '';
    } else if (character === quote) {
      quote = undefined;
    } else if (character === '\\' && quote !== "'") {
      index += 1;
      if (index >= text.length) return undefined;
      word = (word ?? '') + text.charAt(index);
    } else {
      word = (word ?? '') + character;
    }
  }
  if (quote !== undefined) return undefined;
  if (word !== undefined) words.push(word);
  return words;
}

export function parseImageReference(text: string): ImageReference | undefined {
  const parsed = parseImage(text);
  return (
    parsed && { repository: parsed.name, tag: parsed.tag ?? undefined, digest: parsed.digest ?? undefined }
  );
}

function parseInteger(text: string, min: number, max: number): number | undefined {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) && value >= min && value <= max ? value : undefined;
}

function rangeOf(min: number, max: number): string {
  if (Number.isFinite(min) && Number.isFinite(max)) return `a whole number from ${min} to ${max}`;
  if (Number.isFinite(min)) return `a whole number of at least ${min}`;
  return 'a whole number';
}

function items(text: string, separator = /[\n,]/): string[] {
  return text
    .split(separator)
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function mapOf(text: string): Parsed {
  const lines = parseEnvironmentLines(text);
  return 'problem' in lines ? lines : { value: lines.values };
}

/** The path with every symbolic link resolved, as far as it exists. */
function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : resolve(realPath(parent), relative(parent, path));
  }
}

/** Whether a path stays below a folder, symbolic links that exist taken into account. */
function isInside(folder: string, path: string): boolean {
  const below = relative(realPath(folder), realPath(path));
  return below !== '..' && !below.startsWith(`..${sep}`) && !isAbsolute(below);
}

/** Parses what a user wrote for one input. `text` is trimmed and not empty. */
export async function parseValue(spec: InputSpec, text: string, workspace: string): Promise<Parsed> {
  switch (spec.kind) {
    case 'string':
      return spec.pattern !== undefined && !spec.pattern.test(text)
        ? problem(`is not allowed; allowed is ${spec.allowed ?? String(spec.pattern)}`)
        : { value: text };
    case 'secret':
      return { value: text };
    case 'boolean':
      if (/^true$/i.test(text)) return { value: true };
      if (/^false$/i.test(text)) return { value: false };
      return problem('is neither true nor false; allowed are `true` and `false`');
    case 'integer': {
      const [min, max] = [spec.min ?? -Infinity, spec.max ?? Infinity];
      const value = parseInteger(text, min, max);
      return value === undefined ? problem(`is not allowed; allowed is ${rangeOf(min, max)}`) : { value };
    }
    case 'integers': {
      const values = items(text).map((item) => parseInteger(item, spec.min, spec.max));
      return values.length === 0 || values.includes(undefined)
        ? problem(`is not allowed; allowed is a list such as 20,40,60 of ${rangeOf(spec.min, spec.max)} each`)
        : { value: values };
    }
    case 'percentage': {
      const match = /^(\d+(?:\.\d+)?)\s*%?$/.exec(text);
      const value = match === null ? Number.NaN : Number(match[1]);
      return value >= 0 && value <= 100
        ? { value }
        : problem('is not a percentage; allowed is a number from 0 to 100, with or without %');
    }
    case 'duration': {
      const value = parseDuration(text);
      const limits = [
        spec.min === undefined ? '' : `at least ${spec.min}`,
        spec.max === undefined ? '' : `at most ${spec.max}`,
      ].filter((limit) => limit !== '');
      const allowed = ['allowed is a duration such as 90s, 10m or 1h30m', ...limits].join(', ');
      if (value === undefined) return problem(`is not a duration; ${allowed}`);
      const [min, max] = [parseDuration(spec.min ?? '0') ?? 0, parseDuration(spec.max ?? '') ?? Infinity];
      return value < min || value > max ? problem(`is out of range; ${allowed}`) : { value };
    }
    case 'enum':
      return spec.values.includes(text)
        ? { value: text }
        : problem(`is not known; allowed are ${spec.values.map((value) => `\`${value}\``).join(', ')}`);
    case 'list': {
      const byLine = spec.separator === 'lines';
      const value = items(text, byLine ? /\n/ : undefined);
      if (value.length === 0)
        return problem(
          `has no item; allowed is a list, separated by ${byLine ? 'lines' : 'commas or lines'}`,
        );
      const { pattern } = spec;
      return pattern === undefined || value.every((item) => pattern.test(item))
        ? { value }
        : problem(`has an item that is not allowed; allowed is ${spec.allowed ?? String(pattern)}`);
    }
    case 'map':
      return mapOf(text);
    case 'command': {
      const words = splitCommand(text);
      return words === undefined || words.length === 0
        ? problem('has a quote that is not closed; allowed is a command line as in a shell')
        : { value: words };
    }
    case 'image': {
      const value = parseImageReference(text);
      return value === undefined
        ? problem('is not an image reference; allowed is registry[:port]/path[:tag][@sha256:digest]')
        : { value };
    }
    case 'images': {
      const values = items(text).map(parseImageReference);
      return values.length === 0 || values.includes(undefined)
        ? problem(
            'is no image reference, or has an item that is none; allowed is registry[:port]/path[:tag][@sha256:digest], several separated by commas or lines',
          )
        : { value: values };
    }
    case 'path': {
      if (text.includes('\0')) return problem('holds a NUL character; allowed is a path');
      const path = resolve(workspace, text.replace(/^~(?=\/|$)/, homedir()));
      return spec.within === 'workspace' && !isInside(workspace, path)
        ? problem('leaves the workspace; allowed is a path inside it')
        : { value: path };
    }
    case 'url': {
      // Without the slashes, `http:host` would be one, too.
      const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
      return url !== null ? { value: url } : problem('is not a URL; allowed is http://… or https://…');
    }
    case 'json':
      try {
        return { value: JSON.parse(text) as Json };
      } catch (thrown) {
        return problem(`is not JSON (${messageOf(thrown)}); allowed is one JSON value`);
      }
    case 'yaml':
      try {
        return { value: await parseYaml(text) };
      } catch (thrown) {
        return problem(`is not YAML (${messageOf(thrown).split('\n')[0]}); allowed is one YAML document`);
      }
  }
}
