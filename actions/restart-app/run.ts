import { type Context, escapeMarkdown, type InputValues, type Outcome } from '@deploy-actions/action-kit';
import { deadlineIn, DeployError, messageOf, sleep } from '@deploy-actions/core';
import {
  isLeaving,
  isPodReady,
  observed,
  type RunPod,
  type WorkloadKind,
  workloadKinds,
} from '@deploy-actions/diagnosis';
import {
  createKubernetesStore,
  hasLabels,
  type KubernetesClient,
  resources,
  selectorQuery,
  stateName,
} from '@deploy-actions/kubernetes';
import { recordInAudit } from '@deploy-actions/ledger';
import {
  beforeOf,
  planRestart,
  putBack,
  type Restartable,
  restart,
  type RestartPlan,
  restartable,
} from '@deploy-actions/recovery';
import {
  acquireLease,
  isHolderAlive,
  isSettled,
  type Lease,
  peekJournal,
  readLease,
  describeRun,
  type StateStore,
  thisProcess,
} from '@deploy-actions/release-engine';
import { connectKubernetes, runIdentity, workloadOf } from '@deploy-actions/targets';
import type { definition } from './definition.ts';

type Inputs = InputValues<(typeof definition)['inputs']>;
type Outputs = (typeof definition)['outputs'];

interface Target {
  kind: WorkloadKind;
  workload: Restartable;
  stores: StateStore[];
}

/** The workload that is named, or the one behind the Service, with where its releases keep their state. */
async function find(client: KubernetesClient, inputs: Inputs): Promise<Target> {
  const { items: services } = await client.list(resources.services);
  let kind: WorkloadKind;
  let workload: Restartable;
  if (inputs.workload !== undefined) {
    const named = workloadOf(inputs.workload);
    kind = named.kind;
    workload = await client.get(restartable(kind), named.name);
  } else {
    const [service = ''] = inputs.service ?? [];
    const selector = (await client.get(resources.services, service)).spec.selector ?? {};
    const behind: { kind: WorkloadKind; workload: Restartable }[] = [];
    for (const each of Object.keys(workloadKinds) as WorkloadKind[]) {
      const { items } = await client.list(restartable(each));
      for (const found of items) {
        const isBehind =
          Object.keys(selector).length > 0 && hasLabels(found.spec.template.metadata?.labels, selector);
        if (isBehind && found.spec.replicas !== 0) behind.push({ kind: each, workload: found });
      }
    }
    const [only, other] = behind;
    if (only === undefined || other !== undefined) {
      const names = behind.map((one) => `${one.kind}/${one.workload.metadata.name}`).join(', ');
      throw new DeployError(
        only === undefined ? 'not_found' : 'invalid_input',
        only === undefined
          ? `Nothing that runs has pods for Service ${service}.`
          : `Several workloads have pods for Service ${service}: ${names}.`,
        { remedy: 'Name the one to restart: `workload`.' },
      );
    }
    ({ kind, workload } = only);
  }
  const { app, environment } = inputs;
  const senders = services
    .filter(
      ({ spec }) =>
        Object.keys(spec.selector ?? {}).length > 0 &&
        hasLabels(workload.spec.template.metadata?.labels, spec.selector ?? {}),
    )
    .map(({ metadata }) => stateName('service', metadata.name))
    .toSorted();
  // Where no environment is named, switches keep it by Service and rolling updates by workload.
  const own =
    app !== undefined && environment !== undefined
      ? [stateName(app, environment)]
      : [...senders, stateName(kind, workload.metadata.name)];
  return { kind, workload, stores: own.map((name) => createKubernetesStore(client, name)) };
}

async function podsOf(client: KubernetesClient, workload: Restartable): Promise<RunPod[]> {
  const { items } = await client.list(observed.pods, {
    labelSelector: selectorQuery(workload.spec.selector),
  });
  return items.filter((pod) => !isLeaving(pod));
}

