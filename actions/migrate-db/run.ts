import { readFile } from 'node:fs/promises';
import {
  type Context,
  createSummary,
  escapeMarkdown,
  type InputValues,
  type Outcome,
} from '@deploy-actions/action-kit';
import {
  DeployError,
  formatDuration,
  orUndefinedIfMissing,
  parseEnvironmentLines,
  secretsOf,
} from '@deploy-actions/core';
import { gate, repositoryPath } from '@deploy-actions/findings';
import {
  backUp,
  type Backup,
  createDjangoMigrator,
  type Finding,
  MigrationError,
  type MigrationState,
  type MigrationTarget,
  type Migrator,
  type Plan,
} from '@deploy-actions/migrations';
import { openReporting, publishFindings } from '@deploy-actions/publish';
import type { definition } from './definition.ts';
import { asFindings, fileFrom, targetOf } from './findings.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

async function readEnvironmentFile(file: string | undefined): Promise<Record<string, string>> {
  if (file === undefined) return {};
  const text = await orUndefinedIfMissing(readFile(file, 'utf8'));
  if (text === undefined) {
    throw new DeployError('not_found', `The environment file ${file} does not exist on this host.`, {
      remedy: 'Correct `env-file`. Nothing was migrated.',
    });
  }
  const lines = parseEnvironmentLines(text);
  if ('problem' in lines) {
    throw new DeployError('invalid_input', `The environment file ${file}: ${lines.problem}.`);
  }
  return lines.values;
}

/** The whole environment of the application's commands: the step's, then that of `env-file`, then that of `env`. */
async function applicationEnvironment(inputs: Inputs, context: Context): Promise<Record<string, string>> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(context.environment)) {
    // What the runner gives to actions is not the application's: tokens and inputs stay out of its processes.
    if (value !== undefined && !/^(?:INPUT_|GITHUB_|ACTIONS_|RUNNER_|STATE_)/.test(name))
      environment[name] = value;
  }
  return { ...environment, ...(await readEnvironmentFile(inputs['env-file'])), ...inputs.env };
}

function openMigrator(inputs: Inputs, context: Context, environment: Record<string, string>): Migrator {
  switch (inputs.migrator) {
    case 'django':
      return createDjangoMigrator({
        directory: inputs.directory,
        python: inputs.python,
        ...(inputs.settings === undefined ? {} : { settings: inputs.settings }),
        environment,
        deployment: inputs.environment,
        holder: context.facts.runUrl || `process ${process.pid}`,
        lockWait: inputs['wait-for-other'],
        lockTimeout: inputs['lock-timeout'],
        statementTimeout: inputs['statement-timeout'],
        log: context.log,
      });
  }
}

function targetsOf(inputs: Inputs): MigrationTarget[] {
  return (inputs.target ?? []).map((text) => {
    const [app = '', name] = text.split('.');
    return name === undefined ? { app } : { app, name };
  });
}

function place(finding: Finding): string {
  const { file, line } = finding.location;
  return file === null ? finding.migration : `${file}${line === null ? '' : `:${line}`}`;
}

function describeFinding(finding: Finding): string {
  return `${place(finding)} ${finding.severity} ${finding.rule}: ${finding.message} ${finding.remedy}`;
}

