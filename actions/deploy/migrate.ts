import { isRecord } from '@deploy-actions/core';
import type { Outcome } from '@deploy-actions/action-kit';
import type { Phase, Undo } from './phase.ts';
import { preparePart } from './settings.ts';

/** Migrations are not reversed: going back could lose what was written since, and needs a window of its own. */
function staysOf({ report, outputs }: Outcome): Undo {
  const { findings } = report;
  const unsafe =
    Array.isArray(findings) &&
    findings.some((finding) => isRecord(finding) && finding['severity'] === 'error');
  const backup = outputs['backup-file'];
  const dump = backup === undefined || backup === '' ? '' : ` The backup from before is ${String(backup)}.`;
  return {
    kind: 'stays',
    why: unsafe
      ? `The migrations stay, although the check of the plan says that the earlier version may not work with them: look at its findings.${dump}`
      : `The migrations stay: the check of the plan found them safe for the earlier version.${dump}`,
  };
}

export const migrate: Phase = {
  name: 'migrate',
  title: 'Migrate',
  doing: 'Migrating the database',
  isWanted: ({ config }) => config('database.migrator') !== undefined,
  async prepare(asked, context) {
    const part = await preparePart('migrate-db', {}, asked, context);
    if (Array.isArray(part)) return part;
    return {
      plan: (within) => part.run(within, { 'dry-run': true }),
      run: (within) => part.run(within),
      undo: staysOf,
    };
  },
};
