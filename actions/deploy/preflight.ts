import { type Context, escapeMarkdown, type Outcome, type Problem } from '@deploy-actions/action-kit';
import { deadlineIn, DeployError, formatDuration, sleep } from '@deploy-actions/core';
import { createGitHub, readCommitChecks } from '@deploy-actions/github';
import { requireNotFrozen } from '@deploy-actions/ledger';
import { readOccasion } from '@deploy-actions/publish';
import {
  describeRun,
  isInPlace,
  isSettled,
  peekJournal,
  readHistory,
  readLease,
  type RunIdentity,
} from '@deploy-actions/release-engine';
import { refuseLeftByOthers, type Target } from '@deploy-actions/targets';
import { awaitChecks, describeChecks, isGreen, type RequiredCheck, standOf } from './checks.ts';
import { type Asked, commitOf, type Phase, type Prepared } from './phase.ts';
import { readServing, type Serving, type TargetSettings } from './serving.ts';
import { readSettings, targetSettings } from './settings.ts';

type Refusal = Pick<Outcome, 'reasonCode' | 'message' | 'remedy'>;

interface Seen {
  serving: Serving;
  rows: [string, string][];
  checks: RequiredCheck[];
  /** Whether the release before this one was taken back or fled from. */
  lastFailed: boolean;
}

/** The store, the router and the platform answer: what cannot be read now would not be found out until traffic moves. */
async function readState(asked: Asked, settings: TargetSettings, context: Context): Promise<Seen> {
  const serving = await readServing(settings, context);
  const { store } = serving.target;
  const [journal, history] = await Promise.all([peekJournal(store), readHistory(store)]);
  // The shift refuses it, too; but the database is migrated before that.
  await refuseLeftByOthers(serving.target, (one) => !isInPlace(one));
  const unfinished =
    journal === null || isSettled(journal)
      ? 'No release is unfinished.'
      : `The release of ${journal.to.release.version} is unfinished (phase «${journal.phase}»); the shift settles it first.`;
  const last = history.at(-1);
  return {
    serving,
    checks: [],
    lastFailed: last !== undefined && (last.result === 'taken-back' || last.fled !== null),
    rows: [
      ['Environment', escapeMarkdown(asked.inputs.environment)],
      ['Serving now', escapeMarkdown(serving.words)],
      ['State', escapeMarkdown(`${store.location} can be read. ${unfinished}`)],
    ],
  };
}

/** The required checks of the commit. A failure to read them is thrown: this is a gate. */
async function gateOf({ inputs }: Asked, context: Context, timeout: number): Promise<RequiredCheck[]> {
  const { facts, log, signal } = context;
  const { apiUrl, graphqlUrl, repository } = facts;
  const sha = commitOf(inputs.version, readOccasion(facts).headSha);
  const github = createGitHub({
    ...{ token: inputs['github-token'] ?? '', apiUrl, graphqlUrl, repository, log, signal },
  });
  const look = async () => standOf(inputs['checks-required'] ?? [], await readCommitChecks(github, sha));
  return awaitChecks(look, timeout, { signal, log });
}

function refusalOf(checks: RequiredCheck[], timeout: number): Refusal | undefined {
  if (isGreen(checks)) return undefined;
  const open = checks.filter(({ state }) => state !== 'success');
  const isOver = timeout > 0 && !open.some(({ state }) => state === 'failed');
  const waited = isOver ? ` after ${formatDuration(timeout)} (\`checks.timeout\`)` : '';
  return {
    reasonCode: 'checks_not_green',
    message: `The commit is not green${waited}: ${describeChecks(open)}. Nothing was touched.`,
    remedy:
      'See that these checks succeed on the commit, then run it again. A name in `checks.required` is that of a check run (of a job: its name) or of a commit status, exactly as the commit shows it.',
  };
}

/** Why the environment may not be released to; undefined when it may, or is broken open. */
async function frozen(target: Target, reason: string | undefined): Promise<Refusal | undefined> {
  if (reason !== undefined) return undefined;
  try {
    await requireNotFrozen(target.store, target.label);
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof DeployError) || thrown.reasonCode !== 'environment_frozen') throw thrown;
    return thrown;
  }
}

/** Who holds the lease and may not be taken over: migrations must not run under the release of somebody else. */
async function holderOf({ store, isAlive }: Target): Promise<RunIdentity | undefined> {
  const held = await readLease(store);
  if (held === null || held.age > held.ttl || (await isAlive(held.holder)) === false) return undefined;
  return held.holder;
}

