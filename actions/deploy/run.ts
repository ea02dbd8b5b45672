import {
  type Context,
  type DeploymentProgress,
  describeProblem,
  goodResults,
  type InputValues,
  type Outcome,
  outcomeOfError,
  type Problem,
  type Result,
} from '@deploy-actions/action-kit';
import { loadConfig } from '@deploy-actions/config';
import { DeployError, isRecord, messageOf, type ReasonCode } from '@deploy-actions/core';
import {
  type DeploymentPlan,
  openReporting,
  publishPlan,
  resumeDeployment,
  trackDeployment,
} from '@deploy-actions/publish';
import { deploymentPlan } from '@deploy-actions/targets';
import { endingOf, phasesJson, phasesReport, planText, summarizePhases } from './account.ts';
import type { definition } from './definition.ts';
import { notify } from './notify.ts';
import { type Asked, commitOf } from './phase.ts';
import { phases as all } from './phases.ts';
import { readServing, type TargetSettings } from './serving.ts';
import { readSettings, targetSettings } from './settings.ts';
import {
  type Ended,
  goBack,
  type Memory,
  planPhases,
  type Ready,
  runPhases,
  settlePhases,
} from './pipeline.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

/** Reads and checks the inputs of every phase that is asked for, before any of them runs. */
async function preparePhases(
  asked: Asked,
  context: Context,
): Promise<{ ready: Ready[]; problems: Problem[] }> {
  const ready: Ready[] = [];
  const problems: Problem[] = [];
  for (const phase of all.filter((one) => one.isWanted(asked))) {
    const made = await phase.prepare(asked, context);
    if (Array.isArray(made)) problems.push(...made);
    else ready.push({ name: phase.name, title: phase.title, doing: phase.doing, ...made });
  }
  return { ready, problems };
}

function refused(problems: Problem[]): DeployError {
  // Phases read the same settings.
  const lines = [...new Set(problems.map((found) => `- ${describeProblem(found)}`))];
  return new DeployError(
    'invalid_config',
    `What the phases need is not all there; nothing was touched.\n${lines.join('\n')}`,
    { remedy: 'Say it in .github/deploy.yml; its JSON Schema is deploy.schema.json.' },
  );
}

function appOf({ config }: Asked): string {
  const app = config('app')?.value;
  return typeof app === 'string' ? app : '';
}

/** Where the release goes; it was found right before. */
async function targetOf(asked: Asked, context: Context): Promise<TargetSettings> {
  const read = await readSettings(targetSettings, {}, asked, context);
  if (!read.ok) throw refused(read.problems);
  return read.inputs;
}

/** The one deployment of all phases. */
function deploymentOf(asked: Asked, settings: TargetSettings): DeploymentPlan {
  const { version, strategy } = asked.inputs;
  const sha = commitOf(version, '');
  const plan = deploymentPlan(settings, { version, strategy });
  return sha === '' ? plan : { ...plan, commit: { sha } };
}

/** The version that has the traffic in the end. */
function servingOf({ outputs }: Outcome): string | undefined {
  return outputs['version'] === undefined ? undefined : String(outputs['version']);
}

/** What the main step hands to the post step. */
const memory = { armed: 'armed', telling: 'telling' };

/** What the single actions report to: nobody, for what they are parts of reports. */
const quiet: DeploymentProgress = { phase: () => {} };

function outcomeOf(inputs: Inputs, ended: Ended[]): Outcome<Outputs> {
  const last = ended.at(-1);
  if (last === undefined) throw new DeployError('internal', 'There was no phase to run.');
  const shift = ended.find(({ phase }) => phase.name === 'shift');
  const back = shift?.undone?.outcome;
  // What serves is what was seen last.
  const seen = back ?? ended.findLast(({ outcome }) => outcome.outputs['slot'] !== undefined)?.outcome;
  const wentBack = shift?.undone?.state === 'undone';
  return {
    ...endingOf(ended, last),
    outputs: {
      version: seen?.outputs['version'],
      slot: seen?.outputs['slot'],
      'rejected-version': wentBack ? inputs.version : shift?.outcome.outputs['rejected-version'],
      'previous-version': (back ?? shift?.outcome)?.outputs['previous-version'],
      'requests-sent': shift?.outcome.outputs['requests-sent'],
      'requests-lost': shift?.outcome.outputs['requests-lost'],
      phase: last.phase.name,
      phases: phasesJson(ended),
    },
    report: { details: last.outcome.report['details'], phases: phasesReport(ended) },
  };
}

