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

/** A word that is longer than this gets places to break at. */
const longWord = 20;
/** From one such place to the next, or to the end: at least where the text has a separator, at most where it has none. */
const piece = { least: 6, most: 16 };

/**
 * Lets long words of escaped text break, as paths, digests and package names are: a table is as wide as its longest word,
 * and scrolls on a phone. Takes what the functions above return, with `**` and tags at most: in a link or in code a
 * `<wbr>` would be part of the address or be shown.
 */
export function breakable(escaped: string): string {
  return escaped.replace(/(?:(?!<br>)\S)+/g, (word) => {
    // GitHub makes a link of an address, and would make one to its first part.
    if (/:\/\/|www\./i.test(word)) return word;
    // A character as a reader counts it: a tag is none, a reference or an escape is one.
    const parts = word.match(/<[^>]*>|&#?\w+;|\\.|[^]/gu) ?? [];
    if (parts.length <= longWord) return word;
    let broken = '';
    let since = 0;
    for (const [index, part] of parts.entries()) {
      broken += part;
      since = part === '&#8203;' ? 0 : since + 1;
      const next = parts[index + 1];
      if (next === undefined || part.startsWith('<') || next === '&#8203;') continue;
      // Characters of other scripts may be joined to each other, and most may break anyway.
      const plain = /^[!-~]+$/.test(part + next);
      const separates = /^\\?[/_.,:;=@&?|)\]}+-]$|^&amp;$/.test(part);
      const left = parts.length - index - 1;
      if (plain && left >= piece.least && since >= (separates ? piece.least : piece.most)) {
        broken += '<wbr>';
        since = 0;
      }
    }
    return broken;
  });
}

/** What closes the code blocks and folded parts that Markdown which was cut after a line has open. */
function closingOf(markdown: string): string {
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

/**
 * Markdown of at most so many bytes of UTF-8, of which there are never fewer than characters. What is too long ends after
 * a whole line, with code blocks and folded parts closed, and with the notice. Empty when not even the notice fits.
 */
export function cutMarkdown(markdown: string, limit: number, notice: string): string {
  const bytes = Buffer.from(markdown);
  if (bytes.length <= limit) return markdown;
  let room = limit - Buffer.byteLength(notice);
  while (room > 0) {
    const end = bytes.lastIndexOf('\n', room - 1) + 1;
    const kept = bytes.toString('utf8', 0, end);
    const cut = `${kept}${closingOf(kept)}${notice}`;
    const over = Buffer.byteLength(cut) - limit;
    if (over <= 0) return cut;
    room = end - over;
  }
  return '';
}