/** Refuses what a killed run left half done: it is settled first. */
async function requireSettled(stores: readonly StateStore[]): Promise<void> {
  for (const store of stores) {
    const journal = await peekJournal(store);
    if (journal === null || isSettled(journal)) continue;
    throw new DeployError(
      'unfinished_release',
      `The release of ${journal.to.release.version} is left in phase «${journal.phase}».`,
      {
        remedy: 'Run that release or `rollback` again, which settles it; then restart.',
      },
    );
  }
}

/** One look at the health of all pods, or at the URL; undefined when it is well. */
async function illness(
  client: KubernetesClient,
  inputs: Inputs,
  pods: readonly RunPod[],
  signal: AbortSignal,
): Promise<string | undefined> {
  const url = inputs['health-url'];
  if (url !== undefined) {
    try {
      const within = AbortSignal.any([signal, AbortSignal.timeout(10_000)]);
      const answer = await fetch(url, { signal: within, redirect: 'manual' });
      await answer.body?.cancel();
      return answer.ok ? undefined : `${url.origin}${url.pathname} answers ${answer.status}`;
    } catch (thrown) {
      return `${url.origin}${url.pathname}: ${messageOf(thrown)}`;
    }
  }
  for (const pod of pods) {
    const probe = pod.spec.containers
      .map(({ readinessProbe }) => readinessProbe?.httpGet)
      .find((found) => found !== undefined);
    if (probe === undefined) continue;
    const ports = pod.spec.containers.flatMap(({ ports: own }) => own ?? []);
    const port = ports.find(({ name }) => name === probe.port)?.containerPort ?? probe.port;
    const scheme = probe.scheme === 'HTTPS' ? ('https' as const) : ('http' as const);
    const answer = await client.askPod(pod.metadata.name, port, probe.path ?? '/', {
      timeout: 10_000,
      signal,
      scheme,
    });
    if (answer.status < 200 || answer.status >= 400)
      return `${pod.metadata.name} answers ${answer.status} on ${probe.path ?? '/'}`;
  }
  return undefined;
}

async function untilHealthy(
  client: KubernetesClient,
  inputs: Inputs,
  workload: Restartable,
  context: Context,
): Promise<void> {
  const deadline = deadlineIn(inputs['health-timeout']);
  for (;;) {
    const pods = await podsOf(client, workload);
    const ill = await illness(client, inputs, pods, context.signal);
    if (ill === undefined) return;
    if (deadline.passed()) {
      throw new DeployError(
        'unhealthy',
        `All pods are new and ready, and the application is not healthy: ${ill}.`,
        {
          remedy: 'A restart did not help: run `diagnose`, or go back to the version before (`rollback`).',
        },
      );
    }
    context.log.progress({
      what: 'waiting until it is healthy',
      elapsed: deadline.elapsed(),
      remaining: deadline.remaining(),
      detail: ill,
    });
    await sleep(1_000, context.signal, 'waiting until it is healthy');
  }
}

