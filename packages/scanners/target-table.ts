import { escapeMarkdown } from '@deploy-actions/core';
import { countBySeverity, describeCounts, type Finding } from '@deploy-actions/findings';

/** The cells of a target in a summary: its name, what was found in it, and how much of that is new. */
export function targetCells(name: string, findings: readonly Finding[]): string[] {
  const compared = findings.some(({ known }) => known !== null);
  return [
    escapeMarkdown(name),
    describeCounts(countBySeverity(findings)),
    compared ? String(findings.filter(({ known }) => known === false).length) : '',
  ];
}
