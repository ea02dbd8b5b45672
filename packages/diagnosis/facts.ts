import type { ContainerStatus, EndpointSlice, Service } from '@deploy-actions/kubernetes';
import type { DatabaseFacts } from './database.ts';
import type { Autoscaler, DisruptionBudget, Quota, RunPod, VolumeClaim, Workload } from './objects.ts';
import type { RequestFigures } from './request-figures.ts';
import type { Reach } from './reachability.ts';

/** Something that could not be looked at; the rest of the diagnosis goes on without it. */
export interface Gap {
  what: string;
  why: string;
  /** The rule of a Role that is missing, or what else would help. */
  remedy: string | undefined;
}

/** Events that say the same, of one kind of object. */
export interface EventGroup {
  type: string;
  reason: string;
  message: string;
  kind: string;
  objects: string[];
  count: number;
  /** Milliseconds since the epoch; of the newest. */
  last: number;
}

export interface ContainerLog {
  pod: string;
  container: string;
  /** Of the run before the one that is there now. */
  previous: boolean;
  lines: string[];
}

/** What one container takes: cores and bytes. */
export interface Usage {
  pod: string;
  container: string;
  cpu: number | undefined;
  memory: number | undefined;
}

/** Names of variables, with values that may be shown. */
export interface ContainerEnvironment {
  container: string;
  variables: { name: string; value: string }[];
}

export interface KindedWorkload extends Workload {
  kind: string;
}

/** All that was seen, redacted. What could not be looked at is empty here and named in `gaps`. */
export interface Facts {
  namespace: string;
  /** What was asked about: `Service helpdesk`, `deployment/helpdesk`, `app=helpdesk`. */
  subject: string;
  /** As the API takes it. */
  selector: string;
  /** Milliseconds since the epoch by the server's clock. */
  now: number;
  workloads: KindedWorkload[];
  pods: RunPod[];
  environment: ContainerEnvironment[];
  services: Service[];
  /** Null where they could not be read: none is not the same as unknown. */
  slices: EndpointSlice[] | null;
  events: EventGroup[];
  logs: ContainerLog[];
  usage: Usage[];
  autoscalers: Autoscaler[];
  budgets: DisruptionBudget[];
  claims: VolumeClaim[];
  quotas: Quota[];
  reaches: Reach[];
  requests: RequestFigures[];
  database: DatabaseFacts | null;
  gaps: Gap[];
}

export function statusesOf(pod: RunPod): ContainerStatus[] {
  return [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
}

export function isPodReady(pod: RunPod): boolean {
  return (pod.status?.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True');
}

export const isLeaving = ({ metadata }: RunPod): boolean => metadata.deletionTimestamp !== undefined;
