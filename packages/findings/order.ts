import { countBySeverity, describeCounts, severities, type Counts, type Finding } from './model.ts';

/** What did not fit. */
export interface Cut {
  count: number;
  bySeverity: Counts;
}

const rank = new Map(severities.map((severity, index) => [severity, index]));

/**
 * The order in which findings are shown and from whose end they are cut: the most severe first, then what is new, then
 * by target, file and line. The same findings have the same order however they came.
 */
export function bySeverity(findings: readonly Finding[]): Finding[] {
  return findings.toSorted(
    (a, b) =>
      rank.get(a.severity)! - rank.get(b.severity)! ||
      Number(a.known === true) - Number(b.known === true) ||
      byText(a.target.name, b.target.name) ||
      byText(a.location?.file ?? '', b.location?.file ?? '') ||
      (a.location?.startLine ?? 0) - (b.location?.startLine ?? 0) ||
      byText(a.rule.id, b.rule.id) ||
      byText(a.fingerprint, b.fingerprint) ||
      byText(a.message, b.message),
  );
}

/** What was cut when only the first `kept` of the ordered findings were written. */
export function cutAfter(ordered: readonly Finding[], kept: number): Cut {
  const rest = ordered.slice(kept);
  return { count: rest.length, bySeverity: countBySeverity(rest) };
}

/** `412 of 5,412 findings are not shown here, the least severe: 400 low, 12 unknown.` Empty when nothing was cut. */
export function describeCut({ count, bySeverity: counts }: Cut, total: number): string {
  if (count === 0) return '';
  const number = (value: number) => value.toLocaleString('en-US');
  const are = count === 1 ? 'is' : 'are';
  return `${number(count)} of ${number(total)} findings ${are} not shown here, the least severe: ${describeCounts(counts)}.`;
}

/** By code units: the same on every machine, unlike the order of a language. */
export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
