import { join } from 'node:path';
import type { Context } from '@deploy-actions/action-kit';
import {
  allowances,
  bake,
  type Baked,
  type Builder,
  canRewriteTimestamps,
  canWeighSteps,
  inspectBuilder,
  loginForBuild,
  refuseDemands,
} from '@deploy-actions/images';
import { type Inputs, toBuild, type Work } from './work.ts';

/** What the state of the post step names the folder of logins. */
export const loginFolder = 'docker-config';

export interface BuildResult {
  builder: Builder;
  baked: Baked;
  /** Path of the definition. */
  file: string;
}

/** Builds what changed, all at once, and pushes it where that is asked for. Undefined where nothing changed: then no builder is needed. */
export async function buildChanged(
  inputs: Inputs,
  context: Context,
  work: Work,
): Promise<BuildResult | undefined> {
  const { plan, access, folder } = work;
  const { facts, log, signal, environment } = context;
  const { specs } = toBuild(work);
  if (specs.length === 0) return undefined;
  const program = { environment, signal, directory: facts.workspace };
  const builder = await inspectBuilder(inputs.builder, program);
  log.info(
    `Builder ${builder.name} (${builder.driver}, BuildKit ${builder.buildkit || 'of the engine'}), buildx ${builder.version}.`,
  );
  for (const { platforms, cache } of specs)
    refuseDemands(builder, { platforms, caches: [cache], provenance: inputs.provenance });
  const run = {
    ...work.run,
    rewriteTimestamps: canRewriteTimestamps(builder),
    weighsSteps: canWeighSteps(builder),
  };
  if (!run.weighsSteps && specs.some(({ cpuShares }) => cpuShares !== null)) {
    log.warning(
      'The builder is too old for `cpu-shares`, which is left out: all images are built with the same weight. It needs buildx 0.35 and BuildKit 0.31, which `docker/setup-buildx-action` brings.',
    );
  }
  const { definition } = toBuild({ plan, run });
  const login = await loginForBuild({
    registries: plan.map(({ image }) => image.registry),
    bases: plan.flatMap(({ inputs: made }) => made.registries),
    // Without a login of the step, docker has what it needs already.
    credentials: inputs.username === undefined ? () => Promise.resolve(undefined) : access.credentials,
    environment,
    temp: join(facts.temp, 'deploy-actions'),
    mask: context.mask,
  });
  if (login.folder !== undefined) context.remember(loginFolder, login.folder);
  try {
    const baked = await bake({
      ...program,
      environment: login.environment,
      definition,
      builder: inputs.builder,
      allow: allowances(specs, run),
      folder,
      log,
      timeout: inputs.timeout,
      dockerfiles: new Map(
        plan.map(({ spec, inputs: { dockerfile } }) => [
          spec.name,
          { path: spec.dockerfile, text: dockerfile },
        ]),
      ),
    });
    return { builder, baked, file: join(folder, 'docker-bake.json') };
  } finally {
    await login.remove();
  }
}
