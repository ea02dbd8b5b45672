import type { Context } from '@deploy-actions/action-kit';
import { commentMarker } from '@deploy-actions/findings';
import type { Reporting } from './reporting.ts';

export interface PlanReport {
  /** What it is for, of letters, digits and `-`: one comment a purpose. */
  purpose: string;
  /** The heading; plain text. */
  title: string;
  markdown: string;
}

/**
 * Says what would be done: in the summary and, in a run of a pull request, in its one comment of this purpose. Throws
 * `invalid_input` for a purpose that no marker can be made of.
 */
export async function publishPlan(reporting: Reporting, context: Context, plan: PlanReport): Promise<void> {
  const marker = commentMarker(plan.purpose);
  context.summary.heading(plan.title, 3);
  context.summary.paragraph(plan.markdown);
  const { pullRequest, quiet } = reporting;
  if (pullRequest === undefined) return;
  const body = `${marker}\n### ${plan.title}\n\n${plan.markdown}`;
  await reporting.settle(`The comment «${plan.title}»`, quiet.comment({ pullRequest, marker, body }));
}
