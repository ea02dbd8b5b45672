/* The parts of the API's objects that are read or written here. All else in them is kept as it is. */

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  ownerReferences?: { kind: string; name: string; uid: string; controller?: boolean }[];
  managedFields?: ManagedFields[];
}

/** Who set which fields last, as the API server keeps it for server-side apply. */
export interface ManagedFields {
  manager?: string;
  operation?: 'Apply' | 'Update';
  subresource?: string;
  /** Nested by field: `f:spec`, `k:{"name":"web"}`; a leaf is empty. */
  fieldsV1?: Record<string, unknown>;
}

export interface KubernetesObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

export interface Condition {
  type: string;
  status: 'True' | 'False' | 'Unknown';
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  lastUpdateTime?: string;
}

export interface HttpGet {
  path?: string;
  port: number | string;
  scheme?: string;
  httpHeaders?: { name: string; value: string }[];
}

export interface Probe {
  httpGet?: HttpGet;
  tcpSocket?: { port: number | string };
  exec?: unknown;
  grpc?: unknown;
}

export interface Container {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  ports?: { name?: string; containerPort: number; protocol?: string }[];
  readinessProbe?: Probe;
  lifecycle?: { preStop?: LifecycleHandler; postStart?: LifecycleHandler };
}

export interface LifecycleHandler {
  exec?: { command?: string[] };
  sleep?: { seconds: number };
  httpGet?: HttpGet;
}

export interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  nodeName?: string;
  terminationGracePeriodSeconds?: number;
}

export interface PodTemplate {
  metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> };
  spec: PodSpec;
}

export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

export interface Deployment extends KubernetesObject {
  spec: {
    replicas?: number;
    selector: LabelSelector;
    template: PodTemplate;
    paused?: boolean;
    strategy?: RollingStrategy;
  };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    availableReplicas?: number;
    conditions?: Condition[];
  };
}

export interface ReplicaSet extends KubernetesObject {
  spec: { replicas?: number; template?: PodTemplate };
  status?: { observedGeneration?: number; readyReplicas?: number };
}

/** How many pods, or a share of them: `1`, `25%`. */
export type IntOrPercent = number | string;

export interface RollingStrategy {
  type?: string;
  rollingUpdate?: { maxUnavailable?: IntOrPercent; maxSurge?: IntOrPercent; partition?: number } | null;
}

/** A Deployment, StatefulSet or DaemonSet, as far as they are alike. */
export interface Workload extends KubernetesObject {
  spec: {
    /** DaemonSets have none. */
    replicas?: number;
    selector: LabelSelector;
    template: PodTemplate;
    /** Deployments. */
    paused?: boolean;
    strategy?: RollingStrategy;
    minReadySeconds?: number;
    progressDeadlineSeconds?: number;
    /** StatefulSets and DaemonSets. */
    updateStrategy?: RollingStrategy;
  };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    conditions?: Condition[];
    /** StatefulSets: the revision that pods are made of. */
    updateRevision?: string;
    /** DaemonSets: on how many nodes it should run. */
    desiredNumberScheduled?: number;
    /** DaemonSets: on how many of these it runs as its template says now. */
    updatedNumberScheduled?: number;
  };
}

/** A pod template that a StatefulSet or DaemonSet had. */
export interface ControllerRevision extends KubernetesObject {
  revision: number;
  data?: { spec?: { template?: PodTemplate } };
}

export interface ContainerState {
  waiting?: { reason?: string; message?: string };
  running?: { startedAt?: string };
  terminated?: { exitCode: number; signal?: number; reason?: string; message?: string; finishedAt?: string };
}

export interface ContainerStatus {
  name: string;
  ready: boolean;
  restartCount: number;
  image?: string;
  imageID?: string;
  state?: ContainerState;
  lastState?: ContainerState;
}

export interface Pod extends KubernetesObject {
  spec: PodSpec;
  status?: {
    phase?: string;
    podIP?: string;
    reason?: string;
    message?: string;
    conditions?: Condition[];
    containerStatuses?: ContainerStatus[];
    initContainerStatuses?: ContainerStatus[];
  };
}

export interface ServicePort {
  name?: string;
  port: number;
  protocol?: string;
  targetPort?: number | string;
  nodePort?: number;
  appProtocol?: string;
}

export interface Service extends KubernetesObject {
  spec: {
    type?: string;
    selector?: Record<string, string>;
    ports?: ServicePort[];
    publishNotReadyAddresses?: boolean;
  };
}

