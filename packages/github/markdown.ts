import { cutMarkdown } from '@deploy-actions/core';

/** In characters; GitHub refuses a longer comment. */
export const commentLimit = 65_536;

/** In bytes of UTF-8: a longer summary of a check run is refused, a longer text is cut without a word. */
export const checkTextLimit = 65_535;

const note = '\n\n_The rest did not fit; the summary of the run has all of it._\n';

/** Markdown that GitHub takes: what does not fit is cut, and says so. */
export function fitMarkdown(text: string, limit: number): string {
  return cutMarkdown(text, limit, note);
}
