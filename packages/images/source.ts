import { cancelled, runProcess } from '@deploy-actions/core';
import type { ProgramContext } from './builder.ts';

/**
 * Seconds since 1970 of the commit that is built, by which the times in images are set, so that the same commit makes the same image:
 * SOURCE_DATE_EPOCH (https://reproducible-builds.org/specs/source-date-epoch/) where it is set, else what git says. Null where there
 * is neither.
 */
export async function commitTime(context: ProgramContext): Promise<number | null> {
  const given = context.environment['SOURCE_DATE_EPOCH'];
  if (given !== undefined && /^\d{1,11}$/.test(given)) return Number(given);
  try {
    const { code, stdout } = await runProcess({
      command: ['git', 'show', '--no-patch', '--format=%ct', 'HEAD'],
      cwd: context.directory,
      env: {
        ...context.environment,
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'safe.directory',
        GIT_CONFIG_VALUE_0: '*',
      },
      signal: context.signal,
      timeout: 20_000,
    });
    return code === 0 && /^\d{1,11}$/.test(stdout.trim()) ? Number(stdout.trim()) : null;
  } catch {
    if (context.signal.aborted) throw cancelled('asking git for the time of the commit');
    return null;
  }
}
