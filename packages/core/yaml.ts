import type { Json } from './json.ts';

/**
 * Parses one YAML 1.2 document by the core schema: dates stay text, and `yes` is no boolean. Null for an empty text. Throws
 * with line and column when it is not YAML.
 */
export async function parseYaml(text: string, filename?: string): Promise<Json> {
  const { parseDocuments } = await import('./yaml-parser.ts');
  const documents = parseDocuments(text, filename);
  if (documents.length > 1)
    throw new Error(`there are ${documents.length} documents, but only one is allowed`);
  // The core schema has JSON's types alone.
  return (documents[0] ?? null) as Json;
}
