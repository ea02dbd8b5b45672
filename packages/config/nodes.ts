import type { YamlEntry, YamlMapping, YamlNode } from '@deploy-actions/core';

export function isNull(node: YamlNode): boolean {
  return node.kind === 'scalar' && node.value === null;
}

export function isMapping(node: YamlNode | null | undefined): node is YamlMapping {
  return node?.kind === 'mapping';
}

/** The node at a dotted path, or the null that stands in its way: without a section there is nothing of it. */
export function nodeAt(settings: YamlMapping, path: string): YamlNode | undefined {
  let node: YamlNode = settings;
  for (const key of path.split('.')) {
    if (isNull(node)) return node;
    const entry: YamlEntry | undefined = isMapping(node) ? node.entries.get(key) : undefined;
    if (entry === undefined) return undefined;
    node = entry.node;
  }
  return node;
}
