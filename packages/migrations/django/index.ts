import { createHash } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import {
  DeployError,
  cancelled,
  deadlineIn,
  digestOf,
  formatDuration,
  isRecord,
  messageOf,
  sleep,
  type Log,
} from '@deploy-actions/core';
import { lint } from '../lint.ts';
import {
  MigrationError,
  type Applied,
  type DatabaseIdentity,
  type MigrationState,
  type MigrationTarget,
  type Migrator,
  type Plan,
  type PlannedMigration,
  type Reverse,
  type Status,
  type WriteOptions,
} from '../port.ts';
import { runMigrate, type Outcome } from './apply.ts';
import type { Application } from './helper.ts';
import { openSession, type Session } from './session.ts';

export interface DjangoOptions {
  /** The application's directory; manage.py is run from there. */
  directory: string;
  /** The application's Python: a path, or a name on the PATH of `environment`. */
  python: string;
  /** Relative to the directory; default `manage.py`. */
  manage?: string;
  /** Settings module, when it is not the one that manage.py chooses. */
  settings?: string;
  /** The whole environment of the application's processes, with PATH and what the settings read. */
  environment: Record<string, string>;
  /** Alias in the settings' DATABASES; default `default`. */
  database?: string;
  /** Name of the deployment environment: part of the lock's key. */
  deployment: string;
  /** Who this is, for others that meet the lock: a run's URL or number. At most 63 bytes are shown. */
  holder: string;
  /** Milliseconds to wait for a migration of somebody else to end; default 0. */
  lockWait?: number;
  /** Milliseconds that a statement waits for a table lock before it gives way; default 5 s. */
  lockTimeout?: number;
  /** Milliseconds that one statement may take; default 15 min; 0 for no limit. */
  statementTimeout?: number;
  /** How often a migration in a transaction is tried again after a lock time-out; default 5. */
  retries?: number;
  /** Milliseconds before the first of these; each further one doubles it, up to 30 s; default 1 s. */
  retryDelay?: number;
  log: Log;
}

const defaultLimit = 30 * 60_000;
const longestRetryDelay = 30_000;
const lockPoll = 1_000;

const nameOf = (migration: { app: string; name: string }) => `${migration.app}.${migration.name}`;

/** What the helper answers to `status` and `plan`. */
interface Inspection extends Status {
  plan: Omit<PlannedMigration, 'sqlHash' | 'findings'>[];
  reverse: Reverse;
}

/**
 * The migrations of a Django project on PostgreSQL, seen by one start of Django and run as `manage.py migrate` runs
 * them, with the application's Python and without a change to the application.
 */
