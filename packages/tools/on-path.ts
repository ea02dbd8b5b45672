import { stat } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { orUndefinedIfMissing } from '@deploy-actions/core';

/** The first executable file of this name in the folders of PATH. */
export async function findProgram(name: string, environment: NodeJS.ProcessEnv): Promise<string | undefined> {
  for (const folder of (environment['PATH'] ?? '').split(delimiter)) {
    const program = join(folder, name);
    const there = folder === '' ? undefined : await orUndefinedIfMissing(stat(program));
    if (there?.isFile() === true && (there.mode & 0o111) !== 0) return program;
  }
  return undefined;
}
