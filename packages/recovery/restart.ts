import {
  asError,
  cancelled,
  deadlineIn,
  type Deadline,
  DeployError,
  formatDuration,
  type Log,
} from '@deploy-actions/core';
import {
  isLeaving,
  isPodReady,
  observed,
  type PodProblem,
  podProblems,
  type RunPod,
  workloadKinds,
} from '@deploy-actions/diagnosis';
import {
  type KubernetesClient,
  type KubernetesObject,
  type Resource,
  selectorQuery,
} from '@deploy-actions/kubernetes';
import type { Fence } from '@deploy-actions/release-engine';
import {
  beforeRestart,
  budgetsOf,
  isWell,
  type Restartable,
  type RestartPlan,
  replicasOf,
  restartedAt,
  strategyField,
} from './restart-plan.ts';

export interface RestartOptions {
  client: KubernetesClient;
  /** Asked before every write: a deposed holder writes nothing. */
  fences: readonly Fence[];
  /** Milliseconds for all of it. */
  timeout: number;
  /** Milliseconds that a new pod may be unschedulable. */
  unschedulableFor?: number;
  log: Log;
  signal: AbortSignal;
}

export const restartable = (kind: RestartPlan['kind']): Resource<Restartable> => workloadKinds[kind];

interface Seen {
  workload: Restartable;
  pods: RunPod[];
}

/** The workload and its pods, whenever something of them changes. */
interface View {
  /** Throws what broke a watch, `cancelled`, or the error of the deadline. */
  until(done: (seen: Seen) => boolean, what: string): Promise<Seen>;
  close(): void;
}

const longestLook = 1_000;

function watch(plan: RestartPlan, first: Restartable, options: RestartOptions, deadline: Deadline): View {
  const { client, signal, log } = options;
  const stop = new AbortController();
  const watching = AbortSignal.any([signal, stop.signal]);
  const seen: { workloads?: Restartable[]; pods?: RunPod[] } = {};
  let broken: unknown;
  let wake = (): void => {};
  async function follow<T extends KubernetesObject>(
    resource: Resource<T>,
    query: { fieldSelector?: string; labelSelector?: string },
    keep: (items: T[]) => void,
  ): Promise<void> {
    for await (const items of client.follow(resource, query, watching)) {
      keep(items);
      wake();
    }
  }
  Promise.all([
    follow(
      restartable(plan.kind),
      { fieldSelector: `metadata.name=${plan.name}` },
      (items) => (seen.workloads = items),
    ),
    follow(
      observed.pods,
      { labelSelector: selectorQuery(first.spec.selector) },
      (items) => (seen.pods = items),
    ),
  ]).catch((thrown: unknown) => {
    broken = thrown;
    wake();
  });
  const firstUnready = new Map<string, number>();
  return {
    async until(done, what) {
      for (;;) {
        if (signal.aborted) throw cancelled(what);
        if (broken !== undefined) throw asError(broken);
        const { workloads, pods } = seen;
        const workload = workloads?.[0];
        if (workloads !== undefined && workload === undefined) {
          throw new DeployError('not_found', `${workloadKinds[plan.kind].kind} ${plan.name} is gone.`);
        }
        let detail = 'reading it';
        if (workload !== undefined && pods !== undefined) {
          const now = { workload, pods };
          const ready = pods.filter((pod) => isPodReady(pod) && !isLeaving(pod)).length;
          detail = `${ready} of ${replicasOf(plan.kind, workload)} pods ready`;
          const problem = newProblem(plan, pods, firstUnready, options.unschedulableFor ?? 20_000);
          if (problem !== undefined) {
            throw new DeployError(
              'not_ready',
              `Pod ${problem.pod}, which is new, does not come up: ${problem.seen}.`,
              {
                remedy:
                  'Run `diagnose` on it; a restart starts the same version with the same configuration.',
              },
            );
          }
          if (done(now)) return now;
        }
        if (deadline.passed()) {
          throw new DeployError('not_ready', `${what}: ${detail} after ${formatDuration(deadline.total)}.`, {
            remedy: 'Run `diagnose` on it, or give it longer: `timeout`.',
          });
        }
        log.progress({ what, elapsed: deadline.elapsed(), remaining: deadline.remaining(), detail });
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, Math.min(longestLook, Math.max(20, deadline.remaining())));
          const go = () => {
            clearTimeout(timer);
            resolve();
          };
          wake = go;
          signal.addEventListener('abort', go, { once: true });
        });
      }
    },
    close: () => stop.abort(),
  };
}

