import type { Outcome } from '@deploy-actions/action-kit';
import { escapeMarkdown } from '@deploy-actions/action-kit';
import { DeployError, formatDuration } from '@deploy-actions/core';
import {
  describeFreeze,
  freezeEnvironment,
  recordInAudit,
  unfreezeEnvironment,
} from '@deploy-actions/ledger';
import {
  breakLease,
  describeRun,
  type HeldLease,
  isSettled,
  peekJournal,
  readLease,
} from '@deploy-actions/release-engine';
import { isRunAlive } from '@deploy-actions/targets';
import { parseUntil } from './definition.ts';
import { answer, type Desk, type Outputs } from './desk.ts';

function planned(desk: Desk, step: string, json: unknown): Outcome<Outputs> {
  desk.context.summary.list([escapeMarkdown(step)]);
  return answer(desk, {
    result: 'planned',
    reasonCode: 'dry_run',
    message: `Would ${step}. Nothing was written.`,
    json,
  });
}

const describeLease = ({ holder, acquiredAt, age }: HeldLease): string =>
  `the lease that ${describeRun(holder)} holds since ${acquiredAt}, last sign of life ${formatDuration(age)} ago`;

/** What is left behind by a release that never came to its end. */
async function leftBehind({ state }: Desk): Promise<string> {
  const journal = await peekJournal(state.store);
  return journal === null || isSettled(journal)
    ? ''
    : ` The release of ${journal.to.release.version} is left in phase «${journal.phase}»; the next release or rollback settles it.`;
}

/** Takes the lease from its holder, who writes nothing more. Refuses while the holder is known to be alive. */
export async function unlock(desk: Desk): Promise<Outcome<Outputs>> {
  const { inputs, label, lease, run, state, context } = desk;
  if (lease === null) {
    return answer(desk, {
      result: 'unchanged',
      reasonCode: 'already_current',
      message: `Nobody holds the lease of ${label}.`,
      json: { lease: null },
    });
  }
  const what = describeLease(lease);
  const isAlive = inputs.force
    ? undefined
    : ((await state.isAlive(lease.holder)) ?? (await isRunAlive(inputs, context, lease.holder)));
  if (isAlive === true) {
    throw new DeployError(
      'lock_held',
      `${describeRun(lease.holder)} is alive and holds the lease of ${label}.`,
      {
        remedy: `Cancel that run, or wait for it. With \`force: true\` the lease is taken from it all the same: it then stops where it is.`,
      },
    );
  }
  const left = await leftBehind(desk);
  if (inputs['dry-run']) return planned(desk, `take ${what}`, { lease });
  const reason = inputs.reason ?? '';
  await recordInAudit(state.store, { what: 'unlock', reason, run, detail: what });
  await breakLease(state.store, lease);
  context.log.info(`Took ${what}.`);
  return answer(desk, {
    message: `Took ${what}. ${label} is unlocked.${left}`,
    json: { lease },
    holder: '',
  });
}

export async function freeze(desk: Desk): Promise<Outcome<Outputs>> {
  const { inputs, label, run, state } = desk;
  const until = inputs.until === undefined ? null : (parseUntil(inputs.until) ?? null);
  const end = until === null ? '' : ` until ${until.toISOString()}`;
  const reason = inputs.reason ?? '';
  if (inputs['dry-run']) {
    const instead = desk.freeze === null ? '' : `, instead of: ${describeFreeze(desk.freeze)}`;
    return planned(desk, `freeze ${label}${end}: ${reason}${instead}`, { freeze: desk.freeze });
  }
  const made = await freezeEnvironment(state.store, { reason, run, until });
  // Looked for after the freeze is written: who had the lease then may not have seen it.
  const underWay = await readLease(state.store);
  const goesOn =
    underWay === null
      ? ''
      : ` ${describeRun(underWay.holder)} holds the lease: what it began goes on, and is the last.`;
  return answer(
    { ...desk, lease: underWay },
    {
      message: `${label} is frozen${end}: ${reason}.${goesOn}`,
      json: { freeze: made },
      frozen: true,
    },
  );
}

export async function unfreeze(desk: Desk): Promise<Outcome<Outputs>> {
  const { inputs, label, run, state } = desk;
  const reason = inputs.reason ?? '';
  if (desk.freeze === null) {
    return answer(desk, {
      result: 'unchanged',
      reasonCode: 'already_current',
      message: `${label} is not frozen.`,
      json: { freeze: null },
    });
  }
  if (inputs['dry-run']) {
    return planned(desk, `unfreeze ${label}, ${describeFreeze(desk.freeze)}`, { freeze: desk.freeze });
  }
  const lifted = await unfreezeEnvironment(state.store, { reason, run });
  return answer(desk, {
    message: `${label} is unfrozen${lifted === null ? '' : `; it was ${describeFreeze(lifted)}`}.`,
    json: { freeze: lifted },
    frozen: false,
  });
}