export interface EndpointSlice extends KubernetesObject {
  addressType?: string;
  /** Null when there are none. */
  endpoints?:
    | null
    | {
        addresses: string[];
        conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean };
        targetRef?: { kind?: string; name?: string; uid?: string };
      }[];
  ports?: { name?: string; port?: number; protocol?: string }[];
}

export interface Autoscaler extends KubernetesObject {
  spec: {
    scaleTargetRef: { kind: string; name: string; apiVersion?: string };
    minReplicas?: number;
    maxReplicas: number;
  };
}

export interface ConfigMap extends KubernetesObject {
  data?: Record<string, string>;
}

export interface Lease extends KubernetesObject {
  spec?: {
    holderIdentity?: string | null;
    leaseDurationSeconds?: number | null;
    acquireTime?: string | null;
    renewTime?: string | null;
    leaseTransitions?: number | null;
  };
}

export interface KubernetesEvent extends KubernetesObject {
  type?: string;
  reason?: string;
  message?: string;
  count?: number;
  lastTimestamp?: string;
  eventTime?: string;
  involvedObject: { kind?: string; name?: string; uid?: string };
}

/** The answer of the API server to what it does not do. */
export interface Status {
  kind: 'Status';
  status?: string;
  message?: string;
  reason?: string;
  code?: number;
  details?: {
    name?: string;
    kind?: string;
    group?: string;
    retryAfterSeconds?: number;
    causes?: { reason?: string; message?: string; field?: string }[];
  };
}

/** A kind by where the API serves it. */
export interface Resource<T extends KubernetesObject> {
  /** Empty for the core group. */
  group: string;
  version: string;
  plural: string;
  kind: string;
  /** Whether its objects are in no namespace. */
  isClusterWide?: boolean;
  /** Never set: it carries the type of the objects. */
  readonly object?: T;
}

function resource<T extends KubernetesObject>(
  group: string,
  version: string,
  plural: string,
  kind: string,
): Resource<T> {
  return { group, version, plural, kind };
}

export const resources = {
  pods: resource<Pod>('', 'v1', 'pods', 'Pod'),
  services: resource<Service>('', 'v1', 'services', 'Service'),
  configMaps: resource<ConfigMap>('', 'v1', 'configmaps', 'ConfigMap'),
  events: resource<KubernetesEvent>('', 'v1', 'events', 'Event'),
  deployments: resource<Deployment>('apps', 'v1', 'deployments', 'Deployment'),
  statefulSets: resource<Workload>('apps', 'v1', 'statefulsets', 'StatefulSet'),
  daemonSets: resource<Workload>('apps', 'v1', 'daemonsets', 'DaemonSet'),
  controllerRevisions: resource<ControllerRevision>(
    'apps',
    'v1',
    'controllerrevisions',
    'ControllerRevision',
  ),
  replicaSets: resource<ReplicaSet>('apps', 'v1', 'replicasets', 'ReplicaSet'),
  autoscalers: resource<Autoscaler>(
    'autoscaling',
    'v2',
    'horizontalpodautoscalers',
    'HorizontalPodAutoscaler',
  ),
  endpointSlices: resource<EndpointSlice>('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice'),
  leases: resource<Lease>('coordination.k8s.io', 'v1', 'leases', 'Lease'),
} as const;

/** A label selector as the API's query takes it: `app=helpdesk,version in (blue,green)`. */
export function selectorQuery(selector: LabelSelector | Record<string, string>): string {
  const isFull = 'matchLabels' in selector || 'matchExpressions' in selector;
  const full = (isFull ? selector : { matchLabels: selector }) as LabelSelector;
  const labels = Object.entries(full.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const expressions = (full.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
    switch (operator) {
      case 'In':
        return `${key} in (${values.join(',')})`;
      case 'NotIn':
        return `${key} notin (${values.join(',')})`;
      case 'DoesNotExist':
        return `!${key}`;
      default:
        return key;
    }
  });
  return [...labels, ...expressions].join(',');
}

/** The labels of a Deployment's pods. */
export function labelsOf(deployment: Deployment): Record<string, string> {
  return deployment.spec.template.metadata?.labels ?? {};
}

/** Whether every label of the selector is there with its value. */
export function hasLabels(
  labels: Record<string, string> | undefined,
  selector: Record<string, string>,
): boolean {
  return Object.entries(selector).every(([key, value]) => labels?.[key] === value);
}
