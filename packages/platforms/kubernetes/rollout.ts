import {
  cancelled,
  type Deadline,
  DeployError,
  digestOf,
  formatDuration,
  type Log,
} from '@deploy-actions/core';
import {
  type ControllerRevision,
  type FieldChange,
  fieldChanges,
  isPatched,
  type KubernetesClient,
  mergePatchBetween,
  type Pod,
  type PodTemplate,
  type ReplicaSet,
  type Resource,
  resources,
  selectorQuery,
  type Workload,
} from '@deploy-actions/kubernetes';
import type { Fence, Readiness } from '@deploy-actions/release-engine';
import { createBell } from './bell.ts';
import { evidenceOf, remedyFor } from './evidence.ts';
import { createHandOver, stopLeaving } from './hand-over.ts';
import {
  asKnown,
  hasEnded,
  isLeaving,
  isOwnedBy,
  isPodReady,
  judge,
  type Judged,
  judgePods,
  podsOf,
  templateKey,
} from './readiness.ts';
import { type KubernetesRelease, releaseIn, type Scope } from './release.ts';
import { describeWorkload, type WorkloadName } from './rolling-change.ts';

/** A pod template that a workload has or had, as its controller keeps it. */
export interface PodRevision {
  /** Of the ReplicaSet or ControllerRevision. */
  name: string;
  /** As `kubectl rollout history` counts. */
  number: number;
  template: PodTemplate;
  release: KubernetesRelease;
  /** ISO 8601; empty when the API does not say. */
  madeAt: string;
  isCurrent: boolean;
}

export interface RolloutOptions {
  client: KubernetesClient;
  workload: WorkloadName;
  /** Which images count on what this suite never deployed to; default: all of them. */
  scope?: Scope | undefined;
  /** Milliseconds that a pod may be unschedulable before it is given up; default 20 s. */
  unschedulableFor?: number;
  log: Log;
}

export interface Rollout {
  read(): Promise<Workload>;
  /** What its pod template says. */
  releaseOf(workload: Workload): KubernetesRelease;
  /** Newest first. */
  revisions(workload: Workload): Promise<PodRevision[]>;
  /**
   * One write that rests on the resourceVersion. `decide` is asked again when only the status, or an autoscaler, moved
   * the object; a template that somebody else changed meanwhile is a `state_conflict`. What was changed is returned.
   */
  change(decide: (workload: Workload) => Workload, fence: Fence): Promise<FieldChange[]>;
  /**
   * Yields what is seen until every pod is of the current template and ready, and has been for `steady`. Throws
   * `start_failed` with reason, log and events as soon as it is known that it never will be, `not_ready` when the deadline
   * passes while a pod is not. With `unstick`, a StatefulSet's pods of another template that are not ready are deleted: its
   * controller waits for them for ever. With `handOver`, the pods of a Deployment that is `held` are taken out of their
   * Service before they are stopped.
   */
  wait(deadline: Deadline, signal: AbortSignal, how?: WaitOptions): AsyncIterable<Readiness>;
  /** Stops the pods that a killed run had taken out of the Service. */
  stopLeaving(fence: Fence): Promise<void>;
  /** Whether every pod is of the current template and ready now. */
  isDone(): Promise<boolean>;
}

export interface WaitOptions {
  /** Milliseconds for which all pods have to stay ready; default 0. */
  steady?: number;
  unstick?: Fence;
  /** Seconds that a pod goes on serving after it was taken out. */
  handOver?: { seconds: number; fence: Fence };
}

const conflictsAllowed = 12;
/** Milliseconds between two looks where no watch says anything. */
const longestLook = 1_000;

interface Seen {
  workload: Workload;
  pods: Pod[];
  replicaSets: ReplicaSet[];
  controllerRevisions: ControllerRevision[];
}

