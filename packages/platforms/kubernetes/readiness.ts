import { canonicalJson } from '@deploy-actions/core';
import type {
  ContainerStatus,
  Deployment,
  KubernetesObject,
  Pod,
  PodTemplate,
  ReplicaSet,
  ServicePort,
} from '@deploy-actions/kubernetes';
import type { Instance } from '@deploy-actions/release-engine';
import { targetPortOf } from './direct-check.ts';

/** Why a slot will not become ready by itself. */
export interface Failure {
  reason: string;
  message: string;
  /** Whose events tell more, and whose container's log, if it has one. */
  pod: string | null;
  container: string | null;
}

/** A slot as the API shows it. */
export interface Judged {
  wanted: number;
  /** Pods of the current template that are ready; fewer than wanted while pods of another template are there. */
  ready: number;
  instances: Instance[];
  /** Pods of the current template that are not being stopped. */
  pods: Pod[];
  message: string;
  failure: Failure | null;
}

export interface SlotObjects {
  deployment: Deployment;
  replicaSets: ReplicaSet[];
  pods: Pod[];
}

export interface JudgeOptions {
  /** The Service's port, whose target addresses name. */
  port: ServicePort | undefined;
  /** Milliseconds since the epoch by the server's clock. */
  now: number;
  /** Milliseconds that a pod may be unschedulable: a cluster that grows by itself needs time to. */
  unschedulableFor: number;
}

export function isOwnedBy(object: KubernetesObject, uid: string | undefined): boolean {
  return (object.metadata.ownerReferences ?? []).some(
    (owner) => owner.controller === true && owner.uid === uid,
  );
}

/** A template without the label that the controller adds, as it compares them itself. */
export function templateKey(template: PodTemplate | undefined): string {
  if (template === undefined) return '';
  const { 'pod-template-hash': _, ...labels } = template.metadata?.labels ?? {};
  const annotations = template.metadata?.annotations ?? {};
  return canonicalJson({ labels, annotations, spec: template.spec });
}

/** The ReplicaSet of the Deployment's current template, when the controller has made it. */
export function currentReplicaSet({
  deployment,
  replicaSets,
}: Omit<SlotObjects, 'pods'>): ReplicaSet | undefined {
  const key = templateKey(deployment.spec.template);
  return replicaSets.find(
    (set) => isOwnedBy(set, deployment.metadata.uid) && templateKey(set.spec.template) === key,
  );
}

export const isLeaving = ({ metadata }: Pod) => metadata.deletionTimestamp !== undefined;
export const hasEnded = ({ status }: Pod) => status?.phase === 'Failed' || status?.phase === 'Succeeded';

