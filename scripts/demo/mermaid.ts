import { createRequire } from 'node:module';

/** Draws the charts of the page: one script without dependencies, embedded so that the page needs no network. */
export const mermaidScript = createRequire(import.meta.url).resolve('@mermaid-js/tiny/dist/mermaid.tiny.js');
