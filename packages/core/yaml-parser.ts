// A module of its own, so that it is loaded when there is YAML to read, and with no more of the library than that takes.
import { CORE_SCHEMA, loadAll } from 'js-yaml';

/** The documents of a text, by YAML 1.2's core schema. */
export function parseDocuments(text: string, filename?: string): unknown[] {
  return loadAll(text, { schema: CORE_SCHEMA, ...(filename === undefined ? {} : { filename }) });
}
