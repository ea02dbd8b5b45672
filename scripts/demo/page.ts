// The demo as one HTML page that needs nothing else: the table, what each second of the load saw, and the job summaries as
// GitHub shows them, charts included.

import { readFileSync } from 'node:fs';
import { Marked } from 'marked';
import type { StepResult } from '../../test/support/runner.ts';
import { mermaidScript } from './mermaid.ts';
import type { Demo, Run, Second, StepReport } from './steps.ts';

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

const markdown = new Marked({
  gfm: true,
  renderer: {
    // Drawn by Mermaid in the page; false leaves every other language to the library.
    code: ({ text, lang }) =>
      lang === 'mermaid' ? `<pre class="mermaid">${escapeHtml(text)}</pre>\n` : false,
  },
});

export function renderMarkdown(text: string): string {
  return markdown.parse(text, { async: false });
}

/** A step as a workflow has it. */
function workflowLines({ action, inputs }: StepResult): string {
  const lines = Object.entries(inputs).map(([name, value]) => `    ${name}: ${value.replaceAll('\n', '⏎')}`);
  return [`- uses: org/deploy-actions/${action}@v1`, '  with:', ...lines].join('\n');
}

function renderRun({ note, result }: Run): string {
  const { action, outputs, signal, seconds, summary, annotations, log } = result;
  const ending = signal ?? `${outputs['result'] ?? 'none'} (${outputs['reason-code'] ?? 'none'})`;
  const notices = annotations
    .map(({ level, title, message }) => {
      const head = title === undefined ? '' : `<strong>${escapeHtml(title)}</strong>`;
      return `<div class="annotation ${level}">${head}<pre>${escapeHtml(message)}</pre></div>`;
    })
    .join('\n');
  return `<article>
<h3><code>${escapeHtml(action)}</code> ${note === undefined ? '' : `${escapeHtml(note)}: `}${escapeHtml(ending)}
<small>${seconds.toFixed(1)} s</small></h3>
<details><summary>The step in the workflow</summary><pre>${escapeHtml(workflowLines(result))}</pre></details>
<details><summary>Its log</summary><pre>${escapeHtml(log)}</pre></details>
${notices}
<div class="summary">${summary.trim() === '' ? '<p><em>It wrote no summary.</em></p>' : renderMarkdown(summary)}</div>
</article>`;
}

function renderStep(report: StepReport): string {
  const { step, title, result, outcome, differences, load, seconds, runs } = report;
  return `<section id="step-${step}">
<h2>${step}. ${escapeHtml(title)}</h2>
<p class="${result === 'as expected' ? 'good' : 'bad'}">${result}: ${escapeHtml(outcome)}. ${load.requests} requests,
${load.lost} lost, ${load.failed} failed by the application, ${seconds.toFixed(1)} s.</p>
${differences.map((difference) => `<p class="bad">${escapeHtml(difference)}</p>`).join('\n')}
${runs.map(renderRun).join('\n')}
</section>`;
}

function renderTable({ steps }: Demo): string {
  const rows = steps.map(
    ({ step, title, result, load, seconds }) =>
      `<tr><td><a href="#step-${step}">${step}. ${escapeHtml(title)}</a></td>` +
      `<td class="${result === 'as expected' ? 'good' : 'bad'}">${result}</td>` +
      [String(load.requests), String(load.lost), String(load.failed), seconds.toFixed(1)]
        .map((cell) => `<td class="number">${cell}</td>`)
        .join('') +
      '</tr>',
  );
  const header = ['Step', 'Result', 'Requests', 'Lost', 'Failed by the application', 'Seconds'];
  return `<table><thead><tr>${header.map((title) => `<th>${title}</th>`).join('')}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`;
}

/** What each second of the load saw: a column a second, answered below, failed and lost on top. */
export function renderSeconds(seconds: Second[]): string {
  const [width, height, left, foot] = [960, 180, 36, 22];
  const most = Math.max(1, ...seconds.map(({ ok, failed, lost }) => ok + failed + lost));
  const column = (width - left) / Math.max(1, seconds.length);
  const scale = (height - foot - 8) / most;
  const columns = seconds.map(({ ok, failed, lost, step }, index) => {
    const x = left + index * column;
    let y = height - foot;
    const bars = [
      ['ok', ok],
      ['failed', failed],
      ['lost', lost],
    ] as const;
    const drawn = bars
      .filter(([, count]) => count > 0)
      .map(([kind, count]) => {
        // A single lost request has to be seen.
        const tall = kind === 'ok' ? count * scale : Math.max(2, count * scale);
        y -= tall;
        return `<rect class="${kind}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${Math.max(0.5, column - 0.5).toFixed(1)}" height="${tall.toFixed(1)}"><title>step ${step}: ${ok} answered, ${failed} failed, ${lost} lost</title></rect>`;
      });
    const begins = seconds[index - 1]?.step !== step;
    const mark = `<line class="mark" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="0" y2="${height}"/><text x="${(x + 3).toFixed(1)}" y="${height - 6}">step ${step}</text>`;
    return drawn.join('') + (begins ? mark : '');
  });
  return `<svg class="seconds" viewBox="0 0 ${width} ${height}" role="img" aria-label="Requests in each second: answered, failed by the application, lost">
<text x="0" y="12">${most}/s</text>${columns.join('\n')}</svg>
<p class="legend"><span class="ok"></span> answered <span class="failed"></span> failed by the application <span class="lost"></span> lost</p>`;
}

