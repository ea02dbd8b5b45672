import { type Log, messageOf } from '@deploy-actions/core';
import { type KubernetesClient, type KubernetesEvent, resources } from '@deploy-actions/kubernetes';

const logLines = 20;
const eventsShown = 10;

/** What a pod's events and the last log lines of its container say. What cannot be read is left out. */
export async function evidenceOf(
  client: KubernetesClient,
  log: Log,
  pod: string | null,
  container: string | null,
): Promise<string[]> {
  const quiet = async <T>(work: Promise<T[]>): Promise<T[]> => {
    try {
      return await work;
    } catch (thrown) {
      log.debug(`Evidence could not be read: ${messageOf(thrown)}`);
      return [];
    }
  };
  if (pod === null) return [];
  const lines: string[] = [];
  const events = await quiet(eventsOf(client, pod));
  for (const { type, reason, message } of events.slice(-eventsShown)) {
    lines.push(`event ${type ?? ''} ${reason ?? ''}: ${(message ?? '').trim()}`);
  }
  if (container !== null) {
    const now = await quiet(client.logs(pod, container, { lines: logLines }));
    const tail =
      now.length > 0 ? now : await quiet(client.logs(pod, container, { lines: logLines, previous: true }));
    lines.push(
      ...(tail.length === 0
        ? [`${pod}/${container} wrote no log.`]
        : tail.map((line) => `${pod}/${container}: ${line}`)),
    );
  }
  return lines;
}

async function eventsOf(client: KubernetesClient, pod: string): Promise<KubernetesEvent[]> {
  const { items } = await client.list(resources.events, {
    fieldSelector: `involvedObject.kind=Pod,involvedObject.name=${pod}`,
  });
  const at = ({ lastTimestamp, eventTime, metadata }: KubernetesEvent) =>
    Date.parse(lastTimestamp ?? eventTime ?? metadata.creationTimestamp ?? '');
  return items.toSorted((a, b) => at(a) - at(b));
}

/** What to do about the reason for which pods do not become ready. */
export function remedyFor(reason: string): string {
  switch (reason) {
    case 'ErrImagePull':
    case 'ImagePullBackOff':
    case 'InvalidImageName':
    case 'ErrImageNeverPull':
      return 'See that the image exists under this name, for the architecture of the nodes, and that the pods may pull it (imagePullSecrets).';
    case 'Unschedulable':
      return 'Make room on the nodes, or correct the requests, node selector, tolerations or volumes of the pod.';
    case 'FailedCreate':
      return 'Raise the quota, or correct what the cluster refuses.';
    case 'Paused':
      return 'Resume the Deployment.';
    case 'CreateContainerConfigError':
      return 'Make the ConfigMap or Secret that the pod names.';
    default:
      return 'Look at the last log lines and events, correct the cause and release again.';
  }
}