export function isPodReady(pod: Pod): boolean {
  return (pod.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');
}

function statusesOf(pod: Pod): ContainerStatus[] {
  return [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
}

/** Reasons to wait that do not pass by waiting. */
const lasting = new Set([
  'CrashLoopBackOff',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
]);

/** What a registry says of an image that is not there: pulling again would not find it. */
const notThere = /not found|manifest unknown|unauthorized|denied|forbidden|no such host|name unknown/i;

function endOf(status: ContainerStatus): string {
  const ended = status.lastState?.terminated ?? status.state?.terminated;
  if (ended === undefined) return '';
  const how =
    ended.signal !== undefined && ended.signal !== 0
      ? `signal ${ended.signal}`
      : `exit code ${ended.exitCode}`;
  const why = ended.reason === undefined || ended.reason === 'Error' ? '' : `, ${ended.reason}`;
  return `ended with ${how}${why}`;
}

function containerFailure(pod: Pod, status: ContainerStatus): Failure | undefined {
  const waiting = status.state?.waiting;
  const reason = waiting?.reason ?? '';
  const isLasting =
    lasting.has(reason) || (reason === 'ErrImagePull' && notThere.test(waiting?.message ?? ''));
  if (!isLasting) return undefined;
  const ended = reason === 'CrashLoopBackOff' ? endOf(status) : '';
  const said = ended === '' ? (waiting?.message ?? '') : `${ended}, started ${status.restartCount + 1} times`;
  return {
    reason,
    message: `container ${status.name} of ${pod.metadata.name}: ${reason}${said === '' ? '' : ` (${said})`}`,
    pod: pod.metadata.name,
    container: status.name,
  };
}

/** Why a pod will not become ready by itself; undefined when it may. */
export function podFailure(pod: Pod, { now, unschedulableFor }: JudgeOptions): Failure | undefined {
  for (const status of statusesOf(pod)) {
    const failure = containerFailure(pod, status);
    if (failure !== undefined) return failure;
  }
  const scheduled = (pod.status?.conditions ?? []).find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    const since = Date.parse(scheduled.lastTransitionTime ?? pod.metadata.creationTimestamp ?? '');
    if (now - since < unschedulableFor) return undefined;
    return {
      reason: 'Unschedulable',
      message: `${pod.metadata.name} cannot be scheduled: ${scheduled.message ?? 'no node has room for it'}`,
      pod: pod.metadata.name,
      container: null,
    };
  }
  return undefined;
}

/** What the Deployment itself says: quota, a refused pod, no progress in its own time. */
function deploymentFailure({ metadata, spec, status }: Deployment): Failure | undefined {
  const about = (reason: string, message: string): Failure => ({
    reason,
    message,
    pod: null,
    container: null,
  });
  if (spec.paused === true) {
    return about(
      'Paused',
      `Deployment ${metadata.name} is paused: nothing of it is rolled out (\`kubectl rollout resume\`)`,
    );
  }
  // Conditions of an earlier template say nothing about this one.
  if (status?.observedGeneration !== metadata.generation) return undefined;
  for (const { type, status: value, reason = '', message = '' } of status?.conditions ?? []) {
    if (type === 'ReplicaFailure' && value === 'True') {
      return about(reason, `no pod can be made: ${message}`);
    }
    if (type === 'Progressing' && value === 'False' && reason === 'ProgressDeadlineExceeded') {
      return about(reason, `Deployment ${metadata.name} made no progress in its progressDeadlineSeconds`);
    }
  }
  return undefined;
}

function reasonOf(pod: Pod): string {
  for (const status of statusesOf(pod)) {
    if (status.ready) continue;
    const { waiting, terminated, running } = status.state ?? {};
    if (waiting !== undefined) {
      const ended = endOf(status);
      return `${status.name}: ${waiting.reason ?? 'waiting'}${ended === '' ? '' : `, ${ended}`}`;
    }
    if (terminated !== undefined) return `${status.name}: ${endOf(status)}`;
    if (running !== undefined) {
      const ended = endOf(status);
      return `${status.name} runs, its readiness probe does not pass yet${ended === '' ? '' : `; before it ${ended}`}`;
    }
  }
  const scheduled = (pod.status?.conditions ?? []).find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False') return scheduled.message ?? 'waits for a node';
  return 'is being started';
}

function addressOf(pod: Pod, servicePort: ServicePort | undefined): string {
  const ip = pod.status?.podIP;
  if (ip === undefined || ip === '') return pod.metadata.name;
  const port = servicePort === undefined ? undefined : targetPortOf(pod, servicePort);
  return `${ip.includes(':') ? `[${ip}]` : ip}${port === undefined ? '' : `:${port}`}`;
}

/** Pods of the Deployment, whatever their template, that are not gone or going. */
export function podsOf({ deployment, replicaSets, pods }: SlotObjects): Pod[] {
  const sets = new Set(
    replicaSets.filter((set) => isOwnedBy(set, deployment.metadata.uid)).map(({ metadata }) => metadata.uid),
  );
  return pods.filter(
    (pod) =>
      !isLeaving(pod) &&
      !hasEnded(pod) &&
      (pod.metadata.ownerReferences ?? []).some((owner) => sets.has(owner.uid)),
  );
}

/** What a slot's objects say about it. Pure. */
export function judge(objects: SlotObjects, options: JudgeOptions): Judged {
  const { deployment } = objects;
  const wanted = deployment.spec.replicas ?? 1;
  if (wanted === 0) {
    return { wanted, ready: 0, instances: [], pods: [], message: 'scaled to 0', failure: null };
  }
  const set = currentReplicaSet(objects);
  const all = podsOf(objects);
  const judged = judgePods(
    {
      wanted,
      all,
      current: all.filter((pod) => isOwnedBy(pod, set?.metadata.uid)),
      failure: deploymentFailure(deployment) ?? null,
    },
    options,
  );
  // The controllers share one view of the pods. Traffic that moved to pods which they do not know to be ready would meet a Service
  // without endpoints until they do.
  return asKnown(judged, set?.status?.readyReplicas ?? 0);
}

/** With no more ready pods than the controllers know of. */
export function asKnown(judged: Judged, known: number): Judged {
  if (judged.ready <= known) return judged;
  return { ...judged, ready: known, message: `${judged.message}; the controllers know of ${known} so far` };
}

/** What pods say about those who own them: `current` are those of `all` that have the newest template. Pure. */
export function judgePods(
  seen: { wanted: number; all: Pod[]; current: Pod[]; failure: Failure | null },
  options: JudgeOptions,
): Judged {
  const { wanted, all, current } = seen;
  const pods = current.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const others = all.filter((pod) => !pods.includes(pod));
  const ready = pods.filter(isPodReady).length;
  const instances = pods.map((pod): Instance => {
    const address = addressOf(pod, options.port);
    return isPodReady(pod) ? { address, ready: true } : { address, ready: false, reason: reasonOf(pod) };
  });
  let { failure } = seen;
  for (const pod of pods) failure ??= podFailure(pod, options) ?? null;
  const waiting = pods.find((pod) => !isPodReady(pod));
  const parts = [`${Math.min(ready, wanted)} of ${wanted} pods ready`];
  if (others.length > 0) parts.push(`${others.length} of the version before still there`);
  if (waiting !== undefined) parts.push(`${waiting.metadata.name}: ${reasonOf(waiting)}`);
  return {
    wanted,
    ready: others.length > 0 ? Math.min(ready, wanted - 1) : ready,
    instances,
    pods,
    message: parts.join('; '),
    failure,
  };
}
