/** In characters; GitHub refuses a longer comment. */
export const commentLimit = 65_536;

/** In bytes of UTF-8: a longer summary of a check run is refused, a longer text is cut without a word. */
export const checkTextLimit = 65_535;

const note = '\n\n_The rest did not fit; the summary of the run has all of it._\n';

/**
 * Markdown of at most so many bytes of UTF-8. What is too long ends after a whole line, with a block of code closed, and
 * says that it does. There are never more characters than bytes.
 */
export function fitMarkdown(text: string, limit: number): string {
  if (Buffer.byteLength(text) <= limit) return text;
  const fence = '\n```';
  let room = limit - Buffer.byteLength(note) - Buffer.byteLength(fence);
  const kept: string[] = [];
  for (const line of text.split('\n')) {
    room -= Buffer.byteLength(line) + 1;
    if (room < 0) break;
    kept.push(line);
  }
  const open = kept.filter((line) => /^\s*```/.test(line)).length % 2 === 1;
  return `${kept.join('\n')}${open ? fence : ''}${note}`;
}
