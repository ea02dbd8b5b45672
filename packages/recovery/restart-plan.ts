import { DeployError } from '@deploy-actions/core';
import {
  type DisruptionBudget,
  isLeaving,
  isPodReady,
  type RunPod,
  selects,
  type Workload,
  type WorkloadKind,
  workloadKinds,
} from '@deploy-actions/diagnosis';

type Amount = number | string;

interface Rolling {
  maxUnavailable?: Amount;
  maxSurge?: Amount;
  partition?: number;
}

interface Strategy {
  type?: string;
  rollingUpdate?: Rolling;
}

/** A workload with how its pods are replaced. */
export interface Restartable extends Workload {
  spec: Omit<Workload['spec'], 'template'> & {
    paused?: boolean;
    strategy?: Strategy;
    updateStrategy?: Strategy;
    template: Workload['spec']['template'] & { metadata?: { annotations?: Record<string, string> } };
  };
  status?: NonNullable<Workload['status']> & {
    replicas?: number;
    updatedReplicas?: number;
    availableReplicas?: number;
    readyReplicas?: number;
    currentRevision?: string;
    updateRevision?: string;
    desiredNumberScheduled?: number;
    updatedNumberScheduled?: number;
    numberAvailable?: number;
  };
}

/** The annotation that kubectl writes, so that both tell the same time. */
export const restartedAt = 'kubectl.kubernetes.io/restartedAt';
/** What is to be put back when the restart is over; whoever finds it, finds a restart that was cut short. */
export const beforeRestart = 'deploy-actions.dev/before-restart';

/** How the workload was before. */
export interface Before {
  strategy: Strategy | null;
  restartedAt: string | null;
  run: string;
}

export type Way = 'rollout' | 'evict';

export interface RestartPlan {
  kind: WorkloadKind;
  name: string;
  way: Way;
  /** Pods that will be replaced. */
  pods: string[];
  /** How pods are replaced while it lasts; null: nothing of that is changed. */
  strategy: Strategy | null;
  before: Before;
  /** A restart of an earlier run that was cut short and is gone on with. */
  resumed: boolean;
  /** For people. */
  words: string[];
}

export function replicasOf(kind: WorkloadKind, { spec, status }: Restartable): number {
  return kind === 'daemonset' ? (status?.desiredNumberScheduled ?? 0) : (spec.replicas ?? 1);
}

export const strategyField = (kind: WorkloadKind): 'strategy' | 'updateStrategy' =>
  kind === 'deployment' ? 'strategy' : 'updateStrategy';

export function beforeOf({ metadata }: Restartable): Before | null {
  const text = metadata.annotations?.[beforeRestart];
  // Only this package writes the annotation.
  return text === undefined ? null : (JSON.parse(text) as Before);
}

/** Whether every pod is of the newest template, by the controller's own count. */
export function isRolledOut(kind: WorkloadKind, workload: Restartable): boolean {
  const { metadata, spec, status = {} } = workload;
  if ((status.observedGeneration ?? 0) < (metadata.generation ?? 0)) return false;
  if (kind === 'daemonset') return (status.updatedNumberScheduled ?? 0) >= replicasOf(kind, workload);
  const wanted = replicasOf(kind, workload);
  if (kind === 'deployment') {
    return (status.updatedReplicas ?? 0) >= wanted && (status.replicas ?? 0) <= wanted;
  }
  const partition = spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  return (
    (status.updatedReplicas ?? 0) >= wanted - partition || status.currentRevision === status.updateRevision
  );
}

/** Whether all pods are there, newest and available. */
export function isWell(kind: WorkloadKind, workload: Restartable): boolean {
  const { status = {} } = workload;
  const there = {
    deployment: status.availableReplicas,
    statefulset: status.readyReplicas,
    daemonset: status.numberAvailable,
  };
  return isRolledOut(kind, workload) && (there[kind] ?? 0) >= replicasOf(kind, workload);
}

const isNone = (amount: Amount | undefined): boolean => amount === undefined || /^0+%?$/.test(String(amount));

/** Ports of the node that two pods cannot have at once. */
function hasHostPort({ spec }: Restartable): boolean {
  const pod = spec.template.spec as {
    hostNetwork?: boolean;
    containers: { ports?: { hostPort?: number }[] }[];
  };
  return (
    pod.hostNetwork === true ||
    pod.containers.some(({ ports }) => ports?.some(({ hostPort }) => hostPort !== undefined) === true)
  );
}

function unsupported(message: string, remedy: string): DeployError {
  return new DeployError('unsupported', message, { remedy });
}

