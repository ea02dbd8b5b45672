import type {
  Condition,
  Container,
  KubernetesObject,
  LabelSelector,
  Pod,
  PodSpec,
  Probe,
  Resource,
} from '@deploy-actions/kubernetes';

/* What a diagnosis reads beside what a release does. Secrets are not among it. */

export interface EnvironmentVariable {
  name: string;
  value?: string;
  valueFrom?: {
    secretKeyRef?: { name?: string; key: string };
    configMapKeyRef?: { name?: string; key: string };
    fieldRef?: { fieldPath: string };
    resourceFieldRef?: { resource: string };
  };
}

/** Quantities as they are written: `250m`, `128Mi`. */
export interface Resources {
  requests?: Record<string, string>;
  limits?: Record<string, string>;
}

export interface RunContainer extends Container {
  env?: EnvironmentVariable[];
  envFrom?: { prefix?: string; secretRef?: { name?: string }; configMapRef?: { name?: string } }[];
  resources?: Resources;
  livenessProbe?: Probe;
  startupProbe?: Probe;
}

export interface RunSpec extends PodSpec {
  containers: RunContainer[];
  initContainers?: RunContainer[];
  volumes?: { name: string; persistentVolumeClaim?: { claimName: string } }[];
}

export interface RunPod extends Pod {
  spec: RunSpec;
}

/** What makes pods. */
export interface Workload extends KubernetesObject {
  spec: {
    replicas?: number;
    selector: LabelSelector;
    template: { metadata?: { labels?: Record<string, string> }; spec: RunSpec };
  };
  status?: { conditions?: Condition[]; observedGeneration?: number };
}

export interface Autoscaler extends KubernetesObject {
  spec: { minReplicas?: number; maxReplicas: number; scaleTargetRef: { kind: string; name: string } };
  status?: { currentReplicas?: number; desiredReplicas?: number; conditions?: Condition[] };
}

export interface DisruptionBudget extends KubernetesObject {
  spec: { selector?: LabelSelector; minAvailable?: number | string; maxUnavailable?: number | string };
  status?: {
    disruptionsAllowed?: number;
    currentHealthy?: number;
    desiredHealthy?: number;
    expectedPods?: number;
  };
}

export interface VolumeClaim extends KubernetesObject {
  spec?: { storageClassName?: string; resources?: { requests?: Record<string, string> } };
  status?: { phase?: string };
}

export interface Quota extends KubernetesObject {
  status?: { hard?: Record<string, string>; used?: Record<string, string> };
}

export interface PodMetrics extends KubernetesObject {
  timestamp?: string;
  window?: string;
  containers: { name: string; usage: Record<string, string> }[];
}

function kind<T extends KubernetesObject>(
  group: string,
  version: string,
  plural: string,
  name: string,
): Resource<T> {
  return { group, version, plural, kind: name };
}

export const workloadKinds = {
  deployment: kind<Workload>('apps', 'v1', 'deployments', 'Deployment'),
  statefulset: kind<Workload>('apps', 'v1', 'statefulsets', 'StatefulSet'),
  daemonset: kind<Workload>('apps', 'v1', 'daemonsets', 'DaemonSet'),
} as const;

export type WorkloadKind = keyof typeof workloadKinds;

export const observed = {
  pods: kind<RunPod>('', 'v1', 'pods', 'Pod'),
  claims: kind<VolumeClaim>('', 'v1', 'persistentvolumeclaims', 'PersistentVolumeClaim'),
  quotas: kind<Quota>('', 'v1', 'resourcequotas', 'ResourceQuota'),
  autoscalers: kind<Autoscaler>('autoscaling', 'v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler'),
  budgets: kind<DisruptionBudget>('policy', 'v1', 'poddisruptionbudgets', 'PodDisruptionBudget'),
  metrics: kind<PodMetrics>('metrics.k8s.io', 'v1beta1', 'pods', 'PodMetrics'),
} as const;

const factors: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/**
 * A quantity in cores or bytes (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/); undefined
 * when it is none.
 */
export function parseQuantity(text: string | undefined): number | undefined {
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:(n|u|m|k|[KMGTPE]i?)|[eE]([+-]?\d+))?$/.exec(text ?? '');
  if (match === null) return undefined;
  const [, digits = '', suffix = '', exponent = '0'] = match;
  const factor = factors[suffix];
  return factor === undefined ? undefined : Number(digits) * factor * 10 ** Number(exponent);
}
