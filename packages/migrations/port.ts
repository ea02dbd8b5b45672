import { DeployError, type ReasonCode } from '@deploy-actions/core';
import type { Fence } from '@deploy-actions/release-engine';
import type { Rule } from './rules.ts';

/** Which database it is. Never holds a user or a password. */
export interface DatabaseIdentity {
  /** Host name, address, or the directory of a Unix socket. */
  host: string;
  port: number;
  name: string;
  /** `server_version_num` of PostgreSQL, such as 160004. */
  serverVersion: number;
}

/** How far to migrate: the named migration of an app, or all of an app when `name` is left out. */
export interface MigrationTarget {
  app: string;
  name?: string;
}

export interface Operation {
  /** Class of the operation: `AddField`, `RunPython`. */
  kind: string;
  description: string;
  reversible: boolean;
  /** Line in the migration's file, where it can be told. */
  line: number | null;
  /** SQL of this operation alone; empty when it is not SQL (RunPython) or changes no schema. */
  sql: string;
  /** For a change of a field: its column type before, so that widening can be told from narrowing. */
  alters: { table: string; column: string; from: string; to: string } | null;
}

export interface PlannedMigration {
  app: string;
  name: string;
  /** Runs in one transaction: it is applied wholly or not at all. */
  atomic: boolean;
  reversible: boolean;
  operations: Operation[];
  /** SQL that is deferred to the end of the migration (constraints and indexes of new tables). */
  deferredSql: string;
  /** All of its SQL; null when the SQL cannot be known before an earlier migration of the plan is applied. */
  sql: string | null;
  /** Why `sql` is null. */
  sqlProblem: string | null;
  /** SHA-256 of `sql`. */
  sqlHash: string | null;
  /** SHA-256 of the migration's file: covers what is not SQL. */
  sourceHash: string | null;
  /** File of the migration, relative to the application's directory where it is inside. */
  file: string | null;
  findings: Finding[];
}

export type Severity = 'error' | 'warning';

/** `error`: breaks one of two live versions, loses data or blocks the table; `warning`: should be known before. */
export interface Finding {
  rule: Rule;
  severity: Severity;
  /** `app.name` of the migration. */
  migration: string;
  message: string;
  remedy: string;
  location: { file: string | null; line: number | null };
}

/** One step back: `migrate <app> <name>`, and the migrations it takes back, in that order. */
export interface ReverseStep {
  app: string;
  /** Name of the migration to go back to; `zero` for none. */
  name: string;
  unapplies: string[];
}

/** The way back of a plan, computed before going forward. It runs with the same code that applied the plan. */
export type Reverse = { possible: true; steps: ReverseStep[] } | { possible: false; reasons: string[] };

export interface Plan {
  /** Covers the database, the migrations in order, their SQL and their source. */
  hash: string;
  database: DatabaseIdentity;
  /** Empty: everything. */
  targets: MigrationTarget[];
  /** In the order in which they will be applied; empty when there is nothing to do. */
  migrations: PlannedMigration[];
  reverse: Reverse;
  /** Invalid indexes that were there before. */
  invalidIndexes: string[];
}

export interface MigrationState {
  app: string;
  name: string;
  /** `partly`: a migration without a transaction was started and did not end. */
  state: 'applied' | 'partly' | 'not-applied';
  /** For `partly`: what was done of it. */
  detail?: string;
}

export interface Status {
  database: DatabaseIdentity;
  /** Every migration of the project, in an order in which they could be applied. */
  migrations: MigrationState[];
  /** `schema.index` of each index that a failed concurrent build has left behind. */
  invalidIndexes: string[];
}

export interface WriteOptions {
  signal: AbortSignal;
  /** The lease of the environment, checked before each write. Left out by an action that runs without one. */
  fence?: Fence;
  /** Milliseconds for all of it; default 30 minutes. */
  limit?: number;
  /** Runs under the lock when the plan is known to hold, before anything is written: the place for a backup. */
  beforeWrite?: (signal: AbortSignal) => Promise<void>;
}

export interface Applied {
  /** The states of the plan's migrations afterwards. */
  states: MigrationState[];
  /** How often a lock time-out was met and tried again. */
  retries: number;
  /** Milliseconds. */
  elapsed: number;
}

/**
 * The database. Reads write nothing. Writes hold the migration lock of database and environment while they run and
 * throw `MigrationError`, which says what was and what was not applied.
 */
export interface Migrator {
  status(signal: AbortSignal): Promise<Status>;
  plan(signal: AbortSignal, targets?: MigrationTarget[]): Promise<Plan>;
  lint(plan: Plan): Finding[];
  /**
   * Applies exactly this plan. Throws `migration_locked` when somebody else migrates or a table lock cannot be had,
   * `plan_changed` when the plan made again under the lock has another hash, `migration_failed`, `timeout`, `cancelled`.
   */
  apply(plan: Plan, options: WriteOptions): Promise<Applied>;
  /**
   * Takes back what was applied of the plan, by `plan.reverse`. Throws `unsupported` when there is no way back,
   * `plan_changed` when it would take back a migration that is not in the plan.
   */
  reverse(plan: Plan, options: WriteOptions): Promise<Applied>;
  /** Throws `verify_failed` when the database is not as the plan says: see each implementation. */
  verify(plan: Plan, signal: AbortSignal): Promise<void>;
  /** libpq's environment variables (PGHOST, PGPASSWORD, …) of the database, for a backup. Secret: never log it. */
  connection(signal: AbortSignal): Promise<Record<string, string>>;
  close(): Promise<void>;
}

/** A write that did not end well, with the state of each migration of the plan as it was found afterwards. */
export class MigrationError extends DeployError {
  readonly states: MigrationState[];

  constructor(
    reasonCode: ReasonCode,
    message: string,
    options: {
      states: MigrationState[];
      remedy?: string | undefined;
      details?: string[];
      cause?: unknown;
    },
  ) {
    super(reasonCode, message, options);
    this.name = 'MigrationError';
    this.states = options.states;
  }
}