/** Milliseconds between two looks at the lease. */
const betweenLooks = 2_000;

/** Waits for the holder of the lease as the shift would, which takes it. */
async function held(target: Target, timeout: number, context: Context): Promise<Refusal | undefined> {
  const deadline = deadlineIn(timeout);
  for (;;) {
    const isLast = deadline.passed();
    const holder = await holderOf(target);
    if (holder === undefined) return undefined;
    if (isLast) {
      return {
        reasonCode: 'lock_held',
        message: `${describeRun(holder)} releases to ${target.label}; waited ${formatDuration(timeout)}. Nothing was touched.`,
        remedy: 'Wait for that run to end, cancel it, or give `lock-timeout` more time.',
      };
    }
    context.log.progress({
      what: `waiting for ${describeRun(holder)}`,
      elapsed: deadline.elapsed(),
      remaining: deadline.remaining(),
    });
    const pause = Math.min(betweenLooks, Math.max(1, deadline.remaining()));
    await sleep(pause, context.signal, 'waiting for another release');
  }
}

/** Looks in the order of what it takes: what refuses at once comes before what is waited for. */
async function inspect(
  asked: Asked,
  settings: TargetSettings,
  context: Context,
  timeouts: { lease: number; checks: number },
): Promise<{ seen: Seen; refusal: Refusal | undefined }> {
  const seen = await readState(asked, settings, context);
  const { target } = seen.serving;
  const freeze = await frozen(target, settings['break-freeze']);
  const lease = freeze ?? (await held(target, timeouts.lease, context));
  const reason = settings['break-freeze'];
  const open = reason === undefined ? 'not frozen' : `broken open, if there is one: ${reason}`;
  seen.rows.push(['Freeze', escapeMarkdown(freeze?.message ?? open)]);
  if (lease !== undefined && lease !== freeze) seen.rows.push(['Lease', escapeMarkdown(lease.message)]);
  let refusal = lease;
  if (refusal === undefined && asked.inputs['checks-required'] !== undefined) {
    seen.checks = await gateOf(asked, context, timeouts.checks);
    refusal = refusalOf(seen.checks, timeouts.checks);
    for (const { name, state, said } of seen.checks) {
      const mark = state === 'success' ? '✅' : state === 'failed' ? '❌' : '⏳';
      seen.rows.push([`Check ${escapeMarkdown(name)}`, `${mark} ${escapeMarkdown(said)}`]);
    }
  }
  context.summary.table(['What', 'Seen'], seen.rows);
  return { seen, refusal };
}

function outcomeOf(
  seen: Seen,
  ending: Pick<Outcome, 'result' | 'reasonCode' | 'message' | 'remedy'>,
): Outcome {
  const { main } = seen.serving;
  return {
    ...ending,
    outputs: { version: main?.version, slot: main?.slot },
    report: { checks: seen.checks, lastFailed: seen.lastFailed, serving: main },
  };
}

/** Reads what has to be right before anything is touched. Writes nothing. */
export const preflight: Phase = {
  name: 'preflight',
  title: 'Preflight',
  doing: 'Looking before anything is touched',
  isWanted: () => true,
  async prepare(asked, context): Promise<Prepared | Problem[]> {
    const read = await readSettings(targetSettings, {}, asked, context);
    if (!read.ok) return read.problems;
    const { version } = asked.inputs;
    return {
      async plan(within) {
        const { seen, refusal } = await inspect(asked, read.inputs, within, { lease: 0, checks: 0 });
        return outcomeOf(seen, {
          result: 'planned',
          reasonCode: 'dry_run',
          message: `${seen.serving.words}${refusal === undefined ? '' : ` As it is now, it would wait or be refused: ${refusal.message}`}`,
        });
      },
      async run(within) {
        const { seen, refusal } = await inspect(asked, read.inputs, within, {
          lease: read.inputs['lock-timeout'],
          checks: asked.inputs['checks-timeout'],
        });
        if (refusal !== undefined) {
          const { reasonCode, remedy } = refusal;
          // As everywhere: another release at the same time is a failure, not a fault of what was asked for.
          const result = reasonCode === 'lock_held' ? 'failed' : 'refused';
          const message = `${refusal.message} ${seen.serving.words}`;
          return outcomeOf(seen, { result, reasonCode, message, remedy });
        }
        return outcomeOf(seen, {
          result: 'succeeded',
          reasonCode: 'ok',
          message: `${version} may be released. ${seen.serving.words}`,
        });
      },
    };
  },
};
