import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { orUndefinedIfMissing } from '@deploy-actions/core';
import { readDockerfile } from '@deploy-actions/dockerfile';
import type { Scanned } from '../model.ts';
import { checkDockerfile, type DockerfileBuild } from './dockerfile.ts';
import { hardeningFinding } from './rules.ts';

/** A Dockerfile and what is built from it. */
export interface LintedBuild extends DockerfileBuild {
  /** Relative to the root, with slashes. */
  dockerfile: string;
}

/**
 * Looks at the Dockerfiles that images are built from, each stage that is built once. One that is not there, or is none, has no
 * findings: the build says so.
 */
export async function lintBuilds(root: string, builds: readonly LintedBuild[]): Promise<Scanned[]> {
  const findings = new Map<string, Scanned>();
  for (const { dockerfile, args, target } of builds) {
    const text = await orUndefinedIfMissing(readFile(join(root, dockerfile), 'utf8'));
    const instructions = text === undefined ? undefined : readDockerfile(text);
    if (instructions === undefined) continue;
    for (const hit of checkDockerfile(instructions, { args, target })) {
      // Several images may be made of one file.
      const key = JSON.stringify([dockerfile, hit.rule, hit.line, hit.subject, hit.message]);
      findings.set(key, hardeningFinding(hit, dockerfile, 'dockerfile'));
    }
  }
  return [...findings.values()];
}
