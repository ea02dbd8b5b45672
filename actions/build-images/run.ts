import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  codeBlock,
  type Context,
  escapeMarkdown,
  type InputValues,
  type Outcome,
} from '@deploy-actions/action-kit';
import { DeployError, formatDuration } from '@deploy-actions/core';
import { compare, identify } from '@deploy-actions/findings';
import {
  allowances,
  bake,
  bakeDefinition,
  type Builder,
  type BuildRun,
  type BuildSpec,
  candidateTag,
  commitTime,
  inputsTag,
  inspectBuilder,
  loginForBuild,
  type Origin,
  openRegistries,
  refuseDemands,
  registryAccess,
  sizeBefore,
  tagImage,
  tagsByRule,
  verifyPushed,
  versionOf,
  writeDefinition,
} from '@deploy-actions/images';
import { openReporting, publishPlan } from '@deploy-actions/publish';
import { checkBaseline, concludeScan, lintBuilds, lintTargets, readIgnores } from '@deploy-actions/scanners';
import { definition, specsOf } from './definition.ts';
import { mergeParts } from './merge.ts';
import { outputsOf } from './outputs.ts';
import { type PlannedImage, planImages } from './plan.ts';
import { type BuiltImage, secondsOf, summarizeBuilds } from './summary.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

/** What the state of the post step names the folder of logins. */
const loginFolder = 'docker-config';

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { specs } = specsOf(inputs);
  const origin = originOf(inputs, context);
  if (inputs.merge !== undefined) return mergeParts(inputs, context, specs, origin);
  const lint = await lintDockerfiles(inputs, context, specs);
  if (lint.result !== 'succeeded') {
    return { ...lint, outputs: { ...nothing, findings: lint.findings }, report: lint.report };
  }
  const lintOutcome = { findings: lint.findings, message: lint.message };
  const access = registryAccess(inputs, context);
  const tag = candidateTag(origin, inputs.part ? partOf(specs) : []);
  const epoch = await commitTime({ ...context, directory: context.facts.workspace });
  if (epoch === null) {
    context.log.warning(
      'The time of the commit is not known (no git, no SOURCE_DATE_EPOCH): images have no time of creation, and are not the same when they are built again.',
    );
  }
  const { version, environment, args } = namesOf(inputs, origin);
  const plan = await planImages(specs, context, {
    workspace: context.facts.workspace,
    access,
    registries: openRegistries(access),
    all: inputs.rebuild === 'all',
    args,
    provenance: inputs.provenance,
    mayBeUnreachable: inputs.push === 'load' || inputs.push === 'none' || inputs['dry-run'],
  });
  const buildRun: BuildRun = {
    tag,
    output: inputs.push === 'load' ? 'load' : inputs.push === 'none' ? 'none' : 'push',
    version,
    environment,
    source: sourceOf(context),
    revision: origin.sha,
    epoch,
    provenance: inputs.provenance,
    cacheDirectory: inputs['cache-directory'] ?? join(context.facts.temp, 'deploy-actions', 'build-cache'),
    cacheMode: inputs['cache-mode'],
    hashes: new Map(
      plan.flatMap(({ spec, inputs: made }) => (made.hash === null ? [] : [[spec.name, made.hash]])),
    ),
    workspace: context.facts.workspace,
    home: context.environment['HOME'] ?? '/',
    rewriteTimestamps: false,
  };
  if (inputs['dry-run']) return showPlan(inputs, context, { plan, buildRun, origin, lint: lintOutcome });
  return buildAndVerify(inputs, context, { plan, buildRun, origin, access, lint: lintOutcome });
}

/** Removes the logins of a main step that was ended. */
export async function post(_inputs: Inputs, context: Context): Promise<void> {
  const folder = context.recall(loginFolder);
  if (folder !== '') await rm(folder, { recursive: true, force: true });
}

const nothing = Object.fromEntries(Object.keys(definition.outputs).map((name) => [name, undefined])) as {
  [name in keyof Outputs]: undefined;
};

function originOf(inputs: Inputs, { facts }: Context): Origin {
  const run = facts.runId === '' ? '' : `${facts.runId}-${facts.runAttempt}`;
  return { ref: facts.ref, sha: facts.sha, run, version: inputs.version };
}

