import { type Context, createSummary, type InputValues } from '@deploy-actions/action-kit';
import { compare, identify, parseLimits } from '@deploy-actions/findings';
import type { BuildSpec } from '@deploy-actions/images';
import {
  checkBaseline,
  type Concluded,
  concludeScan,
  lintBuilds,
  readIgnores,
  repositoryFiles,
} from '@deploy-actions/scanners';
import type { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;

export interface Lint extends Concluded {
  /** What was found, as Markdown: it stands below the builds. */
  markdown: string;
}

/** Looks at the Dockerfiles before anything is built, and says what is found where findings are said. */
export async function lintDockerfiles(
  inputs: Inputs,
  context: Context,
  specs: readonly BuildSpec[],
): Promise<Lint> {
  const builds = specs.map(({ dockerfile, args, target }) => ({
    dockerfile,
    args,
    target: target ?? undefined,
  }));
  const summary = createSummary();
  const own = { ...context, summary };
  const ignores = await readIgnores(inputs, ['.hardeningignore.yaml', '.hardeningignore'], own);
  const found = identify(await lintBuilds(context.facts.workspace, builds));
  const files = new Set(builds.map(({ dockerfile }) => dockerfile));
  const concluded = await concludeScan(inputs, own, {
    purpose: 'dockerfile-lint',
    title: 'Dockerfile lint',
    limits: { misconfiguration: parseLimits(inputs.limits, 'limits') },
    found: inputs.baseline === undefined ? found : compare(found, await knownBefore(inputs.baseline, builds)),
    ignores,
    targets: [],
    files: repositoryFiles([...files]),
    done: `${files.size === 1 ? '1 Dockerfile' : `${files.size} Dockerfiles`} read, and nothing was built`,
    remedy:
      'Mend the Dockerfiles, write an ignore entry with a last day and a reason, or raise `limits` (`limits: none` lets everything pass).',
    summarize: () => {},
  });
  return { ...concluded, markdown: summary.text() };
}

async function knownBefore(baseline: string, builds: Parameters<typeof lintBuilds>[1]): Promise<Set<string>> {
  await checkBaseline(baseline);
  return new Set(identify(await lintBuilds(baseline, builds)).map(({ fingerprint }) => fingerprint));
}
