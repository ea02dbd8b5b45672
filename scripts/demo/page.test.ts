import { describe, expect, it } from 'vitest';
import { renderMarkdown, renderPage, renderSeconds } from './page.ts';

describe('the page', () => {
  it('hands charts to Mermaid as they are, and leaves other code alone', () => {
    const html = renderMarkdown(
      '```mermaid\nflowchart LR\n  a["v1<br>blue"] --> b\n```\n\n```\nplain\n```\n',
    );
    expect(html).toContain(
      '<pre class="mermaid">flowchart LR\n  a[&quot;v1&lt;br&gt;blue&quot;] --&gt; b</pre>',
    );
    expect(html).toContain('<pre><code>plain\n</code></pre>');
  });

  it('shows tables and folded parts', () => {
    const html = renderMarkdown(
      '| A | B |\n| --- | --- |\n| **0** | x<br>y |\n\n<details><summary>More</summary>\n\n```\n1\n```\n\n</details>\n',
    );
    expect(html).toContain('<td><strong>0</strong></td>');
    expect(html).toMatch(/<details><summary>More<\/summary>\s*<pre>/);
  });

  it('makes every lost request visible', () => {
    const svg = renderSeconds([
      { at: 1, step: 1, ok: 200, failed: 0, lost: 0 },
      { at: 2, step: 2, ok: 199, failed: 0, lost: 1 },
    ]);
    expect(svg.match(/<rect class="ok"/g)).toHaveLength(2);
    expect(svg).toMatch(/<rect class="lost"[^>]* height="2.0"/);
    expect(svg).toContain('>step 2</text>');
  });

  it('needs nothing from elsewhere', () => {
    const html = renderPage({ steps: [], seconds: [], good: true }, 'const library = "</script>";');
    expect(html).toContain('<script>const library = "<\\/script>";</script>');
    expect(html).toContain('mermaid.initialize');
    expect(html).not.toMatch(/<(?:script|img|iframe)[^>]* src=|<link/);
  });
});
