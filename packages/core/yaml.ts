import type { Json } from './json.ts';

/** Line and column of a character, both from 1. A column is a character: neither a byte nor half of an emoji. */
export interface Place {
  line: number;
  column: number;
}

export interface YamlScalar {
  kind: 'scalar';
  place: Place;
  value: null | boolean | number | string;
  /** As it is written, without quotes: a version `1.10` is the number 1.1, and this text. */
  text: string;
}

export interface YamlList {
  kind: 'list';
  place: Place;
  items: YamlNode[];
}

export interface YamlMapping {
  kind: 'mapping';
  place: Place;
  /** In the order of the text. A Map, because `constructor` is a key like any other. */
  entries: ReadonlyMap<string, YamlEntry>;
}

export interface YamlEntry {
  /** Of the key. */
  place: Place;
  node: YamlNode;
}

/** A value with its place. What an alias stands for has the place of the alias, and what is in it the place of the anchor's. */
export type YamlNode = YamlScalar | YamlList | YamlMapping;

export interface YamlProblem {
  place: Place;
  message: string;
}

export interface YamlDocument {
  /** Null when there is nothing, or nothing that could be read. */
  root: YamlNode | null;
  /** In the order of the text. With one, `root` is what could be made of the rest. */
  problems: YamlProblem[];
}

/**
 * Reads one YAML 1.2 document by the core schema (https://yaml.org/spec/1.2.2/#103-core-schema), with the place of everything: dates
 * stay text, `yes` is no boolean. A key that is there twice, a second document, an unknown tag or anchor, and aliases that
 * blow up are problems. Never throws.
 */
export async function readYaml(text: string): Promise<YamlDocument> {
  const { compose } = await import('./yaml-composer.ts');
  return compose(text);
}

/**
 * The same for a text of several documents, divided by `---`. One of which nothing is written is null, with the place where its
 * content would be. After a mistake in the syntax there is one document, with the problem alone. Never throws.
 */
export async function readYamlDocuments(text: string): Promise<YamlDocument[]> {
  const { composeAll } = await import('./yaml-composer.ts');
  return composeAll(text);
}

/** The value without its places. */
export function jsonOf(node: YamlNode): Json {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'list':
      return node.items.map(jsonOf);
    case 'mapping':
      return Object.fromEntries(Array.from(node.entries, ([key, { node: value }]) => [key, jsonOf(value)]));
  }
}

/** The same as data alone; null for an empty text. Throws with line and column of the first problem. */
export async function parseYaml(text: string): Promise<Json> {
  const { root, problems } = await readYaml(text);
  const [first] = problems;
  if (first !== undefined) throw new Error(`${first.place.line}:${first.place.column}: ${first.message}`);
  return root === null ? null : jsonOf(root);
}
