import { escapeMarkdown, type Outcome, type Result, type Summary } from '@deploy-actions/action-kit';
import { escapeHtml } from '@deploy-actions/core';
import { describeSeconds, type Ended, type Ready } from './pipeline.ts';
import { isGood } from './settings.ts';

/* What became of the phases, in pictures, tables, words and outputs. */

function markOf({ outcome, undone }: Ended): string {
  if (undone?.state === 'undone') return '↩️';
  if (undone?.state === 'failed') return '⚠️';
  return markOfResult(outcome.result);
}

function markOfResult(result: Result): string {
  switch (result) {
    case 'succeeded':
    case 'planned':
      return '✅';
    case 'unchanged':
      return '☑️';
    case 'cancelled':
      return '⏹️';
    case 'inconclusive':
    case 'superseded':
      return '⚠️';
    case 'refused':
    case 'failed':
    case 'rolled-back':
    case 'error':
      return '❌';
  }
}

/**
 * The way that the pipeline took, and the way back. From top to bottom, so that it can be read on a phone; without text on arrows, which
 * has too little contrast in Mermaid's dark theme.
 */
export function phasesChart(
  phases: readonly Pick<Ready, 'name' | 'title'>[],
  ended: readonly Ended[],
): string {
  const lines = ['flowchart TD'];
  for (const { name, title } of phases) {
    const made = ended.find(({ phase }) => phase.name === name);
    lines.push(
      made === undefined
        ? `  ${name}["${title}<br>not begun"]:::idle`
        : `  ${name}["${markOf(made)} ${title}<br>${describeSeconds(made.seconds)}${made.undone?.state === 'undone' ? '<br>↩ taken back' : ''}"]`,
    );
  }
  for (const [index, { name }] of phases.entries()) {
    const next = phases[index + 1];
    if (next === undefined) continue;
    const begun = ended.some(({ phase }) => phase.name === next.name);
    lines.push(`  ${name} ${begun ? '-->' : '-.->'} ${next.name}`);
  }
  const last = ended.at(-1)?.phase.name;
  for (const { phase, undone } of ended) {
    if (undone?.state === 'undone' && last !== undefined) {
      lines.push(`  ${last} -.-> ${phase.name}`);
    }
  }
  lines.push('  classDef idle stroke-dasharray: 4');
  return lines.join('\n');
}

const undoneWords = {
  undone: 'taken back',
  stays: 'stays',
  failed: '**could not be taken back**',
  pending: '**to be taken back by the post step**',
} as const;

export function summarizePhases(summary: Summary, phases: readonly Ready[], ended: readonly Ended[]): void {
  summary.chart(phasesChart(phases, ended));
  const wentBack = ended.some(({ undone }) => undone !== null);
  summary.table(
    ['Phase', 'Result', 'Time', 'What happened', ...(wentBack ? ['What became of it'] : [])],
    ended.map((made) => {
      const { phase, outcome, seconds, undone } = made;
      const after = undone === null ? '' : `${undoneWords[undone.state]}: ${escapeMarkdown(undone.message)}`;
      return [
        phase.title,
        `${markOfResult(outcome.result)} ${outcome.result}`,
        describeSeconds(seconds),
        escapeMarkdown(outcome.message),
        ...(wentBack ? [after] : []),
      ];
    }),
  );
  for (const { phase, outcome, summary: own } of ended) {
    if (own.trim() !== '') summary.paragraph(folded(`${phase.title}: ${outcome.result}`, own));
  }
}

function folded(title: string, markdown: string): string {
  return `<details><summary>${escapeHtml(title)}</summary>\n\n${markdown.trim()}\n\n</details>`;
}

/** The plans of all phases as one text, for a comment. */
export function planText(planned: readonly Ended[]): string {
  return planned
    .map(({ phase, outcome, summary }, index) => {
      const mark = isGood(outcome) ? '' : `${markOfResult(outcome.result)} `;
      const remedy =
        outcome.remedy === undefined ? '' : `\n\n**What to do next:** ${escapeMarkdown(outcome.remedy)}`;
      return `#### ${index + 1}. ${phase.title}\n\n${mark}${escapeMarkdown(outcome.message)}${remedy}\n\n${summary.trim()}`.trim();
    })
    .join('\n\n');
}

/** The output `phases`. */
export function phasesJson(ended: readonly Ended[]): string {
  return JSON.stringify(
    ended.map(({ phase, outcome, seconds, undone }) => ({
      name: phase.name,
      result: outcome.result,
      'reason-code': outcome.reasonCode,
      message: outcome.message,
      seconds,
      undone: undone?.state ?? null,
      'undone-message': undone?.message ?? null,
    })),
  );
}

/** For the report file. */
export function phasesReport(ended: readonly Ended[]): unknown {
  return ended.map(({ phase, outcome, seconds, undone }) => ({
    name: phase.name,
    ...outcome,
    seconds,
    undone,
  }));
}

/** The pipeline's own ending, out of its phases: how the last of them ended, and what became of those before. */
export function endingOf(
  ended: readonly Ended[],
  last: Ended,
): Pick<Outcome, 'result' | 'reasonCode' | 'message' | 'remedy'> {
  const { result, reasonCode, message, remedy } = last.outcome;
  if (isGood(last.outcome)) {
    const changed = ended.filter(
      ({ phase, outcome }) => phase.undo !== undefined && outcome.result === 'succeeded',
    );
    const shift = ended.find(({ phase }) => phase.name === 'shift')?.outcome ?? last.outcome;
    return {
      result: changed.length === 0 ? 'unchanged' : 'succeeded',
      reasonCode: changed.length === 0 || shift.result === 'succeeded' ? shift.reasonCode : 'ok',
      message: [...new Set([...changed.map((made) => made.outcome.message), shift.message])].join(' '),
      remedy,
    };
  }
  const told = ended.toReversed().flatMap(({ undone }) => (undone === null ? [] : [undone.message]));
  const words = [message, ...told].join(' ');
  const failed = ended.flatMap(({ undone }) => (undone?.state === 'failed' ? [undone] : []));
  if (failed.length > 0) {
    const remedies = failed.flatMap((undone) => undone.remedy ?? []);
    return {
      result: 'failed',
      reasonCode: 'revert_failed',
      message: words,
      remedy: remedies.join(' ') || remedy,
    };
  }
  const back = ended.some(({ undone }) => undone?.state === 'undone');
  // A cancel or a missing verdict says more than that it was taken back for it.
  const isBack = back && (result === 'failed' || result === 'error' || result === 'refused');
  return { result: isBack ? 'rolled-back' : result, reasonCode, message: words, remedy };
}
