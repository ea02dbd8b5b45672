/* What others wrote (a commit, an advisory, a log line), made safe to show. */

/** Control characters, and those that reverse the direction of writing so that text reads as what it is not. */
// oxlint-disable-next-line no-control-regex
const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** Well-formed Unicode with lines that end in `\n`; each character that cannot be shown becomes U+FFFD. */
export function printable(text: string): string {
  return text.toWellFormed().replace(/\r\n?/g, '\n').replace(unprintable, '\ufffd');
}

/** Makes any text safe inside an HTML element, where Markdown is not read. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** Makes any text safe inside a table cell or a paragraph: nothing of it is taken for markup. */
export function escapeMarkdown(text: string): string {
  return escapeHtml(text.replaceAll('\\', '\\\\'))
    .replace(/[`*_[\]|~#@]/g, (character) => `\\${character}`)
    .replace(/\r\n?|\n/g, '<br>');
}

/**
 * The same for comments, where GitHub acts on plain text too: a name after `@` is notified, `#12`, `GH-12` and a URL
 * leave a trace in what they name, `$…$` is set as a formula. A backslash does not stop it, for it looks at what was
 * rendered; a zero-width space between sign and name does. So `@babel/core` notifies nobody.
 */
export function inertMarkdown(text: string): string {
  return escapeMarkdown(printable(text))
    .replace(/\\[@#]|GH-(?=\d)|:(?=\/\/)|www(?=\.)/gi, '$&&#8203;')
    .replaceAll('$', '<span>$</span>');
}

/** What closes the code blocks and folded parts that Markdown which was cut after a line has open. */
export function closingOf(markdown: string): string {
  let fence: string | undefined;
  let folded = 0;
  for (const line of markdown.split('\n')) {
    const run = /^`{3,}/.exec(line)?.[0];
    if (fence !== undefined) {
      if (line === fence) fence = undefined;
    } else if (run !== undefined) fence = run;
    else if (line.startsWith('<details>')) folded += 1;
    else if (line.startsWith('</details>')) folded -= 1;
  }
  return `${fence === undefined ? '' : `${fence}\n`}${'\n</details>\n'.repeat(Math.max(0, folded))}`;
}
