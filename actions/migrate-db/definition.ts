import { defineAction } from '@deploy-actions/action-kit';
import { githubInputs } from '@deploy-actions/targets';

export const definition = defineAction({
  name: 'migrate-db',
  title: 'Database migration',
  description:
    'Plans, checks, backs up, applies and verifies database migrations, one run at a time, and says exactly what was applied when something fails.',
  icon: 'database',
  color: 'purple',
  mutates: true,
  permissions: { checks: 'write', 'pull-requests': 'write', 'security-events': 'write' },
  inputs: {
    environment: {
      kind: 'string',
      pattern: /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
      allowed: 'lower-case letters, digits and hyphens, up to 63, not starting or ending with a hyphen',
      required: true,
      description: 'The environment whose database it is: part of the name of the migration lock.',
      example: 'production',
    },
    migrator: {
      kind: 'enum',
      values: ['django'],
      required: true,
      description: 'What makes the migrations.',
      example: 'django',
      config: 'database.migrator',
    },
    directory: {
      kind: 'path',
      within: 'host',
      description: 'The folder of the release whose migrations are applied; `manage.py` is run there.',
      default: '.',
      config: 'database.directory',
    },
    python: {
      kind: 'string',
      description: "The application's Python: a path, or a name on PATH.",
      default: 'python3',
      config: 'database.python',
    },
    settings: {
      kind: 'string',
      pattern: /^[A-Za-z_][\w.]*$/,
      allowed: 'a dotted module name such as config.settings.production',
      description: 'The settings module, when it is not the one that `manage.py` chooses.',
      example: 'config.settings.production',
      config: 'database.settings',
    },
    env: {
      kind: 'map',
      description:
        "Environment variables of the application's commands, one `NAME=value` a line, beside the step's own `env`. Secrets among them are masked in the log.",
      example: 'DATABASE_URL=${{ secrets.DATABASE_URL }}',
    },
    'env-file': {
      kind: 'path',
      within: 'host',
      description: 'A file on the host with `NAME=value` lines for these commands; `env` goes before it.',
      example: '/etc/helpdesk/production.env',
      config: 'database.env-file',
    },
    target: {
      kind: 'list',
      description: 'How far to migrate: `app` or `app.migration`, comma-separated. Default: everything.',
      example: 'tickets.0004_priority',
    },
    'approved-plan': {
      kind: 'string',
      pattern: /^(?:sha256:)?[0-9a-f]{64}$/,
      allowed: 'the `plan-hash` output of a dry run',
      description: 'The hash of the plan that was approved; any other plan is refused.',
    },
    'on-unsafe': {
      kind: 'enum',
      values: ['fail', 'warn'],
      description:
        'What to do when a migration would break the version that still serves, lose data or block a table.',
      default: 'fail',
      config: 'database.on-unsafe',
    },
    backup: {
      kind: 'enum',
      values: ['none', 'list', 'restore'],
      description:
        '`list` makes a dump and reads it back to its end; `restore` also restores it into a scratch database and counts the rows. Needs pg_dump, pg_restore and psql.',
      default: 'none',
      config: 'database.backup',
    },
    'backup-directory': {
      kind: 'path',
      within: 'host',
      description: 'The folder for the dump, readable by its owner alone.',
      default: 'backups',
      config: 'database.backup-directory',
    },
    'postgres-bin': {
      kind: 'path',
      within: 'host',
      description: 'The folder of pg_dump, pg_restore and psql, when they are not on PATH.',
      config: 'database.postgres-bin',
    },
    'lock-timeout': {
      kind: 'duration',
      min: '100ms',
      max: '10m',
      description: 'How long a statement waits for a table lock before it gives way to the application.',
      default: '5s',
      config: 'database.lock-timeout',
    },
    'statement-timeout': {
      kind: 'duration',
      max: '24h',
      description: 'How long one statement may take; `0` for no limit.',
      default: '15m',
      config: 'database.statement-timeout',
    },
    'wait-for-other': {
      kind: 'duration',
      max: '6h',
      description: 'How long to wait for a migration of another run to end.',
      default: '0',
      config: 'database.wait-for-other',
    },
    timeout: {
      kind: 'duration',
      min: '1s',
      max: '24h',
      description: 'The time for all of it.',
      default: '30m',
      config: 'database.timeout',
    },
    sarif: {
      kind: 'boolean',
      description: 'Whether what the check of the plan finds goes to code scanning, too.',
      default: 'false',
      config: 'database.sarif',
    },
    ...githubInputs,
    'dry-run': {
      kind: 'boolean',
      description:
        'Prints the plan with its SQL and findings, in a comment of the pull request too, and migrates nothing.',
      default: 'false',
    },
  },
  outputs: {
    'plan-hash': { description: 'SHA-256 of the plan: database, migrations, SQL and source.' },
    planned: { description: 'How many migrations the plan has.' },
    applied: { description: 'How many of them are applied now.' },
    findings: { description: 'How many findings the check of the plan has.' },
    reversible: { description: 'Whether there is a way back for all of the plan.' },
    'backup-file': { description: 'Path of the verified dump.' },
    'backup-sha256': { description: 'SHA-256 of the dump.' },
  },
  check(inputs) {
    return (inputs.target ?? [])
      .filter((target) => !/^\w+(?:\.\w+)?$/.test(target))
      .map((target) => ({
        input: 'target',
        value: target,
        message: 'is not allowed; allowed are `app` and `app.migration`.',
      }));
  },
});