/** How pods are replaced while it lasts: one at a time, and the new one ready before the old one goes where that can be. */
function strategyFor(kind: WorkloadKind, workload: Restartable, where: string): Strategy {
  const { type = 'RollingUpdate', rollingUpdate = {} } = workload.spec[strategyField(kind)] ?? {};
  if (type !== 'RollingUpdate') {
    throw unsupported(
      `${where} has the strategy ${type}: ${type === 'Recreate' ? 'a rollout stops all its pods at once' : 'a rollout replaces none of its pods'}.`,
      'Set `strategy: evict`: its pods are then replaced one by one.',
    );
  }
  if (kind === 'deployment') {
    const maxSurge = isNone(rollingUpdate.maxSurge) ? 1 : rollingUpdate.maxSurge;
    return { type, rollingUpdate: { maxUnavailable: 0, ...(maxSurge === undefined ? {} : { maxSurge }) } };
  }
  if (kind === 'statefulset')
    return { type, rollingUpdate: { ...rollingUpdate, partition: replicasOf(kind, workload) } };
  return {
    type,
    rollingUpdate: hasHostPort(workload)
      ? { maxUnavailable: 1, maxSurge: 0 }
      : { maxUnavailable: 0, maxSurge: 1 },
  };
}

/** Budgets of the workload's pods. */
export function budgetsOf(workload: Restartable, budgets: readonly DisruptionBudget[]): DisruptionBudget[] {
  const labels = workload.spec.template.metadata?.labels;
  return budgets.filter(({ spec }) => spec.selector !== undefined && selects(spec.selector, labels));
}

/**
 * What a restart will do, or why it may not begin: `state_conflict` while a rollout is under way, `unsupported` where pods
 * could not be replaced one at a time or a budget allows none, `invalid_input` where nothing runs. Pure.
 */
export function planRestart(
  kind: WorkloadKind,
  workload: Restartable,
  way: Way,
  own: { pods: readonly RunPod[]; budgets: readonly DisruptionBudget[]; run: string },
): RestartPlan {
  const { name } = workload.metadata;
  const where = `${workloadKinds[kind].kind} ${name}`;
  const count = replicasOf(kind, workload);
  if (count === 0) {
    throw new DeployError('invalid_input', `${where} has no pods to restart: it is scaled to 0.`, {
      remedy: 'Name the workload that runs, or scale it up.',
    });
  }
  if (workload.spec.paused === true) {
    throw unsupported(
      `${where} is paused: nothing of it is rolled out.`,
      'Go on with it first: `kubectl rollout resume`.',
    );
  }
  const left = beforeOf(workload);
  if (left === null && !isRolledOut(kind, workload)) {
    throw new DeployError(
      'state_conflict',
      `A rollout of ${where} is under way: not all its pods are of its newest template.`,
      {
        remedy: 'Wait until it is over (`kubectl rollout status`), or take it back, then run this again.',
      },
    );
  }
  const pods = own.pods.filter((pod) => !isLeaving(pod));
  const movesDown = way === 'evict' || kind === 'statefulset';
  const blocking = budgetsOf(workload, own.budgets).find(({ status }) => status?.disruptionsAllowed === 0);
  if (movesDown && blocking !== undefined && left === null && pods.every(isPodReady)) {
    throw unsupported(
      `The disruption budget ${blocking.metadata.name} allows no pod of ${where} to go, though all of them are ready.`,
      'Run one replica more, or write the budget as `maxUnavailable: 1`.',
    );
  }
  const strategy = way === 'evict' ? null : strategyFor(kind, workload, where);
  const before: Before = left ?? {
    strategy: workload.spec[strategyField(kind)] ?? null,
    restartedAt: workload.spec.template.metadata?.annotations?.[restartedAt] ?? null,
    run: own.run,
  };
  const surges = way === 'rollout' && (kind === 'deployment' || !isNone(strategy?.rollingUpdate?.maxSurge));
  const words = [
    `${where}: ${count} ${count === 1 ? 'pod is' : 'pods are'} replaced one after the other, ${surges ? 'each old one after a new one is ready' : 'the next one when the one before is ready again'}`,
    way === 'evict'
      ? 'by the eviction API, which asks the disruption budgets'
      : kind === 'statefulset'
        ? 'by partition, from the last ordinal to the first; the disruption budgets are asked before each'
        : 'by a rollout; how pods are replaced is put back after it',
  ];
  if (!surges && count === 1) words.push('with one pod, nothing answers in between');
  return {
    kind,
    name,
    way,
    pods: pods.map(({ metadata }) => metadata.name),
    strategy,
    before,
    resumed: left !== null,
    words,
  };
}