/** The page of the repository. */
function sourceOf({ facts }: Context): string {
  return facts.runUrl === '' ? '' : facts.runUrl.replace(/\/actions\/runs\/.*$/, '');
}

/** Arguments that say what is built, and those of them that another image follows from. */
function namesOf(inputs: Inputs, origin: Origin) {
  const version = versionOf(origin);
  const { environment } = inputs;
  return {
    version,
    environment,
    args: {
      ...(environment === undefined ? {} : { ENVIRONMENT: environment }),
      ...(inputs['rebuild-for-version'] ? { VERSION: version } : {}),
    },
  };
}

/** All platforms of a part. */
const partOf = (specs: readonly BuildSpec[]) => [...new Set(specs.flatMap(({ platforms }) => platforms))];

async function lintDockerfiles(inputs: Inputs, context: Context, specs: readonly BuildSpec[]) {
  const builds = specs.map(({ dockerfile, args, target }) => ({
    dockerfile,
    args,
    target: target ?? undefined,
  }));
  const ignores = await readIgnores(inputs, ['.hardeningignore.yaml', '.hardeningignore'], context);
  const found = identify(await lintBuilds(context.facts.workspace, builds));
  const compared = async () => {
    if (inputs.baseline === undefined) return found;
    await checkBaseline(inputs.baseline);
    const before = identify(await lintBuilds(inputs.baseline, builds));
    return compare(found, new Set(before.map(({ fingerprint }) => fingerprint)));
  };
  const { findings, verdict, outputs, ...outcome } = await concludeScan(inputs, context, {
    purpose: 'dockerfile-lint',
    title: 'Dockerfile lint',
    class: 'misconfiguration',
    found: await compared(),
    ignores,
    targets: lintTargets(builds),
    done: `${new Set(builds.map(({ dockerfile }) => dockerfile)).size} Dockerfiles read, and nothing was built`,
    remedy:
      'Mend the Dockerfiles, write an ignore entry with a last day and a reason, or raise `limits` (`limits: none` lets everything pass).',
    summarize: () => {},
  });
  return { ...outcome, findings: outputs.findings, report: { verdict, findings } };
}

interface Work {
  plan: readonly PlannedImage[];
  buildRun: BuildRun;
  origin: Origin;
  lint: { findings: number; message: string };
}

async function definitionFor(inputs: Inputs, context: Context, { plan, buildRun }: Work) {
  const toBuild = plan.filter(({ unchanged }) => unchanged === undefined).map(({ spec }) => spec);
  const bakeFile = bakeDefinition(toBuild, buildRun);
  const folder = inputs['output-directory'] ?? join(context.facts.temp, 'deploy-actions', 'build');
  return { toBuild, bakeFile, folder };
}

/** What would be done. */
async function showPlan(inputs: Inputs, context: Context, work: Work): Promise<Outcome<Outputs>> {
  const { plan, buildRun, origin, lint } = work;
  const { toBuild, bakeFile, folder } = await definitionFor(inputs, context, work);
  const file = await writeDefinition(bakeFile, folder);
  const json = JSON.stringify(bakeFile, null, 2);
  const tags = tagsByRule(inputs.tags, origin);
  const rows = plan.map(({ spec, unchanged, why, inputs: made }) => {
    const what =
      unchanged === undefined ? `built: ${why}` : `tagged, as ${unchanged.facts.digest.slice(0, 19)}`;
    const context = `${made.context.files} files, ${made.context.bytes} bytes`;
    return `| ${[spec.name, what, `${spec.repository}:${buildRun.tag}`, context].map(escapeMarkdown).join(' | ')} |`;
  });
  const markdown = [
    ['| Image | What | As | Context |', '| --- | --- | --- | --- |', ...rows].join('\n'),
    `Tags of the release: ${escapeMarkdown(tags.join(', ') || 'none')}${inputs.push === 'tags' ? '' : ', set by promote-images'}.`,
    `<details><summary>The definition for docker buildx bake</summary>\n\n${codeBlock(json, 'json')}\n\n</details>`,
  ].join('\n\n');
  context.log.info(json);
  await publishPlan(openReporting(context, inputs['github-token']), context, {
    purpose: 'build-images-plan',
    title: 'Build images: plan',
    markdown,
  });
  return {
    result: 'planned',
    reasonCode: 'dry_run',
    message: `${toBuild.length} of ${plan.length} images would be built${toBuild.length === 0 ? '' : ` (${toBuild.map(({ name }) => name).join(', ')})`}; nothing was built or written.`,
    outputs: {
      ...nothing,
      candidate: buildRun.output === 'push' ? buildRun.tag : undefined,
      tags: tags.join(','),
      rebuilt: toBuild.map(({ name }) => name).join(','),
      version: buildRun.version,
      definition: file,
      findings: lint.findings,
    },
    report: { plan: plan.map(describePlanned), definition: bakeFile },
  };
}