/** The plan in Markdown: what each migration does and how far it is, its SQL, the way back, the backup. */
function describePlan({ plan, states, backup }: Known & { plan: Plan }): string {
  const summary = createSummary();
  const { host, port, name } = plan.database;
  summary.paragraph(escapeMarkdown(`Database ${name} at ${host}:${port}, plan ${plan.hash}`));
  if (plan.migrations.length === 0) {
    summary.paragraph('Every migration is applied.');
    return summary.text();
  }
  summary.table(
    ['Migration', 'In a transaction', 'Way back', 'What it does', 'State'],
    plan.migrations.map((migration) => [
      escapeMarkdown(`${migration.app}.${migration.name}`),
      migration.atomic ? 'yes' : 'no',
      migration.reversible ? 'yes' : '**no**',
      migration.operations.map((operation) => escapeMarkdown(operation.description)).join('<br>'),
      states.find((state) => state.app === migration.app && state.name === migration.name)?.state ??
        'not-applied',
    ]),
  );
  for (const migration of plan.migrations) {
    summary.details(`SQL of ${migration.app}.${migration.name}`, migration.sql ?? migration.sqlProblem ?? '');
  }
  summary.paragraph(
    plan.reverse.possible
      ? `Way back: ${plan.reverse.steps.map((step) => `\`migrate ${step.app} ${step.name}\``).join(', then ')}`
      : `No way back: ${plan.reverse.reasons.map(escapeMarkdown).join('; ')}`,
  );
  if (backup !== undefined) {
    const { file, bytes, tables, verified, sha256 } = backup;
    summary.table(
      ['Backup', 'Bytes', 'Tables', 'Verified by', 'SHA-256'],
      [[escapeMarkdown(file), String(bytes), String(tables.length), verified, sha256]],
    );
  }
  return summary.text();
}

/**
 * Tells the summary of the plan, and GitHub of what its check found: last of all, so that no migration waits for it. As
 * a phase of a pipeline it leaves the comment to that.
 */
async function report(inputs: Inputs, context: Context, known: Known): Promise<void> {
  const { plan } = known;
  if (plan === undefined) return;
  const more = describePlan({ ...known, plan });
  const reporting = openReporting(context, inputs['github-token']);
  const { pullRequest } = reporting;
  if (known.findings.length === 0 && pullRequest === undefined && !inputs.sarif) {
    context.summary.paragraph(more);
    return;
  }
  const { environment } = inputs;
  const findings = asFindings(plan, known.findings, {
    workspace: context.facts.workspace,
    directory: inputs.directory,
  });
  await publishFindings(
    { ...reporting, pullRequest: context.deployment === undefined ? pullRequest : undefined },
    context,
    {
      purpose: `migrate-db-${environment}`,
      title: `Database migration for ${environment}`,
      findings,
      verdict: gate(findings, inputs['on-unsafe'] === 'fail' ? { critical: 0, high: 0 } : {}),
      more,
      ...(inputs.sarif ? { sarif: { tool: 'migrate-db', targets: [targetOf(plan)] } } : {}),
    },
  );
}

function describeStates(states: MigrationState[]): string {
  const named = (wanted: MigrationState['state']) =>
    states.filter(({ state }) => state === wanted).map(({ app, name }) => `${app}.${name}`);
  const parts = [
    ['applied', named('applied')],
    ['partly applied', named('partly')],
    ['not applied', named('not-applied')],
  ] as const;
  const said = parts
    .filter(([, names]) => names.length > 0)
    .map(([what, names]) => `${what}: ${names.join(', ')}`);
  return said.length === 0 ? '' : `${said.join('; ')}.`;
}

/** What is known so far, for outputs and report, however it ends. */
interface Known {
  plan?: Plan;
  findings: Finding[];
  backup?: Backup;
  states: MigrationState[];
}

function outcomeOf(
  known: Known,
  ending: Pick<Outcome, 'result' | 'reasonCode' | 'message' | 'remedy'>,
  details: string[] = [],
): Outcome<Outputs> {
  const { plan, findings, backup, states } = known;
  return {
    ...ending,
    outputs: {
      'plan-hash': plan?.hash,
      planned: plan?.migrations.length,
      applied: states.filter((state) => state.state === 'applied').length,
      findings: findings.length,
      reversible: plan?.reverse.possible,
      'backup-file': backup?.file,
      'backup-sha256': backup?.sha256,
    },
    report: { plan, findings, backup, states, details },
  };
}

/** Why the plan must not be applied, if there is a reason. */
function refusalOf(
  inputs: Inputs,
  plan: Plan,
  findings: Finding[],
): Pick<Outcome, 'result' | 'reasonCode' | 'message' | 'remedy'> | undefined {
  const approved = inputs['approved-plan'];
  const bare = (hash: string) => hash.replace(/^sha256:/, '');
  if (approved !== undefined && bare(approved) !== bare(plan.hash)) {
    return {
      result: 'refused',
      reasonCode: 'plan_changed',
      message: `The plan is ${plan.hash}, but ${approved} was approved; nothing was migrated.`,
      remedy: 'Look at the new plan, approve it, and give its hash.',
    };
  }
  const [first, ...others] = findings.filter((finding) => finding.severity === 'error');
  if (first === undefined || inputs['on-unsafe'] === 'warn') return undefined;
  const more = others.length === 0 ? '' : ` And ${others.length} more.`;
  return {
    result: 'refused',
    reasonCode: 'unsafe_migration',
    message: `The plan is not safe while the old version serves; nothing was migrated. ${describeFinding(first)}${more}`,
    remedy: 'Follow what each finding says, or set `on-unsafe: warn` for a maintenance window.',
  };
}

async function migrate(
  inputs: Inputs,
  context: Context,
  migrator: Migrator,
  environment: Record<string, string>,
  known: Known,
): Promise<Outcome<Outputs>> {
  const { log, signal } = context;
  const plan = await log.group('Plan', () => migrator.plan(signal, targetsOf(inputs)));
  const findings = migrator.lint(plan);
  Object.assign(known, { plan, findings });
  const count = plan.migrations.length;
  for (const { app, name } of plan.migrations) log.info(`  ${app}.${name}`);
  for (const finding of findings) {
    // What has a place in the repository gets an annotation there.
    const file = fileFrom(finding, { workspace: context.facts.workspace, directory: inputs.directory });
    const placed = file !== null && repositoryPath(file) !== null;
    (placed ? log.info : log.warning)(describeFinding(finding));
  }

  const refusal = refusalOf(inputs, plan, findings);
  if (refusal !== undefined && !inputs['dry-run']) {
    return outcomeOf(known, refusal);
  }
  if (inputs['dry-run']) {
    const verdict = refusal === undefined ? '' : ` It would be refused: ${refusal.message}`;
    return outcomeOf(known, {
      result: 'planned',
      reasonCode: 'dry_run',
      message: `${count} migrations would be applied, with ${findings.length} findings; nothing was written.${verdict}`,
    });
  }
  if (count === 0) {
    await migrator.verify(plan, signal);
    return outcomeOf(known, {
      result: 'unchanged',
      reasonCode: 'already_current',
      message: 'Every migration is applied; there was nothing to do.',
    });
  }

  const applied = await log.group('Apply', () =>
    migrator.apply(plan, {
      signal,
      limit: inputs.timeout,
      async beforeWrite(within) {
        if (inputs.backup === 'none') return;
        known.backup = await backUp({
          connection: await migrator.connection(within),
          directory: inputs['backup-directory'],
          ...(inputs['postgres-bin'] === undefined ? {} : { postgresBin: inputs['postgres-bin'] }),
          environment,
          verify: inputs.backup,
          log,
          signal: within,
        });
        const { file, bytes, tables, verified } = known.backup;
        log.info(`Backup ${file}: ${bytes} bytes, ${tables.length} tables, verified by ${verified}.`);
      },
    }),
  );
  known.states = applied.states;
  await migrator.verify(plan, signal);
  const backup = known.backup === undefined ? '' : `; the backup is ${known.backup.file}`;
  return outcomeOf(known, {
    result: 'succeeded',
    reasonCode: 'ok',
    message: `${count} migrations were applied and verified in ${formatDuration(applied.elapsed)}${backup}.`,
  });
}

async function migrateOrSayHowFar(
  inputs: Inputs,
  context: Context,
  environment: Record<string, string>,
  known: Known,
): Promise<Outcome<Outputs>> {
  const migrator = openMigrator(inputs, context, environment);
  try {
    return await migrate(inputs, context, migrator, environment, known);
  } catch (thrown) {
    if (!(thrown instanceof MigrationError)) throw thrown;
    known.states = thrown.states;
    for (const { app, name, state, detail } of known.states) {
      context.log.info(`  ${app}.${name}: ${state}${detail === undefined ? '' : ` (${detail})`}`);
    }
    return outcomeOf(
      known,
      {
        result: thrown.reasonCode === 'cancelled' ? 'cancelled' : 'failed',
        reasonCode: thrown.reasonCode,
        message: `${thrown.message} ${describeStates(known.states)}`,
        remedy: thrown.remedy,
      },
      thrown.details,
    );
  } finally {
    await migrator.close();
  }
}

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const environment = await applicationEnvironment(inputs, context);
  for (const secret of secretsOf(environment)) context.mask(secret);
  const known: Known = { findings: [], states: [] };
  const outcome = await migrateOrSayHowFar(inputs, context, environment, known);
  await report(inputs, context, known);
  return outcome;
}
