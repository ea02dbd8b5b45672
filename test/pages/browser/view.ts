import { sanitize } from './sanitize.ts';

/** The part of Mermaid that is used: https://mermaid.js.org/config/usage.html */
interface Mermaid {
  initialize(options: Record<string, unknown>): void;
  render(id: string, text: string): Promise<{ svg: string }>;
}

declare global {
  var mermaid: Mermaid | undefined;
}

/** Every chart as GitHub draws it: Mermaid's own theme for the reader's, and no wider than the page. */
export async function drawCharts(root: ParentNode): Promise<void> {
  const blocks = [...root.querySelectorAll('pre > code.language-mermaid')];
  if (blocks.length === 0) return;
  if (globalThis.mermaid === undefined) throw new Error('the page has a chart, and Mermaid is not loaded');
  const { mermaid } = globalThis;
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  mermaid.initialize({
    startOnLoad: false,
    securityLevel: 'strict',
    suppressErrorRendering: true,
    theme: dark ? 'dark' : 'default',
  });
  for (const [index, code] of blocks.entries()) {
    const view = document.createElement('div');
    view.className = 'chart';
    try {
      const { svg } = await mermaid.render(`chart-${index}`, code.textContent);
      view.innerHTML = svg;
    } catch (thrown) {
      view.dataset['error'] = thrown instanceof Error ? thrown.message : String(thrown);
    }
    code.parentElement?.replaceWith(view);
  }
}

/** Puts rendered Markdown where GitHub puts it. `raw` leaves out what GitHub's filter does: for pages that break the rules. */
export async function show(html: string, raw: boolean): Promise<void> {
  const root = document.querySelector('.markdown-body');
  if (root === null) throw new Error('the page has no place for Markdown');
  if (raw) root.innerHTML = html;
  else root.replaceChildren(sanitize(html));
  await drawCharts(root);
  await document.fonts.ready;
}

export function fold(open: boolean): void {
  for (const element of document.querySelectorAll('details')) element.open = open;
}
