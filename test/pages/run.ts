// npm run test:pages                   what the product writes for GitHub, rendered as GitHub does and held against the rules
//   -- --out FOLDER                    pictures go there; without, to a new temporary folder
//   -- --page NAME                     pages whose names begin so alone; those before it are written all the same
//   -- --dist FOLDER                   another build
//   -- --json FILE                     how many passed, for machines
//
// About a minute. First bad pages, one for each rule, show that the checker can fail. Needs a Chromium, and installs Debian's
// when it is run by root.

import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Browser } from 'playwright-core';
import { endHostsOnSignals } from '../support/host.ts';
import { badPages, goodPage } from './bad-pages.ts';
import { requireChromium, startChromium } from './chromium.ts';
import { readScripts } from './github-page.ts';
import { createStage } from './outcomes.ts';
import { pages } from './pages.ts';
import { rules } from './problem.ts';
import { createViewer, describeLook, type Shown, type Viewer } from './viewer.ts';

const { values: options } = parseArgs({
  options: {
    out: { type: 'string' },
    page: { type: 'string', default: '' },
    dist: { type: 'string' },
    json: { type: 'string' },
  },
});

/** Seconds for the outcome that a page shows. */
const longest = 90;
const counts = { passed: 0, failed: 0 };
const say = (text: string) => void process.stdout.write(`${text}\n`);

function tell(name: string, failures: string[], about = ''): void {
  counts[failures.length === 0 ? 'passed' : 'failed'] += 1;
  say(`${failures.length === 0 ? 'ok  ' : 'FAIL'} ${name}${about}`);
  for (const failure of failures) say(`     ${failure}`);
}

/** Shows that each rule is looked at, and that nothing is found where nothing is. */
async function provoke({ view }: Viewer): Promise<void> {
  for (const [index, { breaks, looks, html, style = '' }] of badPages.entries()) {
    const shown: Shown = { name: `bad page ${index + 1}`, place: 'summary', markdown: '' };
    const seen = await view(shown, { raw: { html, style } });
    const found = seen.filter(({ look }) => look.problems.some(({ rule }) => rule === breaks)).length;
    tell(
      `${shown.name} (${rules[breaks]}) is found`,
      found === looks ? [] : [`${breaks} was found in ${found} of 4 looks, has to be in ${looks}`],
    );
  }
  const untried = Object.keys(rules).filter((rule) => !badPages.some(({ breaks }) => breaks === rule));
  tell('every rule has a bad page', untried);
  const good: Shown = { name: 'good page', place: 'comment', markdown: goodPage };
  const seen = await view(good);
  const found = seen.flatMap((one) => describeLook(good.name, one));
  const blind = seen.filter(({ look }) => look.charts !== 1 || look.tables !== 1 || look.texts < 10);
  tell('a good page is found to be good', [...found, ...blind.map((one) => JSON.stringify(one))]);
}

/** A page that takes longer does not come: its processes end with the host. */
async function inTime<T>(writing: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`it was not written within ${longest} s`)),
    longest * 1_000,
  );
  return Promise.race([writing, late]).finally(() => clearTimeout(timer));
}

async function lookAtAll({ view }: Viewer, pictures: string): Promise<void> {
  const stage = await createStage(options.dist === undefined ? undefined : resolve(options.dist));
  try {
    // Written while the page before is looked at.
    let looking: Promise<void> = Promise.resolve();
    for (const { name, place, hostile, write } of pages) {
      const start = performance.now();
      let shown: Shown;
      try {
        shown = {
          name,
          place,
          markdown: await inTime(Promise.resolve(write(stage))),
          ...(hostile === undefined ? {} : { hostile }),
        };
      } catch (thrown) {
        tell(name, [thrown instanceof Error ? thrown.message : String(thrown)]);
        continue;
      }
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      await looking;
      if (!name.startsWith(options.page)) continue;
      looking = view(shown, { pictures }).then(
        (seen) => {
          const failures = seen.flatMap((one) => describeLook(name, one));
          const { texts = 0, tables = 0, charts = 0 } = seen[0]?.look ?? {};
          if (texts === 0) failures.push(`${name}: it has no text`);
          tell(
            name,
            failures,
            `: ${texts} texts, ${tables} tables, ${charts} charts, written in ${seconds} s`,
          );
        },
        (thrown: unknown) => tell(name, [String(thrown)]),
      );
    }
    await looking;
  } finally {
    await stage.end();
  }
}

async function main(): Promise<void> {
  const start = performance.now();
  const program = await requireChromium(say);
  const folder = options.out === undefined ? await mkdtemp(join(tmpdir(), 'pages-')) : resolve(options.out);
  await mkdir(folder, { recursive: true });
  const browser: Browser = await startChromium(program);
  say(`Chromium ${browser.version()} (${program}); pictures in ${folder}`);
  try {
    const viewer = await createViewer(browser, await readScripts());
    await provoke(viewer);
    await lookAtAll(viewer, folder);
  } finally {
    await browser.close();
  }
  say(`pictures in ${folder}; ${((performance.now() - start) / 1000).toFixed(0)} s`);
}

endHostsOnSignals();
try {
  await main();
} catch (thrown) {
  const causes: string[] = [];
  for (let error = thrown; error instanceof Error; error = error.cause) causes.push(error.message);
  tell('the test', causes.length > 0 ? causes : [String(thrown)]);
}
say(`${counts.passed} passed, ${counts.failed} failed`);
if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(counts)}\n`);
process.exitCode = counts.failed > 0 ? 1 : 0;
