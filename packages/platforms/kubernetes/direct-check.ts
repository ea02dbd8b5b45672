import { DeployError } from '@deploy-actions/core';
import type { KubernetesClient, Pod, ServicePort } from '@deploy-actions/kubernetes';
import { failingChecks } from '../failing-checks.ts';

/** Where a pod is asked through the API server. */
export interface CheckTarget {
  port: number;
  path: string;
  scheme: 'http' | 'https';
  /** Whether only 2xx and 3xx will do. Without a path of somebody's choice, any answer of the application shows that it serves. */
  strict: boolean;
}

/** The port of a pod that a Service's port leads to; undefined when none of its containers has one of that name. */
export function targetPortOf(pod: Pod, port: ServicePort): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === 'number') return target;
  for (const container of pod.spec.containers) {
    const found = container.ports?.find(({ name }) => name === target);
    if (found !== undefined) return found.containerPort;
  }
  return undefined;
}

/** What to ask a pod: the path that was given, else that of its own readiness probe, else `/`. */
export function checkTargetOf(
  pod: Pod,
  port: ServicePort,
  path: string | undefined,
): CheckTarget | undefined {
  const number = targetPortOf(pod, port);
  if (number === undefined) return undefined;
  const containers = pod.spec.containers;
  const container =
    containers.find(({ ports }) => ports?.some(({ containerPort }) => containerPort === number)) ??
    (containers.length === 1 ? containers[0] : undefined);
  const probe = container?.readinessProbe?.httpGet;
  const isSamePort =
    probe !== undefined &&
    (probe.port === number ||
      container?.ports?.some(({ name, containerPort }) => name === probe.port && containerPort === number) ===
        true);
  return {
    port: number,
    path: path ?? (isSamePort ? (probe.path ?? '/') : '/'),
    scheme: isSamePort && probe.scheme === 'HTTPS' ? 'https' : 'http',
    strict: path !== undefined || isSamePort,
  };
}

export interface Checked {
  good: boolean;
  /** `answers 503 (failing: database)`. */
  summary: string;
}

/** Asks one pod once. Throws only for what another try cannot change: a right that is missing. */
export async function checkPod(
  client: KubernetesClient,
  pod: Pod,
  target: CheckTarget,
  timeout: number,
  signal: AbortSignal,
): Promise<Checked> {
  let answer: { status: number; body: string };
  try {
    answer = await client.askPod(pod.metadata.name, target.port, target.path, {
      timeout,
      signal,
      scheme: target.scheme,
    });
  } catch (thrown) {
    if (thrown instanceof DeployError && thrown.reasonCode === 'unreachable') {
      return { good: false, summary: `cannot be asked: ${thrown.message}` };
    }
    throw thrown;
  }
  const { status, body } = answer;
  const unreached = /error trying to reach service: ([^"\n]*)/.exec(body)?.[1];
  if (status >= 500 && unreached !== undefined) {
    // What speaks no HTTP still accepted the connection.
    if (!target.strict && /malformed HTTP/.test(unreached))
      return { good: true, summary: 'accepts connections' };
    return {
      good: false,
      summary: `does not accept connections on port ${target.port} yet (${unreached.trim()})`,
    };
  }
  const failing = failingChecks(body);
  const why = failing.length === 0 ? '' : ` (failing: ${failing.join(', ')})`;
  const good = target.strict ? status >= 200 && status < 400 : status < 500;
  return { good, summary: `answers ${status} on ${target.path}${good ? '' : why}` };
}
