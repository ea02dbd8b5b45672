// Pages that break one rule each: they show that the rule is looked at.

import type { RuleName } from './problem.ts';

export interface BadPage {
  breaks: RuleName;
  /** Of how many looks (two widths, two themes) it has to be found in. */
  looks: number;
  html: string;
  style?: string;
}

const chart = (lines: string) => `<pre><code class="language-mermaid">${lines}</code></pre>`;
const svg = (content: string, more = '') =>
  `<div class="chart"><svg viewBox="0 0 300 100" width="300" height="100" ${more}>${content}</svg></div>`;
const label = (x: number, y: number, text: string, more = 'fill="#808080" font-size="14"') =>
  `<text x="${x}" y="${y}" ${more}>${text}</text>`;

export const badPages: BadPage[] = [
  {
    breaks: 'page-scrolls',
    looks: 4,
    html: '<p class="wide">wide</p>',
    style: '.wide { width: 1200px; }',
  },
  {
    breaks: 'overflow',
    looks: 4,
    html: `<p class="whole">${'x'.repeat(300)}</p>`,
    style: '.whole { overflow-wrap: normal; }',
  },
  {
    breaks: 'overflow',
    looks: 2,
    html: '<div class="wide">a table of 500 px</div>',
    style: '.wide { width: 500px; }',
  },
  {
    breaks: 'overflow',
    looks: 4,
    html: `<table><tr><td class="narrow">${'x'.repeat(60)}</td></tr></table>`,
    style: '.narrow { max-width: 90px; overflow-wrap: normal; }',
  },
  {
    breaks: 'overflow',
    looks: 4,
    html: `<div class="scrolls">${'x'.repeat(300)}</div>`,
    style: '.scrolls { overflow-x: auto; overflow-wrap: normal; }',
  },
  {
    breaks: 'clipped',
    looks: 4,
    html: `<p class="cut">${'cut off '.repeat(40)}</p>`,
    style: '.cut { overflow: hidden; white-space: nowrap; text-overflow: ellipsis; }',
  },
  { breaks: 'contrast', looks: 2, html: '<p class="pale">pale</p>', style: '.pale { color: #999999; }' },
  {
    breaks: 'contrast',
    looks: 2,
    html: '<p class="faint">faint in the light theme</p>',
    style: '@media (prefers-color-scheme: light) { .faint { opacity: .5; } }',
  },
  {
    breaks: 'contrast',
    looks: 4,
    html: '<p class="lit"><span>on layers</span></p>',
    style: '.lit { background: #00000080; } .lit span { background: #ffffffcc; color: #8a8a8a; }',
  },
  {
    breaks: 'contrast',
    looks: 4,
    html: svg(
      `<rect width="300" height="100" fill="#2da44e"/>${label(20, 50, 'white on green', 'fill="#ffffff" font-size="14"')}`,
    ),
  },
  {
    breaks: 'contrast',
    looks: 4,
    html: chart('flowchart LR\n  a["pale"] --> b\n  style a fill:#cccccc,color:#888888'),
  },
  {
    breaks: 'contrast',
    looks: 2,
    // What Mermaid's dark theme makes of text on arrows.
    html: chart('flowchart LR\n  a -- "50 %" --> b'),
  },
  { breaks: 'chart-drawn', looks: 4, html: chart('flowchart LR\n  a["never closed') },
  { breaks: 'chart-drawn', looks: 4, html: svg('<rect width="10" height="10"/>') },
  { breaks: 'chart-outside', looks: 4, html: svg(label(260, 50, 'it goes on and on')) },
  {
    breaks: 'chart-overlap',
    looks: 4,
    html: svg(label(20, 50, 'first label') + label(60, 54, 'second label')),
  },
  {
    breaks: 'chart-overlap',
    looks: 4,
    html: svg(`${label(20, 50, 'covered')}<rect x="0" y="20" width="200" height="50" fill="#123456"/>`),
  },
  {
    breaks: 'chart-small',
    looks: 2,
    html: chart(`flowchart LR\n  ${'abcdefgh'.split('').join(' --> ')}`),
  },
  {
    breaks: 'chart-unread',
    looks: 2,
    html: chart(
      '%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#eeeeee"}}}}%%\nxychart-beta\n  x-axis [a, b]\n  bar [1, 2]',
    ),
  },
  { breaks: 'image', looks: 4, html: '<img alt="not there" src="data:image/png;base64,AAAA">' },
  {
    breaks: 'table-scrolls',
    looks: 2,
    html: `<table><tr>${`<td>${'x'.repeat(60)}</td>`.repeat(4)}</tr></table>`,
  },
];

/** A page on which nothing is wrong, with all that is looked at. */
export const goodPage = `${[
  '# Heading',
  `A paragraph with [a link](https://example.org), \`code\`, **bold** and ${'averylongword'.repeat(20)}.`,
  `| Name | Value |\n| --- | --- |\n| a | b |`,
  '```\na block of code\n```',
  '```mermaid\nflowchart LR\n  a["one"] --> b["two"]\n```',
].join(
  '\n\n',
)}\n\n<details><summary>Folded</summary>\n\ninside\n\n</details>\n\n<script>document.body.textContent = ''</script>\n<p style="color: white">plain</p>\n`;
