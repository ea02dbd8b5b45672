import type { Context } from '@deploy-actions/action-kit';
import { commentMarker } from '@deploy-actions/findings';
import { harmless, purposeOf } from './harmless.ts';
import type { Reporting } from './reporting.ts';

export interface PlanReport {
  /** What it is for, of letters, digits and `-`: one comment a purpose. */
  purpose: string;
  /** The heading; plain text. */
  title: string;
  markdown: string;
}

/**
 * Says what would be done: in the summary and, in a run of a pull request, in its one comment of this purpose. Changes no
 * outcome and does not throw.
 */
export function publishPlan(reporting: Reporting, context: Context, plan: PlanReport): Promise<void> {
  const { title, markdown } = plan;
  return harmless(context, title, async () => {
    context.summary.heading(title, 3);
    context.summary.paragraph(markdown);
    const { pullRequest, quiet } = reporting;
    if (pullRequest === undefined) return;
    const marker = commentMarker(purposeOf(plan.purpose));
    const body = `${marker}\n### ${title}\n\n${markdown}`;
    await reporting.settle(`The comment «${title}»`, quiet.comment({ pullRequest, marker, body }));
  });
}
