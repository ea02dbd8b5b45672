import type { ContainerStatus } from '@deploy-actions/kubernetes';
import type { Facts, KindedWorkload } from './facts.ts';
import type { RunContainer, RunPod } from './objects.ts';

export const now = Date.parse('2030-01-01T12:00:00Z');
export const labels = { app: 'shop' };

/** Facts in which nothing is wrong, and nothing is there. */
export function factsWith(own: Partial<Facts>): Facts {
  return {
    namespace: 'production',
    subject: 'Service shop',
    selector: 'app=shop',
    now,
    workloads: [],
    pods: [],
    environment: [],
    services: [],
    slices: [],
    events: [],
    logs: [],
    usage: [],
    autoscalers: [],
    budgets: [],
    claims: [],
    quotas: [],
    reaches: [],
    requests: [],
    database: null,
    gaps: [],
    ...own,
  };
}

export interface PodOptions {
  name?: string;
  ready?: boolean;
  status?: Partial<ContainerStatus>;
  container?: Partial<RunContainer>;
  unschedulable?: string;
  claim?: string;
  labels?: Record<string, string>;
}

/** A pod of one container `web`; ready unless said otherwise. */
export function podWith(options: PodOptions = {}): RunPod {
  const { name = 'shop-1', unschedulable } = options;
  const ready = options.ready ?? (options.status === undefined && unschedulable === undefined);
  return {
    metadata: { name, labels: options.labels ?? labels, creationTimestamp: '2030-01-01T11:00:00Z' },
    spec: {
      containers: [{ name: 'web', ports: [{ containerPort: 8000 }], ...options.container }],
      volumes:
        options.claim === undefined
          ? []
          : [{ name: 'data', persistentVolumeClaim: { claimName: options.claim } }],
    },
    status: {
      phase: ready ? 'Running' : 'Pending',
      conditions: [
        { type: 'Ready', status: ready ? 'True' : 'False' },
        ...(unschedulable === undefined
          ? []
          : [
              {
                type: 'PodScheduled',
                status: 'False' as const,
                reason: 'Unschedulable',
                message: unschedulable,
              },
            ]),
      ],
      containerStatuses:
        unschedulable === undefined
          ? [{ name: 'web', ready, restartCount: 0, state: { running: {} }, ...options.status }]
          : [],
    },
  };
}

export function workloadWith(
  own: {
    name?: string;
    replicas?: number;
    labels?: Record<string, string>;
    conditions?: NonNullable<KindedWorkload['status']>['conditions'];
  } = {},
): KindedWorkload {
  const given = own.labels ?? labels;
  return {
    kind: 'Deployment',
    metadata: { name: own.name ?? 'shop' },
    spec: {
      replicas: own.replicas ?? 1,
      selector: { matchLabels: given },
      template: { metadata: { labels: given }, spec: { containers: [{ name: 'web' }] } },
    },
    ...(own.conditions === undefined ? {} : { status: { conditions: own.conditions } }),
  };
}

export function eventWith(
  reason: string,
  message: string,
  name = 'shop-1',
  kind = 'Pod',
): Facts['events'][number] {
  return { type: 'Warning', reason, message, kind, objects: [name], count: 3, last: now - 5_000 };
}
