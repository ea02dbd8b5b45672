import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as core from '@actions/core';
import { DeployError, messageOf } from '@deploy-actions/core';
import type { ActionModule, Context } from './action.ts';
import { type ActionDefinition, goodResults, type Outcome, type Problem } from './definition.ts';
import { type ConfigLookup, describeProblem, readInputs } from './inputs.ts';
import { createLog } from './log.ts';
import { createSecrets } from './secrets.ts';
import { readRunFacts, type RunFacts } from './runner.ts';
import { createSummary, escapeMarkdown, writeSummary } from './summary.ts';

export type Phase = 'main' | 'post';

const annotationsBy = { error: core.error, warning: core.warning, notice: core.notice };

/** Reads deploy.yml for an environment; given by the bundle, so that this package knows no file format. */
export type LoadConfig = (workspace: string, input: (name: string) => string) => Promise<ConfigLookup>;

/** One signal for the whole run. The first SIGINT or SIGTERM aborts; SIGKILL follows 10 s after a cancel. */
function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (!controller.signal.aborted) core.info(`${name}: finishing or reversing what is under way …`);
      controller.abort();
    });
  }
  return controller.signal;
}

function refusal(problems: Problem[]): Outcome {
  const count = problems.length === 1 ? 'One input is' : `${problems.length} inputs are`;
  return {
    result: 'refused',
    reasonCode: 'invalid_input',
    message: `${count} not right; nothing was touched.\n${problems.map((found) => `- ${describeProblem(found)}`).join('\n')}`,
    outputs: {},
    report: { problems },
  };
}

/** What became of an error that an action did not turn into an outcome itself. */
export function outcomeOfError(thrown: unknown): Outcome {
  if (thrown instanceof DeployError) {
    const refused = ['invalid_input', 'invalid_config', 'unsupported', 'environment_frozen'].includes(
      thrown.reasonCode,
    );
    return {
      result: thrown.reasonCode === 'cancelled' ? 'cancelled' : refused ? 'refused' : 'failed',
      reasonCode: thrown.reasonCode,
      message: thrown.message,
      remedy: thrown.remedy,
      outputs: {},
      report: { details: thrown.details },
    };
  }
  core.debug(thrown instanceof Error ? (thrown.stack ?? '') : '');
  return {
    result: 'error',
    reasonCode: 'internal',
    message: `The suite failed: ${messageOf(thrown)}`,
    remedy: 'Please report it with the log of this step, run again with debug logging on.',
    outputs: {},
    report: { stack: thrown instanceof Error ? thrown.stack : undefined },
  };
}

/** The path of the report; empty when it cannot be written, which is no reason to end otherwise. */
function writeReport(name: string, facts: RunFacts, outcome: Outcome): string {
  const directory = join(facts.temp, 'deploy-actions');
  const file = join(directory, `${name}-${process.pid}-${Date.now()}.json`);
  const { result, reasonCode, message, remedy, outputs, report } = outcome;
  const run = facts.runUrl;
  const content = { schema: 1, action: name, result, reasonCode, message, remedy, outputs, run, ...report };
  try {
    mkdirSync(directory, { recursive: true });
    writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
    return file;
  } catch (thrown) {
    core.warning(`The report could not be written: ${messageOf(thrown)}`);
    return '';
  }
}

/** Outputs, summary, annotation and exit code: the same for every action and every ending. */
function finish(definition: ActionDefinition, context: Context, outcome: Outcome): void {
  const good = goodResults.includes(outcome.result);
  const details = outcome.report['details'];
  const lines = Array.isArray(details) ? details.map(String) : [];
  for (const name of Object.keys(definition.outputs)) {
    core.setOutput(name, outcome.outputs[name] ?? '');
  }
  core.setOutput('result', outcome.result);
  core.setOutput('reason-code', outcome.reasonCode);
  core.setOutput('report', writeReport(definition.name, context.facts, outcome));

  const verdict = createSummary();
  const mark = good ? '✅' : outcome.result === 'cancelled' ? '⏹️' : '❌';
  verdict.heading(`${mark} ${definition.title}: ${outcome.result}`);
  verdict.paragraph(escapeMarkdown(outcome.message));
  if (outcome.remedy !== undefined)
    verdict.paragraph(`**What to do next:** ${escapeMarkdown(outcome.remedy)}`);
  if (!good) verdict.paragraph(`Reason code: \`${outcome.reasonCode}\``);
  verdict.paragraph(context.summary.text());
  if (lines.length > 0) verdict.details('Last log lines and events', lines.join('\n'));
  try {
    writeSummary(verdict, context.environment['GITHUB_STEP_SUMMARY']);
  } catch (thrown) {
    core.warning(`The job summary could not be written: ${messageOf(thrown)}`);
  }

  if (good) {
    context.log.info(`${definition.title}: ${outcome.result}. ${outcome.message}`);
  } else {
    for (const line of lines) context.log.info(`  | ${line}`);
    const remedy = outcome.remedy === undefined ? '' : `\nWhat to do next: ${outcome.remedy}`;
    core.error(`${outcome.message}${remedy}`, {
      title: `${definition.title}: ${outcome.result} (${outcome.reasonCode})`,
    });
    process.exitCode = 1;
  }
}

/** Runs one action's main or post step from the runner's environment to its outputs and exit code. */
export async function startAction(
  module: ActionModule,
  phase: Phase,
  bundle: string,
  loadConfig: LoadConfig,
): Promise<void> {
  const environment = process.env;
  const facts = readRunFacts(environment, process.cwd());
  const definition = await module.definition();
  const log = createLog();
  const summary = createSummary();
  const secrets = createSecrets((part) => core.setSecret(part));
  const context: Context = {
    facts,
    log,
    summary,
    signal: abortOnSignals(),
    environment,
    asset: (name) => join(bundle, name),
    mask: secrets.mask,
    redact: secrets.redact,
    annotate: (level, message, place) => annotationsBy[level](secrets.redact(message), place),
    remember: (name, value) => core.saveState(name, value),
    recall: (name) => core.getState(name),
  };

  const fail = (thrown: unknown) => {
    if (phase === 'main') finish(definition, context, outcomeOfError(thrown));
    else {
      core.error(`${definition.title} could not be settled after the run: ${messageOf(thrown)}`);
      process.exitCode = 1;
    }
  };
  // What nobody caught ends the process, as it would without this, but not without a result.
  process.on('uncaughtException', (thrown) => {
    fail(thrown);
    process.exit();
  });

  try {
    const read = await readInputs(definition, {
      environment,
      workspace: facts.workspace,
      config: (input) => loadConfig(facts.workspace, input),
      mask: (secret) => context.mask(secret),
    });
    if (!read.ok) {
      if (phase === 'main') finish(definition, context, refusal(read.problems));
      return;
    }
    // Not before: a refusal needs no network, and Node's HTTP and TLS take a while to load.
    const { useEnvironmentNetwork } = await import('./network.ts');
    useEnvironmentNetwork(environment, log.warning);
    const code = await module.code();
    if (phase === 'main') finish(definition, context, await code.run(read.inputs, context));
    else await code.post?.(read.inputs, context);
  } catch (thrown) {
    fail(thrown);
  }
}
