import type { ContainerStatus } from '@deploy-actions/kubernetes';
import { isLeaving, isPodReady, statusesOf } from './facts.ts';
import type { RunPod } from './objects.ts';

/** Something a pod's own status says is wrong with it, and that does not pass by waiting. */
export interface PodProblem {
  rule:
    | 'image-pull'
    | 'configuration'
    | 'unschedulable'
    | 'out-of-memory'
    | 'crash-loop'
    | 'cannot-start'
    | 'pending-volume';
  pod: string;
  container: string | null;
  /** `ended with exit code 3`, `ErrImagePull: … not found`. */
  seen: string;
}

const pulls = new Set([
  'ImagePullBackOff',
  'ErrImagePull',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
]);
const starts = new Set(['CreateContainerError', 'RunContainerError']);

/** How a run of a container ended: `ended with exit code 1`, `ended with signal 9, OOMKilled`. */
export function endOf(status: ContainerStatus): string | undefined {
  const ended = status.state?.terminated ?? status.lastState?.terminated;
  if (ended === undefined) return undefined;
  const how =
    ended.signal !== undefined && ended.signal !== 0
      ? `signal ${ended.signal}`
      : `exit code ${ended.exitCode}`;
  const why = ended.reason === undefined || ended.reason === 'Error' ? '' : `, ${ended.reason}`;
  return `ended with ${how}${why}`;
}

function isOutOfMemory(status: ContainerStatus): boolean {
  return [status.state?.terminated, status.lastState?.terminated].some(
    (ended) => ended?.reason === 'OOMKilled',
  );
}

function containerProblem(pod: RunPod, status: ContainerStatus): PodProblem | undefined {
  const waiting = status.state?.waiting;
  const reason = waiting?.reason ?? '';
  const said = waiting?.message === undefined ? reason : `${reason}: ${waiting.message}`;
  const problem = (rule: PodProblem['rule'], seen: string): PodProblem => ({
    rule,
    pod: pod.metadata.name,
    container: status.name,
    seen,
  });
  if (pulls.has(reason)) return problem('image-pull', said);
  if (reason === 'CreateContainerConfigError') return problem('configuration', said);
  // Killed for memory now, or before a run that is not well yet: a container that recovered long ago is no problem of now.
  if (isOutOfMemory(status) && !(status.ready && status.state?.running !== undefined)) {
    return problem(
      'out-of-memory',
      `${endOf(status) ?? 'OOMKilled'}, started ${status.restartCount + 1} times`,
    );
  }
  if (starts.has(reason) || /StartError|ContainerCannotRun/.test(endOf(status) ?? '')) {
    const ended = status.lastState?.terminated?.message ?? status.state?.terminated?.message;
    return problem('cannot-start', starts.has(reason) ? said : (ended ?? endOf(status) ?? reason));
  }
  const failed = status.state?.terminated !== undefined && status.state.terminated.exitCode !== 0;
  const crashes = reason === 'CrashLoopBackOff' || (failed && status.restartCount > 0);
  // Between two crashes it runs for a moment.
  const isBetween =
    status.restartCount >= 2 && !status.ready && (status.lastState?.terminated?.exitCode ?? 0) !== 0;
  if (crashes || isBetween) {
    return problem('crash-loop', `${endOf(status) ?? reason}, started ${status.restartCount + 1} times`);
  }
  return undefined;
}

/** What is wrong with one pod, by its status alone. A pod that is ready or on its way out has no problem. Pure. */
export function podProblems(pod: RunPod): PodProblem[] {
  if (isLeaving(pod) || isPodReady(pod)) return [];
  const found = statusesOf(pod).flatMap((status) => containerProblem(pod, status) ?? []);
  const scheduled = (pod.status?.conditions ?? []).find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    const seen = scheduled.message ?? 'no node has room for it';
    const rule = /persistentvolumeclaim|unbound|volume/i.test(seen) ? 'pending-volume' : 'unschedulable';
    found.push({ rule, pod: pod.metadata.name, container: null, seen });
  }
  return found;
}
