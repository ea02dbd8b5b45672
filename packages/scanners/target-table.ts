import { escapeMarkdown } from '@deploy-actions/core';
import { countBySeverity, describeCounts, type Finding, type Target } from '@deploy-actions/findings';

/** The cells of a target in a summary: its name, what was found in it, and how much of that is new. */
export function targetCells(name: string, findings: readonly Finding[]): string[] {
  const compared = findings.some(({ known }) => known !== null);
  return [
    escapeMarkdown(name),
    describeCounts(countBySeverity(findings)),
    compared ? String(findings.filter(({ known }) => known === false).length) : '',
  ];
}

/**
 * The files of the repository that one step looks at, as one category of code scanning: a file that was moved or removed closes its alerts,
 * and steps about other paths keep theirs.
 */
export function repositoryFiles(paths: readonly string[]): Target {
  return { kind: 'files', name: paths.toSorted().join(','), version: null };
}
