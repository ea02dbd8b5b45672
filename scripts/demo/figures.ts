// What the load saw in each step, and what of it is allowed.

import { countsOf, type LoadReport } from '../../test/support/load/index.ts';

export interface Figures {
  requests: number;
  answered: number;
  /** The application's own 5xx. */
  failed: number;
  /** The application's own 4xx. */
  refused: number;
  lost: number;
  /** Not sent for want of the load generator's own means. */
  notSent: number;
  /** Sent, and not ended yet. */
  pending: number;
  /** Of the load, not of the whole step. */
  seconds: number;
  /** Answers by the version that made them. */
  versions: Record<string, number>;
}

/** The phases of these names added up. The last phase of all ends with the report. */
export function figuresOf(report: LoadReport, names: string[]): Figures {
  const sum: Figures = {
    ...{ requests: 0, answered: 0, failed: 0, refused: 0, lost: 0, notSent: 0, pending: 0, seconds: 0 },
    versions: {},
  };
  for (const [index, phase] of report.phases.entries()) {
    if (!names.includes(phase.name)) continue;
    const counts = countsOf(phase.kinds);
    sum.requests += counts.sent;
    sum.answered += counts.answered;
    sum.failed += counts.failed;
    sum.refused += counts.clientErrors;
    sum.lost += counts.lost;
    sum.notSent += counts.notSent;
    sum.pending += counts.pending;
    sum.seconds += (report.phases[index + 1]?.from ?? report.seconds) - phase.from;
    for (const kind of Object.values(phase.kinds)) {
      for (const [version, count] of Object.entries(kind.versions)) {
        sum.versions[version] = (sum.versions[version] ?? 0) + count;
      }
    }
  }
  return sum;
}

/**
 * The most failures that `requests` may show when each meets a version that fails `failing` of its requests with
 * probability `weight`: the expected number and three standard deviations of the binomial distribution.
 */
export function mostFailures(requests: number, weight: number, failing: number): number {
  const share = weight * failing;
  return requests * share + 3 * Math.sqrt(requests * share * (1 - share));
}

/** Where the lost requests of a report were lost, for a message: `reset 3, refused 12`. */
export function lostBy(report: LoadReport): string {
  const sums: Record<string, number> = {};
  for (const kind of Object.values(report.total)) {
    for (const [reason, count] of Object.entries(kind.lostBy)) sums[reason] = (sums[reason] ?? 0) + count;
  }
  return Object.entries(sums)
    .map(([reason, count]) => `${reason} ${count}`)
    .join(', ');
}

/** Columns padded to their widest cell; cells that begin with a digit are aligned to the right. */
export function textTable(header: string[], rows: string[][]): string {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)),
  );
  const line = (cells: string[]) =>
    cells
      .map((cell, column) =>
        /^\d/.test(cell) && column > 0
          ? cell.padStart(widths[column] ?? 0)
          : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd();
  return [line(header), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)].join('\n');
}
