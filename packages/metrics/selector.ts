import { DeployError } from '@deploy-actions/core';
import type { Sample } from './prometheus-text.ts';

/**
 * Which series are meant, as Prometheus writes it: `name`, or `name{label="v",other=~"5..",x!="y",z!~"re"}`. A label
 * that a series does not have counts as empty. Regular expressions match the whole value and `.` matches a line
 * break, as in Prometheus; they are JavaScript's, of which RE2's common part means the same. What matches several
 * series of a counter means their sum.
 */
export interface Selector {
  text: string;
  name: string;
  matchers: Matcher[];
}

export interface Matcher {
  label: string;
  operator: '=' | '!=' | '=~' | '!~';
  value: string;
  matches: (value: string) => boolean;
}

const nameAt = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const labelAt = /[a-zA-Z_][a-zA-Z0-9_]*/y;
const operatorAt = /=~|!~|!=|=/y;
const stringAt = /"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|`([^`]*)`/y;
const blanksAt = /\s*/y;
const escapes: Record<string, string> = { '\\': '\\', '"': '"', "'": "'", n: '\n', t: '\t', r: '\r' };

/** Throws `invalid_input` that names the selector and the column of what is wrong. */
export function parseSelector(text: string): Selector {
  let at = 0;
  const wrong = (problem: string, column = at) =>
    new DeployError(
      'invalid_input',
      `The selector ${JSON.stringify(text)} is wrong at column ${column + 1}: ${problem}.`,
      {
        remedy: 'Write it as name{label="value", other=~"5.."}; the operators are =, !=, =~ and !~.',
      },
    );
  const take = (pattern: RegExp, expected: string): RegExpExecArray => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) throw wrong(`${expected} was expected`);
    at += match[0].length;
    blanksAt.lastIndex = at;
    at += blanksAt.exec(text)?.[0].length ?? 0;
    return match;
  };

  take(blanksAt, '');
  const [name] = take(nameAt, 'the name of a metric');
  const matchers: Matcher[] = [];
  if (at < text.length) {
    take(/\{/y, '{ or the end');
    while (text[at] !== '}') {
      const [label] = take(labelAt, 'the name of a label or }');
      const [operator] = take(operatorAt, 'one of =, !=, =~, !~') as unknown as [Matcher['operator']];
      const valueAt = at;
      const [, double, single, raw] = take(stringAt, 'a value in quotes');
      const value = raw ?? unescape(double ?? single ?? '', (problem) => wrong(problem, valueAt));
      matchers.push({
        label,
        operator,
        value,
        matches: matcherOf(operator, value, (problem) => wrong(problem, valueAt)),
      });
      if (text[at] !== '}') take(/,/y, ', or }');
    }
    take(/\}/y, '}');
    if (at < text.length) throw wrong('the end was expected');
  }
  return { text, name, matchers };
}

function unescape(value: string, wrong: (problem: string) => DeployError): string {
  return value.replace(/\\(.)/gs, (whole, char: string) => {
    const plain = escapes[char];
    if (plain === undefined) throw wrong(`${whole} is no escape; write \\\\ for a backslash`);
    return plain;
  });
}

function matcherOf(
  operator: Matcher['operator'],
  value: string,
  wrong: (problem: string) => DeployError,
): (value: string) => boolean {
  if (operator === '=') return (given) => given === value;
  if (operator === '!=') return (given) => given !== value;
  let pattern: RegExp;
  try {
    pattern = new RegExp(`^(?:${value})$`, 'su');
  } catch {
    throw wrong(`${JSON.stringify(value)} is no regular expression`);
  }
  return operator === '=~' ? (given) => pattern.test(given) : (given) => !pattern.test(given);
}

/**
 * The samples that are meant. `suffix` selects a part of a histogram (`_bucket`).
 *
 * Throws `metrics_unavailable` when the metric has series but none carries a label that the selector needs: with a
 * mistyped label, nothing would ever match, and "no errors" would be read from it. Likewise for a series that is
 * there twice, which would be counted twice.
 */
export function select(samples: readonly Sample[], selector: Selector, suffix = ''): Sample[] {
  const name = selector.name + suffix;
  const named = samples.filter((sample) => sample.name === name);
  for (const { label, matches } of selector.matchers) {
    if (named.length > 0 && !matches('') && !named.some(({ labels }) => labels.has(label))) {
      const known = [...new Set(named.flatMap(({ labels }) => [...labels.keys()]))];
      throw new DeployError(
        'metrics_unavailable',
        `no series of ${name} has a label ${label}; it has ${known.length === 0 ? 'none' : known.join(', ')}`,
      );
    }
  }
  const seen = new Map<string, number>();
  return named.filter((sample) => {
    if (!selector.matchers.every(({ label, matches }) => matches(sample.labels.get(label) ?? '')))
      return false;
    const key = seriesKey(sample);
    const before = seen.get(key);
    if (before !== undefined) {
      throw new DeployError(
        'metrics_unavailable',
        `line ${sample.line}: ${key} was already given in line ${before}`,
      );
    }
    seen.set(key, sample.line);
    return true;
  });
}

/** `name{a="1",b="2"}` with its labels in order: the same series has the same key. */
export function seriesKey({ name, labels }: Pick<Sample, 'name' | 'labels'>): string {
  const inOrder = [...labels].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return `${name}{${inOrder.map(([label, value]) => `${label}=${JSON.stringify(value)}`).join(',')}}`;
}
