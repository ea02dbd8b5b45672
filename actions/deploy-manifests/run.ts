import type { Context, InputValues, Outcome } from '@deploy-actions/action-kit';
import { deadlineIn, DeployError, messageOf } from '@deploy-actions/core';
import { createKubernetesStore, type KubernetesClient, stateName } from '@deploy-actions/kubernetes';
import { breakFreeze, requireNotFrozen } from '@deploy-actions/ledger';
import {
  applyPlan,
  describePlanned,
  describeUnfinished,
  type Manifest,
  ManifestsRefused,
  parseManifests,
  type PlannedObject,
  planManifests,
  type PlanOptions,
  readRecord,
  readSources,
  renderSource,
  secretsIn,
  substituteIn,
  untilReady,
  workloadsOf,
  writeRecord,
} from '@deploy-actions/manifests';
import { isHolderAlive, type Lease, type RunIdentity } from '@deploy-actions/release-engine';
import { connectKubernetes, openState, runIdentity, type State, withLease } from '@deploy-actions/targets';
import { parseLabels, type definition } from './definition.ts';
import { outputsOf, showPlan, showRefusal, writeOf } from './report.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

/** What a run works on: the manifests, the cluster, and where its state is. */
interface Job {
  inputs: Inputs;
  context: Context;
  client: KubernetesClient;
  manifests: Manifest[];
  planOptions: PlanOptions;
  state: State;
  run: RunIdentity;
  label: string;
}

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  try {
    return await deployManifests(inputs, context);
  } catch (thrown) {
    const refused =
      thrown instanceof DeployError && thrown.cause instanceof ManifestsRefused ? thrown.cause : thrown;
    if (refused instanceof ManifestsRefused) showRefusal(context, refused);
    throw thrown;
  }
}

async function deployManifests(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const manifests = await readManifests(inputs, context);
  const client = await connectKubernetes(inputs, context);
  try {
    const job = await openJob(inputs, context, client, manifests);
    const { 'break-freeze': mayBreak } = inputs;
    if (mayBreak === undefined) await requireNotFrozen(job.state.store, job.label);
    if (inputs['dry-run']) return planned(job, await planManifests(manifests, job.planOptions));
    // What is refused is refused before even the lease is written.
    await planManifests(manifests, job.planOptions);
    return await withLease(
      { ...job.state, label: job.label, run: job.run },
      inputs['lock-timeout'],
      context.signal,
      context.log,
      (lease) => apply(job, lease),
    );
  } finally {
    client.close();
  }
}

async function readManifests(inputs: Inputs, context: Context): Promise<Manifest[]> {
  const { workspace } = context.facts;
  const { environment, signal, log } = context;
  const sources = inputs.manifests === undefined ? [] : await readSources(inputs.manifests, workspace);
  if (inputs.render !== undefined) {
    sources.push(await renderSource(inputs.render, { workspace, environment, signal, log }));
  }
  const manifests = await parseManifests(sources);
  for (const secret of manifests.flatMap(secretsIn)) context.mask(secret);
  if (inputs.images !== undefined) {
    for (const line of substituteIn(manifests, inputs.images)) log.info(`Image of ${line}`);
  }
  return manifests;
}

async function openJob(
  inputs: Inputs,
  context: Context,
  client: KubernetesClient,
  manifests: Manifest[],
): Promise<Job> {
  const { app = '', environment = '' } = inputs;
  const { namespace } = client;
  const state: State =
    inputs.state === 'git-ref'
      ? await openState(
          { ...inputs, platform: 'kubernetes', app, environment, 'state-directory': undefined },
          context,
        )
      : {
          keptIn: 'platform',
          store: createKubernetesStore(
            client,
            environment === '' ? stateName('manifests') : stateName(app, environment),
          ),
          isAlive: isHolderAlive,
        };
  const labels = inputs.prune === undefined ? undefined : parseLabels(inputs.prune);
  return {
    inputs,
    context,
    client,
    manifests,
    state,
    run: runIdentity(context),
    label: environment === '' ? `the manifests of namespace ${namespace}` : `${app} in ${environment}`,
    planOptions: {
      client,
      namespace,
      isNamespaceSaid: inputs.namespace !== undefined,
      force: inputs['force-conflicts'],
      prune: labels === undefined ? undefined : { labels, kinds: inputs['prune-kinds'] },
    },
  };
}

const writesOf = (plan: readonly PlannedObject[]) => plan.filter(({ action }) => action !== 'unchanged');

function planned({ context, label }: Job, plan: PlannedObject[]): Outcome<Outputs> {
  showPlan(context, plan);
  const { length } = writesOf(plan);
  return {
    result: 'planned',
    reasonCode: 'dry_run',
    message:
      length === 0
        ? `All ${plan.length} objects of ${label} are as they should be.`
        : `${length} of ${plan.length} objects of ${label} would be written; nothing was.`,
    outputs: outputsOf(plan),
    report: { plan: plan.map(writeOf) },
  };
}

