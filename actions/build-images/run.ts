import { rm } from 'node:fs/promises';
import { type Context, escapeMarkdown, type Outcome } from '@deploy-actions/action-kit';
import { formatDuration } from '@deploy-actions/core';
import { releaseMemory } from '@deploy-actions/images';
import { buildChanged, type BuildResult, loginFolder } from './build.ts';
import { type definition, specsOf } from './definition.ts';
import { type Lint, lintDockerfiles } from './lint.ts';
import { mergeParts } from './merge.ts';
import { nothing, outputsOf } from './outputs.ts';
import { releaseFacts, takeBackTags, withRelease } from './release.ts';
import { settleImages } from './settle.ts';
import { showPlan } from './show-plan.ts';
import { type BuiltImage, secondsOf, summarizeBuilds } from './summary.ts';
import { describePlanned, type Inputs, namesOf, originOf, prepareWork, type Work } from './work.ts';

type Outputs = (typeof definition)['outputs'];

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { specs } = specsOf(inputs);
  if (inputs.merge !== undefined) return mergeParts(inputs, context, specs, originOf(inputs, context));
  const lint = await lintDockerfiles(inputs, context, specs);
  try {
    if (lint.result !== 'succeeded') {
      const { outputs, verdict, findings, markdown: _markdown, ...outcome } = lint;
      return {
        ...outcome,
        outputs: { ...nothing, findings: outputs.findings },
        report: { verdict, findings },
      };
    }
    const work = await prepareWork(inputs, context, specs);
    return inputs['dry-run']
      ? await showPlan(inputs, context, work, lint)
      : await buildAndTell(inputs, context, work, lint);
  } finally {
    context.summary.paragraph(lint.markdown.trim());
  }
}

/** Removes the logins of a main step that was ended, and puts back the tags that it was setting. */
export async function post(inputs: Inputs, context: Context): Promise<void> {
  const folder = context.recall(loginFolder);
  if (folder !== '') await rm(folder, { recursive: true, force: true });
  const run = context.recall(releaseMemory);
  if (run !== '') await takeBackTags(inputs, context, run);
}

async function buildAndTell(
  inputs: Inputs,
  context: Context,
  work: Work,
  lint: Lint,
): Promise<Outcome<Outputs>> {
  const {
    plan,
    run: { tag, output, version },
  } = work;
  const began = performance.now();
  for (const { spec, unchanged, why } of plan) {
    context.log.info(
      unchanged === undefined
        ? `${spec.name} is built: ${why}.`
        : `${spec.name} is unchanged: ${unchanged.facts.digest}.`,
    );
  }
  const built = await buildChanged(inputs, context, work);
  const { images, released } = await settleImages(inputs, context, work, built);
  const rebuilt = images.filter(({ build }) => build !== undefined).map(({ name }) => name);
  summarizeBuilds(images, context, [
    ...factsOf(work, images, built, performance.now() - began),
    ...releaseFacts(released),
  ]);
  const outcome: Outcome<Outputs> = {
    result: 'succeeded',
    reasonCode: 'ok',
    message: messageFor(inputs, work, rebuilt),
    outputs: {
      ...outputsOf(images),
      candidate: output === 'push' ? tag : undefined,
      tags: namesOf(work.release).join(','),
      rebuilt: rebuilt.join(','),
      version,
      definition: built?.file,
      findings: lint.outputs.findings,
    },
    report: {
      images: images.map(({ build, ...image }) => ({
        ...image,
        seconds: secondsOf(build),
        steps: build?.steps ?? 0,
        cached: build?.cached ?? 0,
      })),
      plan: plan.map(describePlanned),
      builder: built?.builder ?? null,
      attempts: built?.baked.attempts ?? 0,
      lint: lint.verdict,
    },
  };
  return withRelease(outcome, released);
}

/** What stands below the table, as Markdown. */
function factsOf(
  { plan, run: { tag, output } }: Work,
  images: readonly BuiltImage[],
  built: BuildResult | undefined,
  took: number,
): string[] {
  const count = images.filter(({ build }) => build !== undefined).length;
  const attempts = built?.baked.attempts ?? 1;
  const compared = new Set(images.flatMap(({ before }) => (before === undefined ? [] : [before.tag])));
  return [
    `${count} of ${images.length} images built in ${formatDuration(took)}${attempts > 1 ? `, at attempt ${attempts}` : ''}`,
    ...(output === 'push'
      ? [`pushed as ${escapeMarkdown(tag)}; every digest, manifest and layer is verified at the registry`]
      : []),
    ...(compared.size > 0 ? [`sizes are compared with ${escapeMarkdown([...compared].join(', '))}`] : []),
    ...plan
      .filter(({ inputs: { hash } }) => hash === null)
      .map(({ spec, inputs: { unknown } }) =>
        escapeMarkdown(
          `${spec.name} is built each time, because it cannot be told whether it changed: ${unknown.join('; ')}`,
        ),
      ),
  ];
}

function messageFor(inputs: Inputs, { plan, run: { tag } }: Work, rebuilt: readonly string[]): string {
  const all = plan.length === 1 ? '1 image' : `${plan.length} images`;
  const unchanged = plan.length - rebuilt.length;
  const built = rebuilt.length === 0 ? 'none had to be built' : `built ${rebuilt.join(', ')}`;
  const where = {
    candidate: `Pushed as ${tag}; promote-images makes a release of it.`,
    // What became of the tags follows.
    tags: `Pushed as ${tag}.`,
    load: 'What was built is in the engine of this runner.',
    none: 'Nothing was pushed.',
  }[inputs.push];
  return `${all}: ${built}${rebuilt.length > 0 && unchanged > 0 ? `, ${unchanged} unchanged` : ''}. ${where}`;
}