export async function run(inputs: Inputs, context: Context): Promise<Outcome<Outputs>> {
  const { log, signal, summary } = context;
  const client = await connectKubernetes(inputs, context);
  const leases: Lease[] = [];
  try {
    const identity = runIdentity(context);
    const looked = await find(client, inputs);
    const { kind, stores } = looked;
    const { name } = looked.workload.metadata;
    const label = `${workloadKinds[kind].kind} ${name} in namespace ${client.namespace}`;
    const planNow = async (workload: Restartable): Promise<RestartPlan> => {
      const [pods, budgets] = await Promise.all([podsOf(client, workload), client.list(observed.budgets)]);
      return planRestart(kind, workload, inputs.strategy, { pods, budgets: budgets.items, run: identity.id });
    };
    const count = async () => {
      const pods = await podsOf(client, looked.workload);
      return { workload: `${kind}/${name}`, pods: pods.length, ready: pods.filter(isPodReady).length };
    };
    if (inputs['dry-run']) {
      const plan = await planNow(looked.workload);
      await requireSettled(stores);
      for (const store of stores) {
        const held = await readLease(store);
        if (held !== null)
          throw new DeployError('lock_held', `${describeRun(held.holder)} holds the lease of ${label}.`);
      }
      summary.list(plan.words.map(escapeMarkdown));
      for (const word of plan.words) log.info(word);
      return {
        result: 'planned',
        reasonCode: 'dry_run',
        message: `Would restart ${plan.words.join(', ')}. Nothing was written.`,
        outputs: await count(),
        report: { plan },
      };
    }
    for (const store of stores) {
      leases.push(
        await acquireLease({
          store,
          run: identity,
          process: thisProcess(),
          isAlive: isHolderAlive,
          wait: inputs['lock-timeout'],
          signal,
          log,
        }),
      );
    }
    await requireSettled(stores);
    const workload = await client.get(restartable(kind), name);
    const plan = await planNow(workload);
    for (const word of plan.words) log.info(word);
    const [store] = stores;
    if (store !== undefined) {
      await recordInAudit(store, {
        what: 'restart',
        reason: inputs.reason ?? '',
        detail: `${label}, ${plan.way}`,
        run: identity,
      });
    }
    const options = {
      client,
      fences: leases.map(({ fence }) => fence),
      timeout: inputs.timeout,
      log,
      signal,
    };
    const began = performance.now();
    try {
      await restart(plan, workload, options);
    } catch (thrown) {
      throw await explained(thrown, plan, options, count);
    }
    await untilHealthy(client, inputs, workload, context);
    const outputs = await count();
    const seconds = ((performance.now() - began) / 1_000).toFixed(1);
    summary.table(
      ['Workload', 'Way', 'Pods', 'Ready', 'Took'],
      [
        [
          escapeMarkdown(`${kind}/${name}`),
          plan.way,
          String(outputs.pods),
          String(outputs.ready),
          `${seconds} s`,
        ],
      ],
    );
    return {
      result: 'succeeded',
      reasonCode: plan.resumed ? 'resumed' : 'ok',
      message: `${label} was restarted: ${outputs.ready} of ${outputs.pods} pods are new and ready, and it is healthy (${seconds} s).`,
      outputs,
      report: { plan, ...outputs },
    };
  } finally {
    for (const lease of leases.toReversed()) await lease.release();
    client.close();
  }
}

type Count = { pods: number; ready: number };

/** The error with what became of the workload: a rollout is taken back, all else stays where it stopped. */
async function explained(
  thrown: unknown,
  plan: RestartPlan,
  options: Parameters<typeof putBack>[1],
  count: () => Promise<Count>,
): Promise<unknown> {
  if (!(thrown instanceof DeployError) || thrown.reasonCode === 'lock_lost') return thrown;
  const goesBack = plan.way === 'rollout' && plan.kind !== 'statefulset';
  let what = 'It stopped there; the other pods were not touched.';
  if (goesBack) {
    try {
      await putBack(plan, options, { template: true });
      what = 'The rollout was taken back.';
    } catch (also) {
      what = `The rollout could not be taken back: ${messageOf(also)}.`;
    }
  }
  const { pods, ready } = await count().catch(() => ({ pods: 0, ready: 0 }));
  return new DeployError(
    thrown.reasonCode,
    `${thrown.message} ${what} ${ready} of ${pods} pods are ready now.`,
    {
      remedy: thrown.remedy,
      details: thrown.details,
      cause: thrown,
    },
  );
}

/** Takes back what a run that was killed left, where that is its own. */
export async function post(inputs: Inputs, context: Context): Promise<void> {
  if (inputs['dry-run']) return;
  const client = await connectKubernetes(inputs, context);
  try {
    const { kind, workload } = await find(client, inputs);
    const before = beforeOf(workload);
    if (before === null || before.run !== runIdentity(context).id || kind === 'statefulset') return;
    const plan: RestartPlan = {
      kind,
      name: workload.metadata.name,
      way: 'rollout',
      pods: [],
      strategy: null,
      before,
      resumed: true,
      words: [],
    };
    context.log.warning(`The restart of ${workload.metadata.name} was cut short; taking it back.`);
    await putBack(
      plan,
      { client, fences: [], timeout: 0, log: context.log, signal: context.signal },
      { template: true },
    );
  } finally {
    client.close();
  }
}
