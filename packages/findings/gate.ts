import { DeployError } from '@deploy-actions/core';
import { describeCounts, noCounts, severities, type Counts, type Finding, type Severity } from './model.ts';

/** How many findings of a severity are allowed; a severity that is left out has no limit. */
export type Limits = Partial<Counts>;

/** No critical finding and at most five high ones. */
export const defaultLimits: Limits = { critical: 0, high: 5 };

export interface Verdict {
  passed: boolean;
  /** What was counted. */
  counts: Counts;
  /** What was there before and, with `onlyNew`, left out of the count. */
  known: Counts;
  /** The limits that were exceeded, the most severe first. */
  exceeded: { severity: Severity; count: number; limit: number }[];
  /** The verdict in a sentence or two. */
  message: string;
}

/**
 * Judges findings by their number. With `onlyNew`, those that are known are not counted; where nothing was compared,
 * all count, for what cannot be told to be old may be new.
 */
export function gate(
  findings: readonly Finding[],
  limits: Limits,
  options: { onlyNew?: boolean } = {},
): Verdict {
  const counts = noCounts();
  const known = noCounts();
  for (const finding of findings) {
    const left = options.onlyNew === true && finding.known === true;
    (left ? known : counts)[finding.severity] += 1;
  }
  const exceeded = severities.flatMap((severity) => {
    const limit = limits[severity];
    return limit !== undefined && counts[severity] > limit
      ? [{ severity, count: counts[severity], limit }]
      : [];
  });
  const passed = exceeded.length === 0;
  return {
    passed,
    counts,
    known,
    exceeded,
    message: inWords(counts, known, limits, options.onlyNew === true),
  };
}

function inWords(counts: Counts, known: Counts, limits: Limits, onlyNew: boolean): string {
  const limited = severities.filter((severity) => limits[severity] !== undefined);
  const over = limited.filter((severity) => counts[severity] > limits[severity]!);
  const found = `${onlyNew ? 'new findings' : 'findings'}: ${describeCounts(counts)}`;
  const tell = (severity: Severity) =>
    `${counts[severity]} ${severity} where ${limits[severity]} ${limits[severity] === 1 ? 'is' : 'are'} allowed`;
  const allowed =
    limited.length === 0
      ? 'no limit is set'
      : `allowed: ${limited.map((severity) => `${limits[severity]} ${severity}`).join(', ')}`;
  const verdict =
    over.length > 0
      ? `Too many ${onlyNew ? 'new ' : ''}findings: ${over.map(tell).join(', ')}. All ${found}.`
      : `Within the limits; ${found} (${allowed}).`;
  const left = describeCounts(known);
  return left === 'none' ? verdict : `${verdict} Known before and not counted: ${left}.`;
}

/**
 * Reads limits from text such as `critical: 0, high: 5`; items may stand on lines of their own, `none` is no limit at
 * all. `where` names the input in the error. Throws `invalid_input` with every problem at once.
 */
export function parseLimits(text: string, where: string): Limits {
  const limits: Limits = {};
  if (text.trim() === 'none') return limits;
  const problems: string[] = [];
  const items = text.split(/[,\n]/).map((item) => item.trim());
  for (const item of items.filter((each) => each !== '')) {
    const [, word = '', number = ''] = /^([a-z]+)\s*[:=]\s*(\d{1,9})$/i.exec(item) ?? [];
    const severity = severities.find((name) => name === word.toLowerCase());
    if (severity === undefined) problems.push(`'${item}' is not a severity and a whole number`);
    else if (limits[severity] !== undefined) problems.push(`${severity} is said twice`);
    else limits[severity] = Number(number);
  }
  if (problems.length === 0 && Object.keys(limits).length === 0) problems.push('it is empty');
  if (problems.length > 0) {
    throw new DeployError('invalid_input', `${where}: ${problems.join('; ')}.`, {
      remedy: `Write it like 'critical: 0, high: 5', with ${severities.join(', ')}; or 'none' for no limit.`,
    });
  }
  return limits;
}