function describePlanned({ spec, inputs, unchanged, why }: PlannedImage) {
  const { hash, unknown, context, bases } = inputs;
  return { spec, hash, unknown, context, bases, unchanged: unchanged?.facts.digest ?? null, why };
}

/** Seconds of the commit are set into files where the builder can: BuildKit from 0.13, not the one inside of old engines. */
function canRewriteTimestamps({ limited, buildkit }: Builder): boolean {
  const [major = 0, minor = 0] = /(\d+)\.(\d+)/.exec(buildkit)?.slice(1).map(Number) ?? [];
  return !limited && (major > 0 || minor >= 13);
}

async function buildAndVerify(
  inputs: Inputs,
  context: Context,
  work: Work & { access: ReturnType<typeof registryAccess> },
): Promise<Outcome<Outputs>> {
  const { plan, buildRun, origin, access, lint } = work;
  const { facts, signal, log } = context;
  const registries = openRegistries(access);
  const began = performance.now();
  const program = { environment: context.environment, signal, directory: facts.workspace };
  const { toBuild } = await definitionFor(inputs, context, work);
  let baked: Awaited<ReturnType<typeof bake>> | undefined;
  let builder: Builder | undefined;
  let file: string | undefined;
  for (const { spec, unchanged, why } of plan) {
    log.info(
      unchanged === undefined
        ? `${spec.name}: to be built (${why}).`
        : `${spec.name}: unchanged, ${unchanged.facts.digest}.`,
    );
  }
  if (toBuild.length > 0) {
    builder = await inspectBuilder(inputs.builder, program);
    refuseDemands(builder, {
      platforms: toBuild.flatMap(({ platforms }) => platforms.slice(0, 1)),
      caches: toBuild.map(({ cache }) => cache),
      provenance: inputs.provenance,
    });
    for (const { platforms } of toBuild)
      refuseDemands(builder, { platforms, caches: [], provenance: 'none' });
    log.info(
      `Builder ${builder.name} (${builder.driver}, BuildKit ${builder.buildkit}), buildx ${builder.version}.`,
    );
    buildRun.rewriteTimestamps = canRewriteTimestamps(builder);
    const { bakeFile, folder } = await definitionFor(inputs, context, work);
    const login = await loginForBuild({
      registries: plan.map(({ image }) => image.registry),
      credentials: inputs.username === undefined ? () => Promise.resolve(undefined) : access.credentials,
      environment: context.environment,
      temp: join(facts.temp, 'deploy-actions'),
      mask: context.mask,
    });
    if (login.folder !== undefined) context.remember(loginFolder, login.folder);
    try {
      file = join(folder, 'docker-bake.json');
      baked = await bake({
        ...program,
        environment: login.environment,
        definition: bakeFile,
        builder: inputs.builder,
        allow: allowances(toBuild, buildRun),
        folder,
        log,
        timeout: inputs.timeout,
        dockerfiles: new Map(
          plan.map(({ spec, inputs: made }) => [spec.name, { path: spec.dockerfile, text: made.dockerfile }]),
        ),
      });
    } finally {
      await login.remove();
    }
  }

  const pushed = buildRun.output === 'push';
  const release = inputs.push === 'tags' ? tagsByRule(inputs.tags, origin) : [];
  const compared = inputs['compare-with'] ?? [...tagsByRule(['branch'], origin), 'latest'];
  // Read before anything is tagged: a tag of the branch points at the new image after.
  const verified = await Promise.all(
    plan.map(async (planned) => {
      const { spec, image, unchanged } = planned;
      const before =
        pushed || unchanged !== undefined ? await sizeBefore(registries, image, compared) : undefined;
      if (unchanged !== undefined) return { planned, found: unchanged, before };
      if (!pushed) return { planned, found: undefined, before };
      const digest = baked?.digests.get(spec.name) ?? '';
      if (digest === '') {
        throw new DeployError('image_unverified', `${spec.name}: the builder does not say what it pushed.`, {
          remedy: 'Use a newer buildx, then run this again; nothing was tagged.',
        });
      }
      const found = await verifyPushed(registries, image, { tag: buildRun.tag, digest }, spec.platforms);
      return { planned, found, before };
    }),
  );
  // Not before all are known to be whole: a release is all of its images.
  const images = await Promise.all(
    verified.map(async ({ planned, found, before }): Promise<BuiltImage> => {
      const { spec, image, inputs: made, unchanged, why } = planned;
      const build = baked?.builds.find(({ name }) => name === spec.name);
      const tags: string[] = [];
      if (found !== undefined && pushed) {
        if (made.hash !== null && unchanged === undefined)
          await tagImage(registries, image, found, [inputsTag(made.hash)]);
        tags.push(buildRun.tag, ...release);
        await tagImage(registries, image, found, unchanged === undefined ? release : tags);
      }
      const local = buildRun.output === 'load' ? `${spec.repository}:${buildRun.tag}` : '';
      return {
        name: spec.name,
        reference: found === undefined ? local : `${spec.repository}@${found.facts.digest}`,
        digest: found?.facts.digest ?? '',
        platforms: found?.facts.platforms.map(({ platform }) => platform) ?? spec.platforms,
        size: found?.facts.size ?? null,
        before,
        build: unchanged === undefined ? build : undefined,
        tags,
        why,
      };
    }),
  );
  const took = performance.now() - began;
  summarizeBuilds(images, context, [
    `${toBuild.length} of ${images.length} images built in ${formatDuration(took)}${baked !== undefined && baked.attempts > 1 ? `, at attempt ${baked.attempts}` : ''}`,
    ...(pushed
      ? [
          `pushed as ${escapeMarkdown(buildRun.tag)}, and verified at the registry: every digest, manifest and layer`,
        ]
      : []),
    ...(release.length > 0 ? [`tagged ${escapeMarkdown(release.join(', '))}`] : []),
    ...[...new Set(images.flatMap(({ before }) => (before === undefined ? [] : [before.tag])))].map(
      (tag) => `sizes are compared with ${escapeMarkdown(tag)}`,
    ),
    ...plan
      .filter(({ inputs: made }) => made.hash === null)
      .map(
        ({ spec, inputs: made }) =>
          `${escapeMarkdown(spec.name)} is built each time: ${escapeMarkdown(made.unknown.join('; '))}`,
      ),
  ]);
  const rebuilt = toBuild.map(({ name }) => name);
  return {
    result: 'succeeded',
    reasonCode: 'ok',
    message: messageFor(inputs.push, images.length, rebuilt, buildRun.tag, release),
    outputs: {
      ...outputsOf(images),
      candidate: pushed ? buildRun.tag : undefined,
      tags: tagsByRule(inputs.tags, origin).join(','),
      rebuilt: rebuilt.join(','),
      version: buildRun.version,
      definition: file,
      findings: lint.findings,
    },
    report: {
      images: images.map(({ build, ...image }) => ({
        ...image,
        seconds: secondsOf(build),
        steps: build?.steps ?? 0,
        cached: build?.cached ?? 0,
      })),
      plan: plan.map(describePlanned),
      builder,
      attempts: baked?.attempts ?? 0,
      lint: lint.message,
    },
  };
}

function messageFor(
  push: Inputs['push'],
  all: number,
  rebuilt: readonly string[],
  tag: string,
  release: readonly string[],
): string {
  const built = rebuilt.length === 0 ? 'none had to be built' : `${rebuilt.join(', ')} built`;
  const kept = all - rebuilt.length;
  const where = {
    candidate: `Pushed as ${tag}; promote-images makes a release of it.`,
    tags: `Tagged ${release.join(', ')}.`,
    load: 'What was built is in the engine of this runner.',
    none: 'Nothing was pushed.',
  }[push];
  return `${all === 1 ? '1 image' : `${all} images`}: ${built}${kept > 0 && rebuilt.length > 0 ? `, ${kept} unchanged` : ''}. ${where}`;
}