const style = `
:root { color-scheme: light dark; --ink: #1f2328; --soft: #59636e; --paper: #ffffff; --line: #d1d9e0; --shade: #f6f8fa;
  --good: #1a7f37; --bad: #d1242f; --warn: #9a6700; --link: #0969da; }
@media (prefers-color-scheme: dark) { :root { --ink: #f0f6fc; --soft: #9198a1; --paper: #0d1117; --line: #3d444d;
  --shade: #151b23; --good: #3fb950; --bad: #f85149; --warn: #d29922; --link: #4493f8; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1012px; padding: 24px 24px 96px; color: var(--ink); background: var(--paper);
  font: 16px/1.5 -apple-system, BlinkMacSystemFont, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif; }
h1, h2 { border-bottom: 1px solid var(--line); padding-bottom: .3em; }
section > h2 { margin-top: 56px; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
small { color: var(--soft); font-weight: normal; }
code, pre { font: 85% ui-monospace, SFMono-Regular, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
code { background: var(--shade); border-radius: 6px; padding: .2em .4em; }
pre { background: var(--shade); border-radius: 6px; padding: 12px; overflow-x: auto; } pre code { padding: 0; background: none; }
table { border-collapse: collapse; display: block; overflow-x: auto; margin: 16px 0; }
th, td { border: 1px solid var(--line); padding: 6px 13px; text-align: left; vertical-align: top; }
tbody tr:nth-child(2n) { background: var(--shade); }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.good, td.bad { white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); }
article { border: 1px solid var(--line); border-radius: 6px; padding: 0 16px 8px; margin: 16px 0; }
article > details { color: var(--soft); } article > details pre { color: var(--ink); }
summary { cursor: pointer; }
.summary { border-top: 1px solid var(--line); margin-top: 12px; }
.annotation { border-left: 4px solid var(--soft); padding: 4px 12px; margin: 8px 0; background: var(--shade); }
.annotation pre { margin: 4px 0; padding: 0; white-space: pre-wrap; background: none; }
.annotation.error { border-color: var(--bad); } .annotation.warning { border-color: var(--warn); }
pre.mermaid { background: none; text-align: center; } pre.mermaid:not([data-processed]) { white-space: pre; text-align: left; }
.seconds { width: 100%; height: auto; } .seconds text { fill: var(--soft); font-size: 11px; }
.seconds .mark { stroke: var(--line); }
rect.ok { fill: var(--good); opacity: .55; } rect.failed { fill: var(--warn); } rect.lost { fill: var(--bad); }
.legend { color: var(--soft); font-size: 13px; }
.legend span { display: inline-block; width: 10px; height: 10px; margin: 0 2px 0 12px; }
.legend .ok { background: var(--good); opacity: .55; } .legend .failed { background: var(--warn); } .legend .lost { background: var(--bad); }
`;

/** `script` is the library that draws the charts: Mermaid. */
export function renderPage(demo: Demo, script = readFileSync(mermaidScript, 'utf8')): string {
  const failed = demo.steps.filter(({ result }) => result !== 'as expected').length;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>deploy-actions: demo</title>
<style>${style}</style>
</head>
<body>
<h1>deploy-actions at work</h1>
<p class="${demo.good ? 'good' : 'bad'}">${demo.good ? 'Every step came out as it has to.' : `${failed} of ${demo.steps.length} steps did not come out as they have to.`}</p>
${renderTable(demo)}
${renderSeconds(demo.seconds)}
${demo.steps.map(renderStep).join('\n')}
<script>${script.replaceAll('</script', '<\\/script')}</script>
<script>
mermaid.initialize({ startOnLoad: true, securityLevel: 'strict',
  theme: matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'default' });
</script>
</body>
</html>
`;
}
