import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DeployError, type Log, orUndefinedIfMissing } from '@deploy-actions/core';
import { type Ignore, parseIgnoreLines, parseIgnoreYaml, type Sorted } from './ignore.ts';

/**
 * Reads the ignore file that was given (an absolute path), else the first of the usual names that is in the workspace. Throws `not_found`
 * for one that was given and is not there.
 */
export async function readIgnoreFile(
  given: string | undefined,
  usual: readonly string[],
  workspace: string,
): Promise<Ignore[]> {
  const candidates = given === undefined ? usual.map((name) => join(workspace, name)) : [given];
  for (const file of candidates) {
    const text = await orUndefinedIfMissing(readFile(file, 'utf8'));
    if (text === undefined) continue;
    const name = file.startsWith(`${workspace}/`) ? file.slice(workspace.length + 1) : file;
    return /\.ya?ml$/.test(file) ? parseIgnoreYaml(text, name) : parseIgnoreLines(text, name);
  }
  if (given === undefined) return [];
  throw new DeployError('not_found', `The ignore file ${given} does not exist.`, {
    remedy: 'Correct `ignore-file`.',
  });
}

/** Entries that hold for ever are said, or refused with `invalid_config`. */
export function refuseUndated(ignores: readonly Ignore[], otherwise: 'warn' | 'fail', log: Log): void {
  const undated = ignores.filter(({ until }) => until === null);
  if (undated.length === 0) return;
  const text = `Ignore entries without a last day: ${undated.map(({ id, where }) => `${id} (${where})`).join(', ')}.`;
  if (otherwise === 'fail') {
    throw new DeployError('invalid_config', text, {
      remedy: 'Give each the day on which it is looked at again: `exp:2030-01-31`, or `expired_at` in YAML.',
    });
  }
  log.warning(text);
}

/** Says what was ignored and why, what counts again, and what can go. */
export function tellIgnores(
  { ignored, expired, unused }: Sorted,
  log: Log,
  summary: { details(title: string, text: string): void },
): void {
  const lines = [
    ...ignored.map(
      ({ finding, by }) =>
        `ignored: ${finding.rule.id} in ${finding.subject?.name ?? finding.target.name} (${by.where}${by.until === null ? '' : `, to ${by.until}`}) ${by.statement}`,
    ),
    ...expired.map(
      ({ id, until, where }) => `expired: ${id} was ignored to ${until ?? ''} (${where}) and counts again`,
    ),
    ...unused.map(({ id, where }) => `unused: ${id} (${where}) is not found and can go`),
  ];
  for (const { id, until, where } of expired)
    log.warning(`${where}: ${id} was ignored to ${until ?? ''}; it counts again.`);
  if (lines.length > 0) summary.details('Ignore file', lines.join('\n'));
}
