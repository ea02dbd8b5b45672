import { closingOf } from '@deploy-actions/core';

/** In characters; GitHub refuses a longer comment. */
export const commentLimit = 65_536;

/** In bytes of UTF-8: a longer summary of a check run is refused, a longer text is cut without a word. */
export const checkTextLimit = 65_535;

const note = '\n\n_The rest did not fit; the summary of the run has all of it._\n';

/**
 * Markdown of at most so many bytes of UTF-8. What is too long ends after a whole line, with code blocks and folded parts
 * closed, and says that it does. There are never more characters than bytes.
 */
export function fitMarkdown(text: string, limit: number): string {
  if (Buffer.byteLength(text) <= limit) return text;
  const bytes = Buffer.from(text);
  let room = limit - Buffer.byteLength(note);
  while (room > 0) {
    const end = bytes.lastIndexOf('\n', room - 1) + 1;
    const kept = bytes.toString('utf8', 0, end);
    const cut = `${kept}${closingOf(kept)}${note}`;
    const over = Buffer.byteLength(cut) - limit;
    if (over <= 0) return cut;
    room = end - over;
  }
  return note.trim();
}