/** What keeps a pod that the restart made from coming up. */
function newProblem(
  plan: RestartPlan,
  pods: readonly RunPod[],
  since: Map<string, number>,
  unschedulableFor: number,
): PodProblem | undefined {
  // A StatefulSet gives its pods the same names again.
  const isNew = ({ metadata }: RunPod) => plan.kind === 'statefulset' || !plan.pods.includes(metadata.name);
  return pods
    .filter(isNew)
    .flatMap(podProblems)
    .find(({ rule, pod }) => {
      if (rule !== 'unschedulable' && rule !== 'pending-volume') return true;
      const first = since.get(pod) ?? performance.now();
      since.set(pod, first);
      return performance.now() - first >= unschedulableFor;
    });
}

async function write(
  plan: RestartPlan,
  options: RestartOptions,
  patch: Record<string, unknown>,
  isMade: (workload: Restartable) => boolean,
): Promise<Restartable> {
  const { client, fences } = options;
  for (let attempt = 0; ; attempt += 1) {
    const from = await client.get(restartable(plan.kind), plan.name);
    if (isMade(from)) return from;
    for (const fence of fences) await fence.check();
    try {
      return await client.change(restartable(plan.kind), { patch, from, isMade });
    } catch (thrown) {
      // Its status moves it all the time.
      const isConflict = thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
      if (!isConflict || attempt >= 5) throw thrown;
    }
  }
}

const strategyPatch = (
  { kind, strategy }: Pick<RestartPlan, 'kind' | 'strategy'>,
  more: Record<string, unknown> = {},
) =>
  strategy === null
    ? {}
    : { [strategyField(kind)]: { ...strategy, rollingUpdate: { ...strategy.rollingUpdate, ...more } } };

/** Puts back how pods are replaced; with `template`, the pods' template too, so that the rollout goes back. */
export async function putBack(
  plan: RestartPlan,
  options: RestartOptions,
  { template }: { template: boolean },
): Promise<void> {
  const { kind, before } = plan;
  const rollingUpdate = {
    maxSurge: null,
    maxUnavailable: null,
    partition: null,
    ...before.strategy?.rollingUpdate,
  };
  const fields =
    kind === 'deployment'
      ? ['maxSurge', 'maxUnavailable']
      : kind === 'statefulset'
        ? ['partition', 'maxUnavailable']
        : ['maxSurge', 'maxUnavailable'];
  const own = Object.fromEntries(Object.entries(rollingUpdate).filter(([name]) => fields.includes(name)));
  await write(
    plan,
    options,
    {
      metadata: { annotations: { [beforeRestart]: null } },
      spec: {
        [strategyField(kind)]: { ...before.strategy, rollingUpdate: own },
        ...(template
          ? { template: { metadata: { annotations: { [restartedAt]: before.restartedAt } } } }
          : {}),
      },
    },
    ({ metadata }) => metadata.annotations?.[beforeRestart] === undefined,
  );
}

/** Restarts what the plan says and waits until it is well. Throws `not_ready`, `timeout`, `cancelled`, and those of the client. */
export async function restart(
  plan: RestartPlan,
  workload: Restartable,
  options: RestartOptions,
): Promise<Seen> {
  const deadline = deadlineIn(options.timeout);
  const view = watch(plan, workload, options, deadline);
  try {
    if (plan.way === 'evict') return await evictEach(plan, view, options, deadline);
    let generation = workload.metadata.generation ?? 0;
    if (!plan.resumed) {
      const at = new Date(options.client.now() ?? Date.now()).toISOString();
      const written = await write(
        plan,
        options,
        {
          metadata: { annotations: { [beforeRestart]: JSON.stringify(plan.before) } },
          spec: { ...strategyPatch(plan), template: { metadata: { annotations: { [restartedAt]: at } } } },
        },
        ({ spec }) => spec.template.metadata?.annotations?.[restartedAt] === at,
      );
      generation = written.metadata.generation ?? generation;
    }
    if (plan.kind === 'statefulset') await releaseEach(plan, view, options);
    const what = `waiting until all pods of ${plan.name} are new and ready`;
    // What was seen before the write is of the pods that were there before it.
    const well = await view.until(
      ({ workload: seen }) => (seen.metadata.generation ?? 0) >= generation && isWell(plan.kind, seen),
      what,
    );
    await putBack(plan, options, { template: false });
    return well;
  } finally {
    view.close();
  }
}