async function apply(job: Job, lease: Lease): Promise<Outcome<Outputs>> {
  const { inputs, context, manifests, state, run: identity, label } = job;
  const { store } = state;
  const { 'break-freeze': reason } = inputs;
  // Under the lease: it may have been frozen while this run waited for it.
  if (reason === undefined) await requireNotFrozen(store, label);
  else if (await breakFreeze(store, { reason, run: identity })) {
    context.log.warning(`${label} is frozen; going on: ${reason}`);
  }
  const unfinished = describeUnfinished(await readRecord(store));
  if (unfinished !== undefined) context.log.warning(`An earlier run was ended: ${unfinished}`);
  const first = await planManifests(manifests, job.planOptions);
  const written: PlannedObject[] = [];
  const startedAt = new Date().toISOString();
  const record = (
    phase: 'applying' | 'applied' | 'failed',
    plan: readonly PlannedObject[],
    why: string | null,
  ) =>
    writeRecord(store, {
      run: identity,
      phase,
      startedAt,
      endedAt: phase === 'applying' ? null : new Date().toISOString(),
      planned: writesOf(plan).map(describeWrite),
      written: phase === 'applying' ? null : written.map(describeWrite),
      reason: why,
    });
  const write = (plan: readonly PlannedObject[]) =>
    applyPlan(plan, {
      client: job.client,
      force: inputs['force-conflicts'],
      fence: lease.fence,
      signal: context.signal,
      log: context.log,
      onWritten: (one) => void written.push(one),
    });

  let plan = first;
  const changes = writesOf(first).length > 0;
  if (changes || unfinished !== undefined) await record('applying', first, null);
  try {
    if (first.some(({ action }) => action === 'later')) {
      showPlan(context, first);
      context.log.info(
        'Some kinds or namespaces come with the manifests; these first, for what is in them to be checked.',
      );
      await write(first.filter(({ kind }) => ['Namespace', 'CustomResourceDefinition'].includes(kind.kind)));
      const before = written.map(keyOf);
      const second = await planManifests(manifests, job.planOptions);
      plan = second.map((one) => {
        // What was made a moment ago is counted as that.
        const earlier = before.includes(keyOf(one))
          ? written.find((other) => keyOf(other) === keyOf(one))
          : undefined;
        return earlier ?? one;
      });
    }
    showPlan(context, plan);
    await write(plan.filter((one) => !written.some((other) => keyOf(other) === keyOf(one))));
    const workloads = inputs.wait ? workloadsOf(plan) : [];
    await untilReady(workloads, {
      client: job.client,
      deadline: deadlineIn(inputs['ready-timeout']),
      signal: context.signal,
      log: context.log,
    });
  } catch (thrown) {
    const honest = withProgress(thrown, plan, written);
    await record('failed', plan, messageOf(thrown)).catch((unwritten: unknown) => {
      context.log.warning(`How far this run came could not be written down: ${messageOf(unwritten)}`);
    });
    throw honest;
  }
  if (changes || unfinished !== undefined) await record('applied', plan, null);
  return succeeded(job, plan, unfinished !== undefined);
}

const keyOf = ({ kind, namespace, name }: PlannedObject) => `${kind.group}/${kind.kind}/${namespace}/${name}`;
const describeWrite = (one: PlannedObject) => `${one.action} ${describePlanned(one)}`;

/** What was written and what was not: applying is not atomic, so a failure has to say where it stopped. */
function withProgress(
  thrown: unknown,
  plan: readonly PlannedObject[],
  written: readonly PlannedObject[],
): unknown {
  if (!(thrown instanceof DeployError)) return thrown;
  const wanted = writesOf(plan);
  const done = new Set(written.map(keyOf));
  const left = wanted.filter((one) => !done.has(keyOf(one)));
  const progress =
    wanted.length === 0
      ? 'Nothing had to be written.'
      : left.length === 0
        ? `All that was planned was written: ${wanted.length} of ${wanted.length}.`
        : `${written.length} of ${wanted.length} changes were written, ${left.length} were not.`;
  // Elsewhere these say that nothing was touched.
  const isTrue = done.size === 0 || !['invalid_input', 'unsupported'].includes(thrown.reasonCode);
  return new DeployError(
    isTrue ? thrown.reasonCode : 'partly_applied',
    `${thrown.message.replace(/ Nothing was written\.$/, '')} ${progress}`,
    {
      remedy: `${thrown.remedy ?? 'Correct the cause.'} Applying again goes on from what is there.`,
      details: [
        ...thrown.details,
        ...written.map((one) => `written: ${describeWrite(one)}`),
        ...left.map((one) => `not written: ${describeWrite(one)}`),
      ],
      cause: thrown,
    },
  );
}

function succeeded({ inputs, label }: Job, plan: PlannedObject[], isResumed: boolean): Outcome<Outputs> {
  const { length } = writesOf(plan);
  const waited = inputs.wait ? workloadsOf(plan).length : 0;
  const ready =
    waited === 0 ? '' : ` ${waited === 1 ? 'The workload is' : `All ${waited} workloads are`} ready.`;
  return {
    result: length === 0 && !isResumed ? 'unchanged' : 'succeeded',
    reasonCode: isResumed ? 'resumed' : length === 0 ? 'already_current' : 'ok',
    message:
      length === 0
        ? `All ${plan.length} objects of ${label} are as they should be.${ready}`
        : `${length} of ${plan.length} objects of ${label} were written.${ready}`,
    outputs: outputsOf(plan),
    report: { plan: plan.map(writeOf) },
  };
}

/** Applying again converges by itself, so there is nothing to settle: only said is what was left. */
export async function post(inputs: Inputs, context: Context): Promise<void> {
  if (inputs['dry-run']) return;
  const client = await connectKubernetes(inputs, context);
  try {
    const { state, run: identity } = await openJob(inputs, context, client, []);
    const record = await readRecord(state.store);
    if (record?.phase !== 'applying' || record.run.id !== identity.id) return;
    context.log.warning(`${describeUnfinished(record)} Run this action again.`);
  } finally {
    client.close();
  }
}
