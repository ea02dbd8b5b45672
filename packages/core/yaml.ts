import type { Json } from './json.ts';

/**
 * Parses one YAML 1.2 document by the core schema: dates stay text, and `yes` is no boolean. Null for an empty text. Throws
 * with line and column when it is not YAML.
 */
export async function parseYaml(text: string, filename?: string): Promise<Json> {
  const { CORE_SCHEMA, load } = await import('./yaml-parser.ts');
  const document = load(text, { schema: CORE_SCHEMA, ...(filename === undefined ? {} : { filename }) });
  // The core schema has JSON's types alone.
  return (document ?? null) as Json;
}
