import { canonicalImage, canonicalJson, DeployError } from '@deploy-actions/core';
import {
  type Container,
  type IntOrPercent,
  type LifecycleHandler,
  type PodTemplate,
  releaseAnnotation,
  substituteImages,
  type Workload,
} from '@deploy-actions/kubernetes';
import type { KubernetesRelease } from './release.ts';

export const workloadKinds = ['deployment', 'statefulset', 'daemonset'] as const;
export type WorkloadKind = (typeof workloadKinds)[number];

/** A workload by its kind and name: `deployment/helpdesk`. */
export interface WorkloadName {
  kind: WorkloadKind;
  name: string;
}

/** Undefined for what is none. */
export function parseWorkload(text: string): WorkloadName | undefined {
  const [kind = '', name = '', ...more] = text.split('/');
  const known = workloadKinds.find((candidate) => candidate === kind);
  return known === undefined || name === '' || more.length > 0 ? undefined : { kind: known, name };
}

/** How the pods of a workload leave without losing a request. */
export interface Drain {
  /** Seconds that a pod goes on serving while everybody learns that it is leaving; 0: nothing is changed. */
  seconds: number;
  /** Whether the cluster knows `lifecycle.preStop.sleep`: on by default since Kubernetes 1.30. */
  nativeSleep: boolean;
}

/** `lifecycle.preStop.sleep` is on by default from this version on (KEP-3960). */
export function knowsSleep({ major, minor }: { major: number; minor: number }): boolean {
  return major > 1 || (major === 1 && minor >= 30);
}

/** What Kubernetes takes where `terminationGracePeriodSeconds` is not given. */
const defaultGrace = 30;

/** The same workload with other images and the note of whose release they are; nothing else changes. */
export function withImages(workload: Workload, what: WorkloadName, release: KubernetesRelease): Workload {
  const changed = structuredClone(workload);
  const { spec } = changed.spec.template;
  const substitutions = substituteImages(spec, release.images, {
    where: describeWorkload(what),
    container: release.container ?? undefined,
  });
  for (const { list, container, from, to } of substitutions) {
    // Another spelling of the same image would make new pods for nothing.
    if (canonicalImage(from) === canonicalImage(to)) continue;
    for (const one of spec[list] ?? []) if (one.name === container) one.image = to;
  }
  return annotated(changed, release);
}

/** The same workload with a pod template that it had before, as `kubectl rollout undo` does it. */
export function withTemplate(
  workload: Workload,
  template: PodTemplate,
  release: KubernetesRelease,
): Workload {
  const changed = structuredClone(workload);
  changed.spec.template = structuredClone(template);
  // Of the controller, not of the template.
  delete changed.spec.template.metadata?.labels?.['pod-template-hash'];
  return annotated(changed, release);
}

function annotated(workload: Workload, release: KubernetesRelease): Workload {
  const { version, images, container, replicas } = release;
  workload.metadata.annotations = {
    ...workload.metadata.annotations,
    [releaseAnnotation]: canonicalJson({ version, images, container, replicas }),
  };
  return workload;
}

export function describeWorkload({ kind, name }: WorkloadName): string {
  const kinds = { deployment: 'Deployment', statefulset: 'StatefulSet', daemonset: 'DaemonSet' };
  return `${kinds[kind]} ${name}`;
}

const isZero = (value: IntOrPercent | undefined) => value === 0 || value === '0' || value === '0%';

const withoutPreStop = ({ containers }: PodTemplate['spec']) =>
  containers.filter(({ lifecycle }) => lifecycle?.preStop === undefined);

/**
 * Whether pods of this template stop at the moment at which they are told to, while requests are still sent to them:
 * a server that stops accepting at SIGTERM, such as gunicorn, loses these.
 */
export function isAbrupt({ spec }: PodTemplate): boolean {
  return withoutPreStop(spec).length > 0;
}

/** Whether pods that run and stop abruptly can be taken out of their Service first, one for each new one that is ready. */
export function canHandOver({ spec }: Workload, { kind }: WorkloadName): boolean {
  return kind === 'deployment' && spec.strategy?.type !== 'Recreate';
}

/**
 * What an update of this workload loses whatever its new pods are like, for the pods that run now cannot be given a preStop hook;
 * undefined where they have one, or can be handed over.
 */
export function lossOfRunningPods(now: Workload, what: WorkloadName): string | undefined {
  if (!isAbrupt(now.spec.template) || canHandOver(now, what)) return undefined;
  return `${describeWorkload(what)}: the pods that run now have no preStop hook and cannot be given one, nor can they be handed over as those of a Deployment that is rolled: this update may lose requests that are still sent to them when they are told to stop. Later ones do not, for the new pods have the hook.`;
}

