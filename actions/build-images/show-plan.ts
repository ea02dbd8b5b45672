import { codeBlock, type Context, escapeMarkdown, type Outcome } from '@deploy-actions/action-kit';
import { writeDefinition } from '@deploy-actions/images';
import { openReporting, publishPlan } from '@deploy-actions/publish';
import type { definition } from './definition.ts';
import type { Lint } from './lint.ts';
import { nothing } from './outputs.ts';
import { formatBytes } from './summary.ts';
import { describePlanned, type Inputs, namesOf, toBuild, type Work } from './work.ts';

type Outputs = (typeof definition)['outputs'];

/** Says what would be built and as what, with the definition; neither builds nor writes to a registry. */
export async function showPlan(
  inputs: Inputs,
  context: Context,
  work: Work,
  lint: Lint,
): Promise<Outcome<Outputs>> {
  const { plan, run, folder } = work;
  const tags = namesOf(work.release);
  const { specs, definition: bakeFile } = toBuild(work);
  const file = await writeDefinition(bakeFile, folder);
  const json = JSON.stringify(bakeFile, null, 2);
  const rows = plan.map(({ spec, unchanged, why, inputs: { context: sent } }) => {
    const what =
      unchanged === undefined
        ? `is built: ${why}`
        : `is tagged: unchanged since ${unchanged.facts.digest.slice(0, 'sha256:'.length + 12)}`;
    return [spec.name, what, spec.repository, `${sent.files} files, ${formatBytes(sent.bytes)}`];
  });
  const set = inputs.push === 'tags' ? 'set when all images are verified' : 'set by promote-images';
  const table = [['Image', 'What', 'Repository', 'Context'], ['---', '---', '---', '---'], ...rows].map(
    (cells, index) => `| ${cells.map((cell) => (index === 1 ? cell : escapeMarkdown(cell))).join(' | ')} |`,
  );
  context.log.info(json);
  await publishPlan(openReporting(context, inputs['github-token']), context, {
    purpose: 'build-images-plan',
    title: 'Build images: plan',
    markdown: [
      table.join('\n'),
      `- pushed as ${run.output === 'push' ? escapeMarkdown(run.tag) : 'nothing'}\n- tags of the release, ${set}: ${escapeMarkdown(tags.join(', ') || 'none')}`,
      `<details><summary>The definition for docker buildx bake</summary>\n\n${codeBlock(json, 'json')}\n\n</details>`,
    ].join('\n\n'),
  });
  const names = specs.map(({ name }) => name);
  return {
    result: 'planned',
    reasonCode: 'dry_run',
    message: `${names.length} of ${plan.length} images would be built${names.length === 0 ? '' : ` (${names.join(', ')})`}; nothing was built or written.`,
    outputs: {
      ...nothing,
      candidate: run.output === 'push' ? run.tag : undefined,
      tags: tags.join(','),
      rebuilt: names.join(','),
      version: run.version,
      definition: file,
      findings: lint.outputs.findings,
    },
    report: { plan: plan.map(describePlanned), definition: bakeFile, lint: lint.verdict },
  };
}
