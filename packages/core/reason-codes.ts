/**
 * The closed list of reason codes. A code is part of the public contract of every action: workflows branch on
 * it, so a code is added but never renamed or reused. The text is what the documentation says about it.
 */
export const reasonCodes = {
  ok: 'The action did what was asked.',
  already_current: 'What was asked for was already so; nothing was written.',
  dry_run: 'Only the plan was made, because `dry-run` is true.',
  invalid_input: 'One or more inputs are missing or not allowed; nothing was touched.',
  invalid_config: 'deploy.yml cannot be read or says something that is not allowed; nothing was touched.',
  unsupported: 'The platform or router does not have a capability that was asked for.',
  not_found: 'A file, program, release or service that was named does not exist.',
  version_not_found: 'The release to go back to does not exist or is no longer kept.',
  permission_denied: 'A right that is needed is missing.',
  unreachable: 'A host, socket or API could not be reached.',
  lock_held: 'Another run holds the lease of this environment.',
  lock_lost: 'The lease was taken over by another run; this run wrote nothing after that.',
  environment_frozen: 'The environment is frozen; nothing was written.',
  state_conflict: 'What is there changed while it was being read, and the intent no longer held.',
  state_too_new: 'The state was written by a newer version of the suite.',
  state_corrupt: 'The stored state cannot be read.',
  checks_not_green:
    'A check that the commit has to pass failed, or was not there in time; nothing was touched.',
  start_failed: 'The new version could not be started or ended by itself.',
  not_ready: 'The new version did not become ready in time.',
  unhealthy: 'A health check did not pass in time.',
  router_rejected: 'The router refused the new configuration.',
  router_unverified: 'The router was written to, but the data plane did not follow in time.',
  drain_timeout: 'Requests were still in flight when the time to drain was over.',
  limit_exceeded: 'A metric was beyond its limit.',
  insufficient_data: 'There were too few requests, or no usable data, to reach a verdict.',
  metrics_unavailable: 'The metric source failed or answered nonsense.',
  migration_failed: 'A migration failed; the report says what was applied.',
  migration_locked: 'Another migration is running, or a table lock could not be had in time.',
  unsafe_migration: 'A migration would break the version that serves, lose data or block a table.',
  plan_changed: 'The plan is not the one that was approved.',
  backup_failed: 'The backup could not be made or verified; nothing was migrated.',
  verify_failed: 'The state after the change is not what the plan said.',
  resumed: 'An unfinished release of an earlier run was found and finished.',
  reverted: 'The release was taken back; the previous version serves.',
  revert_failed: 'The release could not be taken back completely; the report says what is left.',
  unfinished_release: 'An unfinished release of another version has to be settled first.',
  cancelled: 'The run was cancelled.',
  timeout: 'The time allowed was over.',
  command_failed: 'A command ended with an error.',
  internal: 'An error of the suite itself; please report it.',
} as const;

export type ReasonCode = keyof typeof reasonCodes;