export function createDjangoMigrator(options: DjangoOptions): Migrator {
  const { log } = options;
  const database = options.database ?? 'default';
  const application: Application = {
    directory: options.directory,
    python: options.python,
    manage: options.manage ?? 'manage.py',
    environment: {
      ...options.environment,
      ...(options.settings === undefined ? {} : { DJANGO_SETTINGS_MODULE: options.settings }),
    },
  };
  const secrets = new Set<string>();
  let opened: Session | undefined;

  async function session(signal: AbortSignal): Promise<Session> {
    if (opened !== undefined && !opened.lost.aborted) return opened;
    const file = join(application.directory, application.manage);
    await access(file).catch((cause: unknown) => {
      throw new DeployError('not_found', `There is no ${file}.`, {
        remedy: "Name the directory of the application's manage.py.",
        cause,
      });
    });
    opened = await openSession(application, database, { log, secrets, signal });
    const environment = stringRecord(await opened.request({ command: 'connection' }, signal));
    secrets.add(environment['PGPASSWORD'] ?? '');
    return opened;
  }

  async function inspect(signal: AbortSignal, message: Record<string, unknown>): Promise<Inspection> {
    // The shape is the helper's, which ships with this file.
    return (await (await session(signal)).request(message, signal)) as Inspection;
  }

  async function status(signal: AbortSignal): Promise<Status> {
    const { database: identity, migrations, invalidIndexes } = await inspect(signal, { command: 'status' });
    return { database: identity, migrations, invalidIndexes };
  }

  async function plan(signal: AbortSignal, targets: MigrationTarget[] = []): Promise<Plan> {
    const inspection = await inspect(signal, { command: 'plan', targets });
    const migrations = inspection.plan.map((migration) => ({
      ...migration,
      sqlHash: migration.sql === null ? null : sha256(migration.sql),
      findings: [],
    }));
    const bare: Plan = {
      hash: hashOf(inspection.database, migrations),
      database: inspection.database,
      targets,
      migrations,
      reverse: inspection.reverse,
      invalidIndexes: inspection.invalidIndexes,
    };
    const findings = lint(bare);
    return {
      ...bare,
      migrations: migrations.map((migration) => ({
        ...migration,
        findings: findings.filter((finding) => finding.migration === nameOf(migration)),
      })),
    };
  }

  /** The states of the plan's migrations, as the database has them; `unfinished` tells what they cannot show. */
  async function statesOf(plan: Plan, unfinished: Outcome['unfinished']): Promise<MigrationState[]> {
    const now = await status(AbortSignal.timeout(60_000));
    const stateOf = new Map(now.migrations.map((migration) => [nameOf(migration), migration.state]));
    return plan.migrations.map((migration) => {
      const base = { app: migration.app, name: migration.name };
      const state = stateOf.get(nameOf(migration)) ?? 'not-applied';
      if (migration.atomic || unfinished?.migration !== nameOf(migration)) return { ...base, state };
      const { operationsDone, operations } = unfinished;
      const left = now.invalidIndexes.filter((index) => !plan.invalidIndexes.includes(index));
      const detail =
        `it has no transaction: ${operationsDone} of ${operations} operations are done` +
        (left.length > 0 ? `; invalid indexes: ${left.join(', ')}` : '');
      return { ...base, state: 'partly', detail };
    });
  }

  /** Runs `work` while the lock is held; the signal it gets aborts when the lock is lost, too. */
  async function locked<T>(
    signal: AbortSignal,
    work: (signal: AbortSignal, holding: Session) => Promise<T>,
  ): Promise<T> {
    const holding = await session(signal);
    const wait = deadlineIn(options.lockWait ?? 0);
    for (;;) {
      const answer = await holding.request(
        { command: 'lock', name: options.deployment, holder: `deploy-actions ${options.holder}` },
        signal,
      );
      if (answer === true) break;
      if (wait.passed()) throw lockedBy(answer);
      log.progress({
        what: 'waiting for another migration',
        elapsed: wait.elapsed(),
        remaining: wait.remaining(),
        detail: lockedBy(answer).message,
      });
      await sleep(Math.min(lockPoll, wait.remaining()), signal, 'waiting for the migration lock');
    }
    try {
      return await work(AbortSignal.any([signal, holding.lost]), holding);
    } finally {
      // A session that cannot answer any more is ended by this, and its lock with it.
      await holding.request({ command: 'unlock' }, AbortSignal.timeout(10_000)).catch(() => {});
    }
  }

  /** Runs one `migrate` command until it ends, again after lock time-outs in transactions. */
  async function migrate(
    plan: Plan,
    command: string[],
    fence: WriteOptions['fence'],
    signal: AbortSignal,
  ): Promise<{ outcome: Outcome; retries: number }> {
    const atomic = new Map(plan.migrations.map((migration) => [nameOf(migration), migration.atomic]));
    let retries = 0;
    /** Each migration has its own tries. */
    let attempts = 0;
    let retriedMigration: string | undefined;
    for (;;) {
      await fence?.check();
      const outcome = await runMigrate(
        application,
        {
          database,
          arguments: command,
          lockTimeout: options.lockTimeout ?? 5_000,
          statementTimeout: options.statementTimeout ?? 15 * 60_000,
        },
        { log, secrets, signal },
      );
      const migration = outcome.unfinished?.migration;
      const mayRetry = outcome.retry && migration !== undefined && atomic.get(migration) === true;
      if (!mayRetry || signal.aborted) return { outcome, retries };
      if (migration !== retriedMigration) attempts = 0;
      retriedMigration = migration;
      if (attempts >= (options.retries ?? 5)) return { outcome, retries };
      const ceiling = Math.min(longestRetryDelay, (options.retryDelay ?? 1_000) * 2 ** attempts);
      const pause = ceiling * (0.5 + Math.random() / 2);
      attempts += 1;
      retries += 1;
      log.warning(
        `${migration} could not get a lock in ${formatDuration(options.lockTimeout ?? 5_000)}; ` +
          `retry ${attempts} of ${options.retries ?? 5} in ${formatDuration(pause)}.`,
      );
      try {
        await sleep(pause, signal);
      } catch {
        return { outcome, retries };
      }
    }
  }

  /** What `apply` and `reverse` share: the lock, the limit, the commands, and the state after a failure. */
  async function write(
    plan: Plan,
    write: WriteOptions,
    prepare: (signal: AbortSignal, holding: Session) => Promise<string[][]>,
    failed: (states: MigrationState[]) => string,
  ): Promise<Applied> {
    const deadline = deadlineIn(write.limit ?? defaultLimit);
    const overtime = AbortSignal.timeout(deadline.total);
    return await locked(AbortSignal.any([write.signal, overtime]), async (signal, holding) => {
      const commands = await prepare(signal, holding);
      if (commands.length > 0) await write.beforeWrite?.(signal);
      let retries = 0;
      for (const command of commands) {
        if (holding.lost.aborted) throw holding.lost.reason;
        const result = await migrate(plan, command, write.fence, signal);
        retries += result.retries;
        const { error, unfinished, retry } = result.outcome;
        if (error === null) continue;
        const cause = stopped(write.signal, overtime, holding, deadline.total) ?? error;
        const states = await statesOf(plan, unfinished).catch((thrown: unknown) => {
          throw new MigrationError(
            cause.reasonCode,
            `Migration stopped: ${cause.message} What was applied cannot be read: ${messageOf(thrown)}`,
            { states: [], details: error.details, cause: error },
          );
        });
        throw new MigrationError(
          retry && cause === error ? 'migration_locked' : cause.reasonCode,
          `${failed(states)} ${cause.message}`,
          {
            states,
            remedy: remedyFor(states, cause),
            details: error.details,
            cause: error,
          },
        );
      }
      return { states: await statesOf(plan, null), retries, elapsed: deadline.elapsed() };
    });
  }

  return {
    status,
    plan,
    lint,

    apply: (approved, options) =>
      write(
        approved,
        options,
        async (signal) => {
          const now = await plan(signal, approved.targets);
          if (now.hash !== approved.hash) throw planChanged(approved, now);
          if (now.migrations.length === 0) return [];
          return approved.targets.length === 0
            ? [[]]
            : approved.targets.map(({ app, name }) => (name === undefined ? [app] : [app, name]));
        },
        (states) => `Migration stopped with ${summaryOf(states)}.`,
      ),

    reverse: (applied, options) =>
      write(
        applied,
        options,
        async (signal, holding) => {
          if (!applied.reverse.possible) {
            throw new DeployError(
              'unsupported',
              `There is no way back: ${applied.reverse.reasons.join('; ')}.`,
              {
                remedy: 'Restore the backup, or migrate forward with a correction.',
              },
            );
          }
          const { steps } = applied.reverse;
          const answer = await holding.request({ command: 'unapplied-by', steps }, signal);
          const taken = Array.isArray(answer) ? answer.map(stringArray) : [];
          const planned = new Set(applied.migrations.map(nameOf));
          const foreign = taken.flat().filter((name) => !planned.has(name));
          if (foreign.length > 0) {
            throw new DeployError('plan_changed', `Going back would also take back ${foreign.join(', ')}.`, {
              remedy: 'These were applied later; take them back first.',
            });
          }
          return steps
            .filter((_, index) => (taken[index] ?? []).length > 0)
            .map(({ app, name }) => [app, name]);
        },
        (states) => `Going back stopped with ${summaryOf(states)}.`,
      ),

    /** `migrate --check` for the plan's targets, the plan's migrations recorded, no new invalid index, `SELECT 1`. */
    verify: async (applied, signal) => {
      const now = await inspect(signal, { command: 'plan', targets: applied.targets });
      const stateOf = new Map(now.migrations.map((migration) => [nameOf(migration), migration.state]));
      const problems = [
        ...applied.migrations
          .filter((migration) => stateOf.get(nameOf(migration)) !== 'applied')
          .map((migration) => `${nameOf(migration)} is not recorded as applied`),
        ...now.plan.map((migration) => `${nameOf(migration)} is still to be applied`),
        ...now.invalidIndexes
          .filter((index) => !applied.invalidIndexes.includes(index))
          .map((index) => `the index ${index} is invalid`),
      ];
      if (problems.length > 0) {
        throw new DeployError(
          'verify_failed',
          `The database is not as planned: ${[...new Set(problems)].join('; ')}.`,
          {
            remedy: 'Drop an invalid index (DROP INDEX CONCURRENTLY), make the plan again and apply it.',
          },
        );
      }
    },

    connection: async (signal) =>
      stringRecord(await (await session(signal)).request({ command: 'connection' }, signal)),

    close: async () => {
      await opened?.close();
      opened = undefined;
    },
  };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Findings and texts for people are left out: a better wording is not another plan. */
function hashOf(database: DatabaseIdentity, migrations: PlannedMigration[]): string {
  return digestOf({
    database: { host: database.host, port: database.port, name: database.name },
    migrations: migrations.map(({ app, name, atomic, sqlHash, sourceHash }) => ({
      app,
      name,
      atomic,
      sqlHash,
      sourceHash,
    })),
  });
}

function planChanged(approved: Plan, now: Plan): DeployError {
  const names = (plan: Plan) => plan.migrations.map(nameOf).join(', ') || 'nothing';
  const place = ({ database: { host, port, name } }: Plan) => `${host}:${port}/${name}`;
  const what =
    place(approved) !== place(now)
      ? `it was made for ${place(approved)}, this is ${place(now)}`
      : names(approved) !== names(now)
        ? `it was to apply ${names(approved)}; now it is ${names(now)}`
        : `the SQL or the source of its migrations has changed (${names(now)})`;
  return new DeployError(
    'plan_changed',
    `The plan is not the one that was approved: ${what}. Nothing was migrated.`,
    {
      remedy: 'Make the plan again and have it approved.',
    },
  );
}

function lockedBy(answer: unknown): DeployError {
  const holder = isRecord(answer) ? answer : {};
  const pid = holder['pid'];
  const who =
    typeof pid === 'number'
      ? `"${String(holder['name'])}" (user ${String(holder['user'])}, server process ${pid}, ` +
        `for ${formatDuration(Number(holder['seconds']) * 1_000)})`
      : 'somebody who has just ended';
  return new DeployError(
    'migration_locked',
    `Another migration holds the lock: ${who}. Nothing was migrated.`,
    {
      remedy: 'Wait for it to end. If its run is dead, end its session with pg_terminate_backend.',
    },
  );
}

/** Why a run was stopped from outside, when it was. */
function stopped(
  asked: AbortSignal,
  overtime: AbortSignal,
  holding: Session,
  limit: number,
): DeployError | null {
  if (holding.lost.aborted) {
    return new DeployError('lock_lost', `The migration lock was lost: ${messageOf(holding.lost.reason)}`);
  }
  if (asked.aborted) return cancelled('migrating');
  if (overtime.aborted) return new DeployError('timeout', `The limit of ${formatDuration(limit)} is over.`);
  return null;
}

function summaryOf(states: MigrationState[]): string {
  const named = (state: MigrationState['state']) => states.filter((migration) => migration.state === state);
  return [
    `applied: ${named('applied').map(nameOf).join(', ') || 'none'}`,
    ...named('partly').map((migration) => `partly applied: ${nameOf(migration)} (${migration.detail ?? ''})`),
    `not applied: ${named('not-applied').map(nameOf).join(', ') || 'none'}`,
  ].join('; ');
}

function remedyFor(states: MigrationState[], cause: DeployError): string {
  if (states.some((migration) => migration.state === 'partly')) {
    return 'Do not run it again as it is: undo by hand what was done, or make its operations repeatable.';
  }
  return cause.remedy ?? 'What is applied stays applied and recorded; correct the cause and run it again.';
}

function stringRecord(value: unknown): Record<string, string> {
  const entries = isRecord(value) ? Object.entries(value) : [];
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function stringArray(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}
