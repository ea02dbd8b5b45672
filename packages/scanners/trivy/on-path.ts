import type { Log } from '@deploy-actions/core';
import { findProgram } from '@deploy-actions/tools';
import { versionOf } from './run.ts';
import { refuseTampered } from './versions.ts';

/**
 * A Trivy on PATH; undefined where there is none. Throws `tool_rejected` for a release that was tampered with, and for what does not answer
 * as Trivy does.
 */
export async function trivyOnPath(options: {
  environment: NodeJS.ProcessEnv;
  log: Log;
  signal: AbortSignal;
}): Promise<string | undefined> {
  const program = await findProgram('trivy', options.environment);
  if (program === undefined) return undefined;
  const version = await versionOf(program, options);
  refuseTampered(version, program);
  options.log.info(`Trivy ${version} is on PATH: ${program}.`);
  return program;
}