const ordinalOf = (pod: RunPod): number => Number(/-(\d+)$/.exec(pod.metadata.name)?.[1] ?? -1);

/** Lets a StatefulSet replace one pod more, and waits for it; the last ordinal first, none below its own partition. */
async function releaseEach(plan: RestartPlan, view: View, options: RestartOptions): Promise<void> {
  const { pods } = await view.until(() => true, `reading ${plan.name}`);
  const last = plan.before.strategy?.rollingUpdate?.partition ?? 0;
  const ordinals = pods
    .map(ordinalOf)
    .filter((ordinal) => ordinal >= last)
    .toSorted((a, b) => b - a);
  for (const partition of ordinals) {
    await untilAllowed(plan, view, options);
    await write(
      plan,
      options,
      { spec: strategyPatch(plan, { partition }) },
      ({ spec }) => spec.updateStrategy?.rollingUpdate?.partition === partition,
    );
    await view.until(({ workload, pods: now }) => {
      const pod = now.find((one) => ordinalOf(one) === partition);
      const isObserved =
        (workload.status?.observedGeneration ?? 0) >= (workload.metadata.generation ?? 0) &&
        workload.spec.updateStrategy?.rollingUpdate?.partition === partition;
      const isUpdated =
        pod?.metadata.labels?.['controller-revision-hash'] === workload.status?.updateRevision;
      return isObserved && pod !== undefined && isUpdated && isPodReady(pod) && !isLeaving(pod);
    }, `waiting until ${plan.name}-${partition} is new and ready`);
  }
}

/** Waits until every budget allows a pod to go, by what the disruption controller last counted. */
async function untilAllowed(plan: RestartPlan, view: View, { client }: RestartOptions): Promise<void> {
  let blocked: string | undefined = '';
  let asked = 0;
  let asking: Promise<void> | undefined;
  const ask = async (workload: Restartable) => {
    const { items } = await client.list(observed.budgets);
    blocked = budgetsOf(workload, items).find(({ status }) => (status?.disruptionsAllowed ?? 0) < 1)?.metadata
      .name;
    asked += 1;
  };
  await view.until(({ workload, pods }) => {
    if (asked > 0 && blocked === undefined) return pods.every((pod) => isPodReady(pod) || !isLeaving(pod));
    asking ??= ask(workload)
      .catch(() => {})
      .finally(() => (asking = undefined));
    return false;
  }, `waiting until the disruption budgets of ${plan.name} allow a pod to go`);
}

async function evictEach(
  plan: RestartPlan,
  view: View,
  options: RestartOptions,
  deadline: Deadline,
): Promise<Seen> {
  const { client, fences, log } = options;
  let seen = await view.until(() => true, `reading ${plan.name}`);
  const targets = seen.pods.filter((pod) => plan.pods.includes(pod.metadata.name));
  const wanted = replicasOf(plan.kind, seen.workload);
  // Those that do not serve anyway go first.
  for (const pod of targets.toSorted((a, b) => Number(isPodReady(a)) - Number(isPodReady(b)))) {
    const { name, uid } = pod.metadata;
    for (;;) {
      for (const fence of fences) await fence.check();
      const answer = await client.evict(pod);
      if (answer.state === 'gone') break;
      log.debug(`${name}: ${answer.why}`);
      if (deadline.passed())
        throw new DeployError('timeout', `Pod ${name} may not be evicted: ${answer.why}`, {
          remedy: 'See its disruption budget, and give it longer: `timeout`.',
        });
      let looks = 0;
      await view.until(() => (looks += 1) > 1, `waiting until ${name} may be evicted`);
    }
    log.info(`Evicted ${name}.`);
    seen = await view.until(({ pods }) => {
      const rest = targets.filter((one) =>
        pods.some(({ metadata }) => metadata.uid === one.metadata.uid),
      ).length;
      const ready = pods.filter((one) => isPodReady(one) && !isLeaving(one)).length;
      const isGone = pods.every(({ metadata }) => metadata.uid !== uid);
      return (
        isGone &&
        (ready >= wanted || (rest > 0 && ready >= wanted - targets.filter((one) => !isPodReady(one)).length))
      );
    }, `waiting until ${name} is replaced by one that is ready`);
  }
  return view.until(
    ({ pods }) => pods.filter((pod) => isPodReady(pod) && !isLeaving(pod)).length >= wanted,
    `waiting until all pods of ${plan.name} are ready`,
  );
}