/** Sleeps, then lets the SIGTERM through. The exec one needs `sleep` in the image. */
function sleepHandler({ seconds, nativeSleep }: Drain): LifecycleHandler {
  return nativeSleep ? { sleep: { seconds } } : { exec: { command: ['sleep', String(seconds)] } };
}

/**
 * The same workload so that its pods are drained: every container without a preStop hook sleeps before it is told to
 * stop, the grace period is longer by as much, and a Deployment gives up no pod before another one is ready. Hooks that
 * are there stay. `notes` say what is changed and why, and what cannot be helped.
 */
export function drained(
  workload: Workload,
  what: WorkloadName,
  drain: Drain,
): { workload: Workload; notes: string[] } {
  const name = describeWorkload(what);
  const changed = structuredClone(workload);
  const pod = changed.spec.template.spec;
  const notes: string[] = [];
  const abrupt = withoutPreStop(pod);
  const names = abrupt.map((container) => container.name).join(', ');
  if (abrupt.length > 0 && drain.seconds === 0) {
    notes.push(
      `${name} has no preStop hook (${names}): a server that stops accepting at SIGTERM loses the requests that are still sent to it. \`drain-seconds: 0\` leaves it so.`,
    );
  }
  if (abrupt.length > 0 && drain.seconds > 0) {
    for (const container of abrupt) {
      container.lifecycle = { ...container.lifecycle, preStop: sleepHandler(drain) };
    }
    pod.terminationGracePeriodSeconds = (pod.terminationGracePeriodSeconds ?? defaultGrace) + drain.seconds;
    const how = drain.nativeSleep ? 'sleep' : 'exec of `sleep`, which the image has to have';
    notes.push(
      `${name} has no preStop hook (${names}): it gets one of ${drain.seconds} s (${how}), and a grace period that is longer by as much.`,
    );
  }
  const longest = Math.max(0, ...pod.containers.map(sleepOf));
  if (longest >= (pod.terminationGracePeriodSeconds ?? defaultGrace)) {
    notes.push(
      `${name} is killed before its preStop hook of ${longest} s is over: terminationGracePeriodSeconds is ${pod.terminationGracePeriodSeconds ?? defaultGrace}.`,
    );
  }
  if (drain.seconds > 0) notes.push(...withSurge(changed, what));
  if (pod.containers.every(({ readinessProbe }) => readinessProbe === undefined)) {
    notes.push(
      `${name} has no readiness probe: its pods get requests as soon as they start, ready or not. Give it one.`,
    );
  }
  return { workload: changed, notes };
}

const sleepOf = ({ lifecycle }: Container) => lifecycle?.preStop?.sleep?.seconds ?? 0;

/** Changes the strategy of a Deployment so that there are never fewer pods; says what the others do. */
function withSurge({ spec }: Workload, what: WorkloadName): string[] {
  const name = describeWorkload(what);
  if (what.kind === 'statefulset') {
    return (spec.replicas ?? 1) > 1
      ? []
      : [`${name} has one pod, which is stopped before the new one starts: nobody answers in between.`];
  }
  if (what.kind === 'daemonset') {
    return isZero(spec.updateStrategy?.rollingUpdate?.maxUnavailable)
      ? []
      : [`${name} stops its pod on a node before the new one starts there.`];
  }
  if (spec.strategy?.type === 'Recreate') {
    return [
      `${name} has strategy Recreate: all pods are stopped before new ones start, and nobody answers in between.`,
    ];
  }
  const { maxUnavailable, maxSurge } = spec.strategy?.rollingUpdate ?? {};
  if (isZero(maxUnavailable)) return [];
  spec.strategy = {
    ...spec.strategy,
    type: 'RollingUpdate',
    rollingUpdate: { maxUnavailable: 0, maxSurge: maxSurge === undefined || isZero(maxSurge) ? 1 : maxSurge },
  };
  return [`${name} may lose pods before new ones are ready (maxUnavailable): that becomes 0.`];
}

/** Throws `unsupported` for a workload whose pods would not follow its template. */
export function requireRolling({ spec }: Workload, what: WorkloadName): void {
  const name = describeWorkload(what);
  const refuse = (message: string, remedy: string) => new DeployError('unsupported', message, { remedy });
  if (spec.paused === true) {
    throw refuse(`${name} is paused: nothing of it is rolled out.`, `\`kubectl rollout resume\` it first.`);
  }
  if (spec.updateStrategy?.type === 'OnDelete') {
    throw refuse(
      `${name} has updateStrategy OnDelete: its pods follow the template only when somebody deletes them.`,
      'Set updateStrategy to RollingUpdate.',
    );
  }
  const partition = spec.updateStrategy?.rollingUpdate?.partition ?? 0;
  if (partition > 0) {
    throw refuse(
      `${name} has a partition of ${partition}: pods below it keep the old version.`,
      'Set spec.updateStrategy.rollingUpdate.partition to 0.',
    );
  }
}
