// Opens Markdown in a browser as GitHub would show it, looks at it at each width and in each theme, and takes pictures.

import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { emptyPage, type Place, renderMarkdown, type Scripts } from './github-page.ts';
import type { Look } from './problem.ts';

const desktop = 1012;
export const widths = [desktop, 375] as const;
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
  /** Where pictures go; without, none are taken. */
  pictures?: string;
  /** HTML that is shown as it is, in place of Markdown, and CSS beside GitHub's: for pages that break the rules. */
  raw?: { html: string; style: string };
}

export interface Viewer {
  /** One page at every width and in every theme. */
  view(shown: Shown, options?: ViewOptions): Promise<Seen[]>;
}

async function takePicture(page: Page, path: string): Promise<void> {
  const width = page.viewportSize()?.width ?? 0;
  const height = await page.evaluate<number>('pages.height()');
  await page.evaluate('scrollTo(0, 0)');
  const clip = { x: 0, y: 0, width, height: Math.min(height, tallest) };
  await page.screenshot({ path, fullPage: true, clip, animations: 'disabled' });
}

/** Has a page at each width, in which one after another is shown: to load Mermaid each time would take longer than all else. */
export async function createViewer(browser: Browser, scripts: Scripts): Promise<Viewer> {
  const open = async (width: number): Promise<Page> => {
    const page = await browser.newPage({ viewport: { width, height: 900 }, reducedMotion: 'reduce' });
    await page.setContent(emptyPage);
    for (const content of [scripts.mermaid, scripts.page]) await page.addScriptTag({ content });
    return page;
  };
  const pages = await Promise.all(widths.map(async (width) => ({ width, page: await open(width) })));

  async function viewAt(page: Page, width: number, shown: Shown, options: ViewOptions): Promise<Seen[]> {
    const { pictures, raw } = options;
    const { name, place, markdown, hostile = false } = shown;
    const given = { html: raw?.html ?? renderMarkdown(markdown, place), place, style: raw?.style ?? null };
    const seen: Seen[] = [];
    for (const theme of themes) {
      const picture = async (state = '') => {
        if (pictures === undefined) return;
        await takePicture(page, join(pictures, `${name}-${width}-${theme}${state}.png`));
      };
      await page.emulateMedia({ colorScheme: theme });
      await page.evaluate(`pages.show(${JSON.stringify(given)})`);
      await picture();
      const folded = await page.evaluate<number>('pages.unfold()');
      if (folded > 0) await picture('-open');
      const tablesScroll = width < desktop || hostile;
      const look = await page.evaluate<Look>(`pages.look(${JSON.stringify({ tablesScroll })})`);
      seen.push({ width, theme, look });
    }
    return seen;
  }

  return {
    async view(shown, options = {}) {
      const seen = await Promise.all(pages.map(({ width, page }) => viewAt(page, width, shown, options)));
      return seen.flat();
    },
  };
}

/** Of one rule in one look so many are told one by one. */
const told = 3;

/** What was found in a look, a line each: page, width, theme, rule, element, and what was measured. */
export function describeLook(name: string, { width, theme, look }: Seen): string[] {
  const lines: string[] = [];
  for (const [rule, problems] of Object.entries(Object.groupBy(look.problems, (problem) => problem.rule))) {
    const where = `${name} at ${width} px, ${theme}: ${rule}:`;
    for (const { element, measured } of problems.slice(0, told))
      lines.push(`${where} ${element}: ${measured}`);
    if (problems.length > told) lines.push(`${where} and ${problems.length - told} more`);
  }
  return lines;
}
