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

export interface Given {
  html: string;
  place: string;
  /** CSS beside GitHub's, for pages that break the rules; null for those that GitHub's filter is for. */
  style: string | null;
}

/** Puts rendered Markdown where GitHub puts it. */
export async function show({ html, place, style }: Given): Promise<void> {
  const box = document.querySelector('.box');
  const root = document.querySelector('.markdown-body');
  const more = document.querySelector('#more');
  if (box === null || root === null || more === null) throw new Error('the page has no place for Markdown');
  box.className = `box ${place}`;
  more.textContent = style;
  if (style === null) root.replaceChildren(sanitize(html));
  else root.innerHTML = html;
  await drawCharts(root);
  await Promise.all([...root.querySelectorAll('img')].map((image) => image.decode().catch(() => {})));
  await document.fonts.ready;
}

/** Opens every folded part; how many there are. */
export function unfold(): number {
  const folded = [...document.querySelectorAll('details')];
  for (const element of folded) element.open = true;
  return folded.length;
}

export function height(): number {
  return Math.ceil(document.querySelector('.box')?.getBoundingClientRect().height ?? 1);
}
