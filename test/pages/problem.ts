/** What has to hold on every page, at every width, in both themes. */
export const rules = {
  'page-scrolls': 'the page itself never scrolls sideways',
  overflow:
    'nothing is wider than what holds it; only tables and blocks of code scroll in their own box, as GitHub has it',
  clipped: 'no text is cut off',
  contrast: 'text stands out from what is behind it, at least 4.5 to 1',
  'chart-drawn': 'every chart is drawn',
  'chart-outside': 'the text of a chart lies within the chart',
  'chart-overlap': 'the texts of a chart do not cover each other, and nothing covers them',
  'chart-small': 'a chart is scaled to the width there is, and its text is at least 9 px high then',
  'chart-unread': 'a line or bar of a chart stands out from what is behind it, at least 3 to 1',
  image: 'every image is loaded',
  'table-scrolls': 'on a desktop a table of ordinary content does not scroll',
} as const;

export type RuleName = keyof typeof rules;

export interface Problem {
  rule: RuleName;
  /** Where: the element, and the beginning of its text. */
  element: string;
  /** What was measured. */
  measured: string;
}

/** What a look at a page counted, so that a check that looked at nothing is seen. */
export interface Look {
  problems: Problem[];
  texts: number;
  charts: number;
  tables: number;
}