async function plan(asked: Asked, ready: Ready[], context: Context): Promise<Outcome<Outputs>> {
  const { inputs } = asked;
  const { environment, version } = inputs;
  const app = appOf(asked);
  const planned = await planPhases(ready, { ...context, deployment: quiet });
  await publishPlan(openReporting(context, inputs['github-token']), context, {
    purpose: `plan-${app}-${environment}`,
    title: `Plan: ${app} ${version} to ${environment}`,
    markdown: planText(planned),
  });
  const bad = planned.find(({ outcome }) => !goodResults.includes(outcome.result));
  const made = outcomeOf(inputs, planned);
  if (bad !== undefined) {
    const { result, reasonCode, message, remedy } = bad.outcome;
    const outputs = { ...made.outputs, phase: bad.phase.name };
    return {
      ...made,
      outputs,
      result,
      reasonCode,
      remedy,
      message: `The plan of «${bad.phase.title}» could not be made: ${message}`,
    };
  }
  const shift = planned.find(({ phase }) => phase.name === 'shift')?.outcome;
  return {
    ...made,
    result: 'planned',
    reasonCode: 'dry_run',
    message: shift?.message ?? '',
    remedy: undefined,
  };
}

function lastFailed(ended: readonly Ended[]): boolean {
  const report = ended.find(({ phase }) => phase.name === 'preflight')?.outcome.report;
  return isRecord(report) && report['lastFailed'] === true;
}

async function release(asked: Asked, ready: Ready[], context: Context): Promise<Outcome<Outputs>> {
  const { inputs } = asked;
  const tracker = trackDeployment(
    openReporting(context, inputs['github-token']),
    context,
    deploymentOf(asked, await targetOf(asked, context)),
  );
  context.remember(memory.telling, 'open');
  const within: Context = { ...context, deployment: tracker };
  const arming: Memory = { arm: (names) => context.remember(memory.armed, names.join(',')) };
  const ended = await runPhases(ready, within, arming);
  const last = ended.at(-1);
  // What another run released over it is not ours to take back.
  if (last !== undefined && last.outcome.result === 'superseded') arming.arm([]);
  else if (last !== undefined && !goodResults.includes(last.outcome.result))
    await goBack(ended, within, arming);
  const outcome = outcomeOf(inputs, ended);
  summarizePhases(context.summary, ready, ended);
  await Promise.all([
    tracker.end({ ...outcome, serving: servingOf(outcome) }),
    notify(inputs, context, appOf(asked), outcome, lastFailed(ended)).then(() =>
      context.remember(memory.telling, 'done'),
    ),
  ]);
  return outcome;
}

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const asked = { inputs, config: await loadConfig(context.facts.workspace, inputs.environment) };
  const { ready, problems } = await preparePhases(asked, context);
  if (problems.length > 0) {
    const error = refused(problems);
    if (!inputs['dry-run']) await notify(inputs, context, appOf(asked), outcomeOfError(error), false);
    throw error;
  }
  return inputs['dry-run'] ? plan(asked, ready, context) : release(asked, ready, context);
}

/** What the post step found and made of it; with `failure`, what could not be taken back. */
async function settle(
  ready: Ready[],
  settings: TargetSettings,
  context: Context,
): Promise<{ outcome: Outcome; failure?: Error }> {
  const armed = context.recall(memory.armed).split(',');
  const words = ['The main step was ended before it could say how it went.'];
  const outcome = (
    result: Result,
    reasonCode: ReasonCode,
    version: string | undefined,
    remedy?: string,
  ): Outcome => ({ result, reasonCode, message: words.join(' '), remedy, outputs: { version }, report: {} });
  try {
    for (const { message } of await settlePhases(ready, context, armed)) words.push(message);
  } catch (thrown) {
    words.push(messageOf(thrown));
    const remedy = thrown instanceof DeployError ? thrown.remedy : undefined;
    const failure = thrown instanceof Error ? thrown : new Error(messageOf(thrown));
    return { outcome: outcome('failed', 'revert_failed', undefined, remedy), failure };
  }
  // Nothing is left to be done: that it cannot be said who serves is no failure.
  const serving = await readServing(settings, context).catch((thrown: unknown) => ({
    words: `What serves now cannot be read: ${messageOf(thrown)}`,
    main: undefined,
  }));
  words.push(serving.words);
  return { outcome: outcome('cancelled', 'cancelled', serving.main?.version) };
}

/** Settles what a main step that was ended left behind, and says on GitHub and to those who are notified how that went. */
export async function post(inputs: Inputs, context: Context): Promise<void> {
  if (inputs['dry-run']) return;
  const asked = { inputs, config: await loadConfig(context.facts.workspace, inputs.environment) };
  const { ready, problems } = await preparePhases(asked, context);
  // The main step said so, and touched nothing.
  if (problems.length > 0) return;
  const settings = await targetOf(asked, context);
  const tracker = resumeDeployment(
    openReporting(context, inputs['github-token']),
    context,
    deploymentOf(asked, settings),
  );
  const within = { ...context, deployment: tracker ?? quiet };
  const { outcome, failure } = await settle(ready, settings, within);
  const ending = { ...outcome, serving: servingOf(outcome) };
  await tracker?.end(ending);
  // A main step that was ended in the middle told nobody.
  if (failure !== undefined || context.recall(memory.telling) === 'open') {
    await notify(inputs, context, appOf(asked), outcome, false);
  }
  if (failure !== undefined) throw failure;
}
