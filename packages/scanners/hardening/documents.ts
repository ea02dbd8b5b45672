import {
  readYaml,
  type YamlEntry,
  type YamlMapping,
  type YamlNode,
  type YamlProblem,
} from '@deploy-actions/core';

/** One of the documents of a YAML file; lines are counted from its beginning, `offset` are the lines before it. */
export interface Document {
  root: YamlNode | null;
  offset: number;
  problems: YamlProblem[];
}

/**
 * The documents of a file, with their places. A line that begins with `---` begins a document wherever it stands: inside of block text
 * it would end that, too (https://yaml.org/spec/1.2.2/#912-document-markers).
 */
export async function readDocuments(text: string): Promise<Document[]> {
  const chunks: { offset: number; lines: string[] }[] = [{ offset: 0, lines: [] }];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^---(?:\s|$)/.test(line)) chunks.push({ offset: index, lines: [line.replace(/^---/, '   ')] });
    else chunks.at(-1)?.lines.push(line);
  }
  const documents: Document[] = [];
  for (const { offset, lines } of chunks) {
    const { root, problems } = await readYaml(lines.join('\n'));
    const moved = problems.map(({ place, message }) => ({
      place: { ...place, line: place.line + offset },
      message,
    }));
    if (root !== null || moved.length > 0) documents.push({ root, offset, problems: moved });
  }
  return documents;
}

/** An entry of a mapping, or of what is merged into it by `<<`, as Compose files have it. */
export function entryOf(node: YamlNode | undefined, key: string): YamlEntry | undefined {
  if (node?.kind !== 'mapping') return undefined;
  const own = node.entries.get(key);
  if (own !== undefined) return own;
  const merged = node.entries.get('<<')?.node;
  for (const each of merged?.kind === 'list' ? merged.items : merged === undefined ? [] : [merged]) {
    const found = entryOf(each, key);
    if (found !== undefined) return found;
  }
  return undefined;
}

export function nodeOf(node: YamlNode | undefined | null, ...path: string[]): YamlNode | undefined {
  let at = node ?? undefined;
  for (const key of path) at = entryOf(at, key)?.node;
  return at;
}

/** The text of a scalar; undefined for anything else, and for null. */
export function textOf(node: YamlNode | undefined | null, ...path: string[]): string | undefined {
  const found = nodeOf(node, ...path);
  return found?.kind === 'scalar' && found.value !== null ? found.text : undefined;
}

/** Whether a scalar is true or false in any spelling that Kubernetes and Compose take for it; undefined for anything else. */
export function flagOf(node: YamlNode | undefined | null, ...path: string[]): boolean | undefined {
  const text = textOf(node, ...path)?.toLowerCase() ?? '';
  if (['true', 'yes', 'on', 'y'].includes(text)) return true;
  return ['false', 'no', 'off', 'n'].includes(text) ? false : undefined;
}

export function itemsOf(node: YamlNode | undefined | null, ...path: string[]): YamlNode[] {
  const found = nodeOf(node, ...path);
  return found?.kind === 'list' ? found.items : [];
}

export function entriesOf(node: YamlNode | undefined | null, ...path: string[]): [string, YamlEntry][] {
  const found = nodeOf(node, ...path);
  return found?.kind === 'mapping' ? [...found.entries] : [];
}

export function isMapping(node: YamlNode | undefined | null): node is YamlMapping {
  return node?.kind === 'mapping';
}