export function createRollout(options: RolloutOptions): Rollout {
  const { client, workload: what, log } = options;
  const resource: Resource<Workload> =
    what.kind === 'deployment'
      ? resources.deployments
      : what.kind === 'statefulset'
        ? resources.statefulSets
        : resources.daemonSets;
  const label = describeWorkload(what);

  const read = () => client.get(resource, what.name);
  const releaseOf = (workload: Workload) => releaseIn(workload, options.scope);

  async function belongings(workload: Workload): Promise<Omit<Seen, 'workload'>> {
    const query = { labelSelector: selectorQuery(workload.spec.selector) };
    const isDeployment = what.kind === 'deployment';
    const [pods, replicaSets, controllerRevisions] = await Promise.all([
      client.list(resources.pods, query),
      isDeployment ? client.list(resources.replicaSets, query) : undefined,
      isDeployment ? undefined : client.list(resources.controllerRevisions, query),
    ]);
    return {
      pods: pods.items,
      replicaSets: replicaSets?.items ?? [],
      controllerRevisions: controllerRevisions?.items ?? [],
    };
  }

  /** What a StatefulSet's or DaemonSet's pods of the current template have as `controller-revision-hash`. */
  function currentHash({ workload, controllerRevisions }: Seen): string | undefined {
    if (workload.status?.observedGeneration !== workload.metadata.generation) return undefined;
    if (what.kind === 'statefulset') return workload.status?.updateRevision;
    const newest = controllerRevisions
      .filter((revision) => isOwnedBy(revision, workload.metadata.uid))
      .toSorted((a, b) => b.revision - a.revision)[0];
    return newest?.metadata.labels?.['controller-revision-hash'];
  }

  function judged(seen: Seen): Judged {
    const judging = {
      port: undefined,
      now: client.now() ?? Date.now(),
      unschedulableFor: options.unschedulableFor ?? 20_000,
    };
    const { workload } = seen;
    if (what.kind === 'deployment') {
      return judge({ ...seen, deployment: workload }, judging);
    }
    const hash = currentHash(seen);
    const all = ownPods(seen);
    const wanted =
      what.kind === 'statefulset'
        ? (workload.spec.replicas ?? 1)
        : (workload.status?.desiredNumberScheduled ?? 0);
    const judgement = judgePods(
      {
        wanted,
        all,
        current: all.filter(({ metadata }) => metadata.labels?.['controller-revision-hash'] === hash),
        failure: null,
      },
      judging,
    );
    // What is there says nothing yet: no number of pods is enough.
    if (hash === undefined) {
      return { ...judgement, wanted: Infinity, message: 'its controller has not looked at the change yet' };
    }
    if (what.kind === 'statefulset') return judgement;
    // Revisions come by a watch of their own: the newest that was seen may be that of the template before, whose pods are all ready.
    return asKnown(judgement, workload.status?.updatedNumberScheduled ?? 0);
  }

  const ownPods = ({ workload, pods }: Seen) =>
    pods.filter((pod) => !isLeaving(pod) && !hasEnded(pod) && isOwnedBy(pod, workload.metadata.uid));

  async function failed(
    reasonCode: 'start_failed' | 'not_ready',
    message: string,
    about: { pod: string | null; container: string | null; reason: string },
  ): Promise<DeployError> {
    return new DeployError(reasonCode, message, {
      remedy: remedyFor(about.reason),
      details: await evidenceOf(client, log, about.pod, about.container),
    });
  }

  async function notReady(
    deadline: Deadline,
    { message, pods }: Judged,
    wasReady: boolean,
  ): Promise<DeployError> {
    const statuses = (pod: Pod) => pod.status?.containerStatuses ?? [];
    const ailing = pods.find((pod) => statuses(pod).some(({ ready }) => !ready)) ?? pods[0];
    const container =
      ailing === undefined
        ? undefined
        : (statuses(ailing).find(({ ready }) => !ready)?.name ?? ailing.spec.containers[0]?.name);
    const error = await failed(
      'not_ready',
      wasReady
        ? `${label} was ready and did not stay so: ${message}`
        : `${label} did not become ready within ${Math.round(deadline.total / 1_000)} s: ${message}`,
      { pod: ailing?.metadata.name ?? null, container: container ?? null, reason: '' },
    );
    const probe = error.details.findLast((line) => /event Warning Unhealthy/.test(line));
    if (probe === undefined) return error;
    const said = probe.replace(/^event Warning Unhealthy: /, '');
    return new DeployError('not_ready', `${error.message} (${said})`, {
      remedy: error.remedy,
      details: error.details,
    });
  }

  return {
    read,
    releaseOf,

    async revisions(workload) {
      const { replicaSets, controllerRevisions } = await belongings(workload);
      const { uid } = workload.metadata;
      const key = templateKey(workload.spec.template);
      // What no release is noted on counts by the images that the present one is about.
      const scope = options.scope ?? releaseOf(workload);
      const revision = (
        { metadata }: ReplicaSet | ControllerRevision,
        number: number,
        template: PodTemplate | undefined,
      ): PodRevision[] =>
        template === undefined
          ? []
          : [
              {
                name: metadata.name,
                number,
                template,
                release: releaseIn({ metadata, spec: { selector: {}, template } }, scope),
                madeAt: metadata.creationTimestamp ?? '',
                isCurrent: templateKey(template) === key,
              },
            ];
      return [
        ...replicaSets
          .filter((set) => isOwnedBy(set, uid))
          .flatMap((set) =>
            revision(
              set,
              Number(set.metadata.annotations?.['deployment.kubernetes.io/revision'] ?? 0),
              set.spec.template,
            ),
          ),
        ...controllerRevisions
          .filter((one) => isOwnedBy(one, uid))
          .flatMap((one) => revision(one, one.revision, templateIn(one))),
      ].toSorted((a, b) => b.number - a.number);
    },

    async change(decide, fence) {
      let template: string | undefined;
      for (let conflicts = 0; ; conflicts += 1) {
        const current = await read();
        const now = digestOf(current.spec.template);
        if (template !== undefined && template !== now) {
          throw new DeployError('state_conflict', `${label} is being changed by somebody else.`, {
            remedy: 'See who (`kubectl get -o yaml --show-managed-fields`), then run this again.',
          });
        }
        template = now;
        const wanted = decide(current);
        const patch = mergePatchBetween(current, wanted);
        if (patch === undefined) return [];
        await fence.check();
        try {
          await client.change(resource, {
            patch: patch as Record<string, unknown>,
            from: current,
            isMade: (there) => isPatched(there, patch),
          });
          return fieldChanges(current, wanted);
        } catch (thrown) {
          const isConflict = thrown instanceof DeployError && thrown.reasonCode === 'state_conflict';
          if (!isConflict || conflicts >= conflictsAllowed) throw thrown;
          log.debug(`${label} moved under the write; reading it anew.`);
        }
      }
    },

    async isDone() {
      const workload = await read();
      const { ready, wanted, failure } = judged({ workload, ...(await belongings(workload)) });
      return failure === null && ready >= wanted;
    },

    wait,

    stopLeaving: async (fence) => stopLeaving(client, await read(), fence),
  };

  async function* wait(
    deadline: Deadline,
    signal: AbortSignal,
    { steady = 0, unstick, handOver }: WaitOptions = {},
  ): AsyncGenerator<Readiness> {
    const handing = handOver === undefined ? undefined : createHandOver({ client, log, ...handOver });
    const query = { labelSelector: selectorQuery((await read()).spec.selector) };
    const stop = new AbortController();
    const watching = AbortSignal.any([signal, stop.signal]);
    const bell = createBell();
    const seen: { workloads?: Workload[] } & Partial<Omit<Seen, 'workload'>> = {};
    const follow = async <K extends keyof typeof seen>(
      key: K,
      lists: AsyncGenerator<NonNullable<(typeof seen)[K]>>,
    ) => {
      for await (const list of lists) {
        seen[key] = list;
        bell.ring();
      }
    };
    const named = { fieldSelector: `metadata.name=${what.name}` };
    if (what.kind === 'deployment') seen.controllerRevisions = [];
    else seen.replicaSets = [];
    const follows = Promise.all([
      follow('workloads', client.follow(resource, named, watching)),
      follow('pods', client.follow(resources.pods, query, watching)),
      what.kind === 'deployment'
        ? follow('replicaSets', client.follow(resources.replicaSets, query, watching))
        : follow('controllerRevisions', client.follow(resources.controllerRevisions, query, watching)),
    ]);
    let isBroken = false;
    follows.catch(() => {
      isBroken = true;
      bell.ring();
    });
    const deleted = new Set<string>();
    let last: Judged | undefined;
    let wasReady = false;
    let readySince: number | undefined;
    try {
      for (;;) {
        if (signal.aborted) throw cancelled(`waiting until ${label} is ready`);
        if (isBroken) await follows;
        const { workloads, pods, replicaSets, controllerRevisions } = seen;
        const workload = workloads?.find(({ metadata }) => metadata.name === what.name);
        if (workloads !== undefined && workload === undefined) {
          throw new DeployError('start_failed', `${label} is gone.`);
        }
        if (
          workload !== undefined &&
          pods !== undefined &&
          replicaSets !== undefined &&
          controllerRevisions !== undefined
        ) {
          const now = { workload, pods, replicaSets, controllerRevisions };
          last = judged(now);
          if (last.failure !== null) {
            throw await failed(
              'start_failed',
              `${label} cannot start: ${last.failure.message}`,
              last.failure,
            );
          }
          if (handing !== undefined) {
            const old = podsOf({ ...now, deployment: workload }).filter(
              (pod) => last?.pods.includes(pod) === false,
            );
            const newReady = last.pods.filter(isPodReady).length;
            await handing.step({ workload, wanted: last.wanted, newReady, old, replicaSets });
          }
          if (last.ready >= last.wanted) {
            await handing?.end(signal);
            wasReady = true;
            readySince ??= performance.now();
            const left = steady - (performance.now() - readySince);
            if (left <= 0) {
              yield { ready: true, message: last.message };
              return;
            }
            const message = `${last.message}, and watched for ${formatDuration(left)} more`;
            yield { ready: false, message };
            await bell.wait(Math.min(longestLook, left), signal);
            continue;
          }
          if (unstick !== undefined && what.kind === 'statefulset') {
            const hash = currentHash(now);
            for (const pod of hash === undefined ? [] : ownPods(now)) {
              const { uid = '', name, labels } = pod.metadata;
              if (labels?.['controller-revision-hash'] === hash || isPodReady(pod) || deleted.has(uid))
                continue;
              await unstick.check();
              deleted.add(uid);
              log.info(`Deleting ${name}, which is not ready and which the StatefulSet would wait for.`);
              await client.remove(resources.pods, name, { uid });
            }
          }
        }
        const judgement = last ?? unseen;
        readySince = undefined;
        if (deadline.passed()) throw await notReady(deadline, judgement, wasReady);
        yield { ready: false, message: judgement.message };
        await bell.wait(Math.min(longestLook, deadline.remaining()), signal);
      }
    } finally {
      stop.abort();
      await follows.catch(() => {});
    }
  }
}

const unseen: Judged = {
  wanted: 0,
  ready: 0,
  instances: [],
  pods: [],
  message: 'looking at it',
  failure: null,
};

function templateIn({ data }: ControllerRevision): PodTemplate | undefined {
  const template = data?.spec?.template;
  if (template === undefined) return undefined;
  // The patch directive with which the controller puts it back.
  const { $patch: _, ...rest } = template as PodTemplate & { $patch?: string };
  return rest;
}
