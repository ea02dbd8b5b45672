// Opens Markdown in a browser as GitHub would show it, looks at it at each width and in each theme, and takes pictures.

import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { emptyPage, type Place, renderMarkdown, type Scripts } from './github-page.ts';
import type { Look, Problem } from './problem.ts';

export const widths = [1012, 375] as const;
export const themes = ['light', 'dark'] as const;
/** Higher than this a picture is cut. */
const tallest = 6_000;

export interface Shown {
  name: string;
  place: Place;
  markdown: string;
  /** Its content is long on purpose: its tables may scroll on a desktop, too. */
  hostile?: boolean;
}

export interface Seen {
  width: number;
  theme: string;
  look: Look;
}

export interface ViewOptions {
  browser: Browser;
  scripts: Scripts;
  /** Where pictures go; without, none are taken. */
  pictures?: string;
  /** HTML that is shown as it is, in place of Markdown, and CSS beside GitHub's: for pages that break the rules. */
  raw?: { html: string; style: string };
}

async function open(
  options: ViewOptions,
  shown: Shown,
  width: number,
  theme: 'light' | 'dark',
): Promise<Page> {
  const { browser, scripts, raw } = options;
  const page = await browser.newPage({
    viewport: { width, height: 900 },
    colorScheme: theme,
    reducedMotion: 'reduce',
  });
  await page.setContent(emptyPage(shown.place, raw?.style));
  const html = raw?.html ?? renderMarkdown(shown.markdown, shown.place);
  if (html.includes('language-mermaid')) await page.addScriptTag({ content: scripts.mermaid });
  await page.addScriptTag({ content: scripts.page });
  await page.evaluate(`pages.show(${JSON.stringify(html)}, ${raw !== undefined})`);
  return page;
}

async function picture(page: Page, width: number, path: string): Promise<void> {
  const height = await page.evaluate<number>('document.documentElement.scrollHeight');
  await page.evaluate('scrollTo(0, 0)');
  await page.screenshot({
    path,
    fullPage: true,
    clip: { x: 0, y: 0, width, height: Math.min(Math.max(1, height), tallest) },
    animations: 'disabled',
  });
}

/** One page at every width and in every theme. */
export async function view(shown: Shown, options: ViewOptions): Promise<Seen[]> {
  const seen: Seen[] = [];
  for (const width of widths) {
    for (const theme of themes) {
      const page = await open(options, shown, width, theme);
      try {
        const file = (state: string) =>
          join(options.pictures ?? '', `${shown.name}-${width}-${theme}${state}.png`);
        if (options.pictures !== undefined) await picture(page, width, file(''));
        await page.evaluate('pages.fold(true)');
        const tablesScroll = width < 1000 || shown.hostile === true;
        const look = await page.evaluate<Look>(`pages.look(${JSON.stringify({ tablesScroll })})`);
        if (options.pictures !== undefined && /<details/.test(shown.markdown))
          await picture(page, width, file('-open'));
        seen.push({ width, theme, look });
      } finally {
        await page.close();
      }
    }
  }
  return seen;
}

export function describe(
  shown: { name: string },
  { width, theme }: Seen,
  { rule, element, measured }: Problem,
): string {
  return `${shown.name} at ${width} px, ${theme}: ${rule}: ${element}: ${measured}`;
}
