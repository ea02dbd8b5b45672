// A page as GitHub shows Markdown: its measures and colours, in CSS of our own, and everything in one document that needs no
// network. What GitHub's filter drops is dropped in the browser, where charts are drawn, too.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { Marked } from 'marked';
import { mermaidScript } from '../../scripts/demo/mermaid.ts';

/** Where GitHub shows it: the page of a run, a pull request, the page of a check. */
export type Place = 'summary' | 'comment' | 'check';

const documents = new Marked({ gfm: true });
/** In a comment a line's end is a line's end. */
const comments = new Marked({ gfm: true, breaks: true });

export function renderMarkdown(markdown: string, place: Place): string {
  return (place === 'comment' ? comments : documents).parse(markdown, { async: false });
}

export const style = `
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --paper: #ffffff; --line: #d1d9e0; --faint-line: #d1d9e0b3;
  --shade: #f6f8fa; --code: #818b981f; --link: #0969da; }
@media (prefers-color-scheme: dark) { :root { --ink: #f0f6fc; --soft: #9198a1; --paper: #0d1117; --line: #3d444d;
  --faint-line: #3d444db3; --shade: #151b23; --code: #656c7633; --link: #4493f8; } }
* { box-sizing: border-box; }
html, body { margin: 0; background: var(--paper); }
.box { border: 1px solid var(--line); border-radius: 6px; padding: 16px; }
.markdown-body { color: var(--ink); overflow-wrap: break-word; line-height: 1.5; font-size: 16px;
  font-family: -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif, "Apple Color Emoji"; }
.comment .markdown-body, .check .markdown-body { font-size: 14px; }
.markdown-body > :first-child { margin-top: 0; }
.markdown-body > :last-child { margin-bottom: 0; }
h1, h2, h3, h4 { margin: 24px 0 16px; font-weight: 600; line-height: 1.25; }
h1 { font-size: 2em; border-bottom: 1px solid var(--faint-line); padding-bottom: .3em; }
h2 { font-size: 1.5em; border-bottom: 1px solid var(--faint-line); padding-bottom: .3em; }
h3 { font-size: 1.25em; } h4 { font-size: 1em; }
p, ul, ol, table, pre, details, blockquote { margin: 0 0 16px; }
ul, ol { padding-left: 2em; }
blockquote { padding: 0 1em; color: var(--soft); border-left: .25em solid var(--line); }
a { color: var(--link); text-decoration: underline; text-underline-offset: .2rem; }
code, pre { font-family: ui-monospace, SFMono-Regular, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
code { font-size: 85%; padding: .2em .4em; background: var(--code); border-radius: 6px; white-space: break-spaces; }
pre { font-size: 85%; line-height: 1.45; padding: 16px; overflow: auto; background: var(--shade); border-radius: 6px;
  overflow-wrap: normal; }
pre code { font-size: 100%; padding: 0; background: none; white-space: pre; }
table { display: block; width: max-content; max-width: 100%; overflow: auto; border-spacing: 0; border-collapse: collapse;
  font-variant: tabular-nums; }
th, td { padding: 6px 13px; border: 1px solid var(--line); text-align: left; }
th { font-weight: 600; }
tr { background: var(--paper); }
tr:nth-child(2n) { background: var(--shade); }
thead tr { background: var(--paper); }
img { max-width: 100%; }
summary { cursor: pointer; }
.chart { margin: 0 0 16px; text-align: center; }
.chart svg { max-width: 100%; }
.chart svg * { pointer-events: auto !important; }
`;

export interface Scripts {
  /** Draws charts. */
  mermaid: string;
  /** What is done in the page: `pages.show`, `pages.unfold`, `pages.look`. */
  page: string;
}

export async function readScripts(): Promise<Scripts> {
  const { outputFiles } = await build({
    entryPoints: [join(import.meta.dirname, 'browser/main.ts')],
    bundle: true,
    format: 'iife',
    write: false,
  });
  return { mermaid: await readFile(mermaidScript, 'utf8'), page: outputFiles[0]?.text ?? '' };
}

/** The empty page that Markdown is put into. */
export const emptyPage = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<style>${style}</style><style id="more"></style></head>
<body><div class="box"><div class="markdown-body"></div></div></body></html>`;
