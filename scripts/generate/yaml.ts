import { dump } from 'js-yaml';

/** A generated YAML file: a line that says what to edit instead, then the document. */
export function yamlFile(source: string, document: object): string {
  return `# Generated from ${source} by \`npm run gen\`.\n${dump(document, { lineWidth: -1, noRefs: true })}`;
}
