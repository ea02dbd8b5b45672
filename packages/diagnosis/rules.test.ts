import { describe, expect, it } from 'vitest';
import type { Facts } from './facts.ts';
import { diagnose, selects, tellingLine } from './rules.ts';
import { eventWith, factsWith, labels, now, type PodOptions, podWith, workloadWith } from './test-support.ts';

const causesOf = (own: Partial<Facts>) => diagnose(factsWith(own));
const rulesOf = (own: Partial<Facts>) => causesOf(own).map(({ rule }) => rule);
const waiting = (reason: string, message = ''): PodOptions => ({
  status: { state: { waiting: { reason, message } } },
});
const ended = (exitCode: number, reason = 'Error', more = {}) => ({
  terminated: { exitCode, reason, ...more },
});
const service = {
  metadata: { name: 'shop' },
  spec: { selector: labels, ports: [{ port: 80, targetPort: 8000 }] },
};

/** Endpoints of Service shop, each ready or not. */
const slices = (...ready: boolean[]) => [
  {
    metadata: { name: 'shop-abc', labels: { 'kubernetes.io/service-name': 'shop' } },
    endpoints: ready.map((one) => ({ addresses: ['10.0.0.1'], conditions: { ready: one } })),
  },
];

it('nothing is wrong with what is ready and has endpoints', () => {
  expect(
    causesOf({ pods: [podWith()], workloads: [workloadWith()], services: [service], slices: slices(true) }),
  ).toEqual([]);
});

describe('pods', () => {
  it.each(['ImagePullBackOff', 'ErrImagePull', 'InvalidImageName', 'ErrImageNeverPull'])(
    'an image with %s',
    (reason) => {
      const [cause] = causesOf({ pods: [podWith(waiting(reason, 'acme/shop:9: not found'))] });
      expect(cause).toMatchObject({ rule: 'image-pull', severity: 'broken' });
      expect(cause?.evidence).toEqual([`${reason}: acme/shop:9: not found`]);
    },
  );

  it('what its configuration names is not there', () => {
    expect(
      rulesOf({ pods: [podWith(waiting('CreateContainerConfigError', 'secret "db" not found'))] }),
    ).toEqual(['configuration']);
  });

  it('a program that cannot be started', () => {
    expect(rulesOf({ pods: [podWith(waiting('RunContainerError', 'no such file'))] })).toEqual([
      'cannot-start',
    ]);
    const status = {
      restartCount: 2,
      state: waiting('CrashLoopBackOff').status?.state ?? {},
      lastState: ended(128, 'StartError', { message: 'exec: "/x": no such file' }),
    };
    expect(causesOf({ pods: [podWith({ status })] })).toMatchObject([
      { rule: 'cannot-start', evidence: ['exec: "/x": no such file'] },
    ]);
  });

  const crash = { restartCount: 4, state: { waiting: { reason: 'CrashLoopBackOff' } }, lastState: ended(3) };

  it('a crash loop, with exit code and the last words of the run before', () => {
    const logs = [
      { pod: 'shop-1', container: 'web', previous: false, lines: ['starting'] },
      { pod: 'shop-1', container: 'web', previous: true, lines: ['starting', 'ValueError: no port', 'bye'] },
    ];
    const [cause] = causesOf({ pods: [podWith({ status: crash })], logs });
    expect(cause).toMatchObject({ rule: 'crash-loop' });
    expect(cause?.evidence).toEqual([
      'ended with exit code 3, started 5 times',
      'its last words: ValueError: no port',
    ]);
  });

  it('a crash loop is seen in the moment between two crashes', () => {
    expect(
      rulesOf({
        pods: [podWith({ status: { restartCount: 2, state: { running: {} }, lastState: ended(1) } })],
      }),
    ).toEqual(['crash-loop']);
  });

  it('the same of several pods is one cause', () => {
    const pods = ['a', 'b', 'c'].map((name) => podWith({ name, status: crash }));
    expect(causesOf({ pods })).toMatchObject([
      { title: 'Container web of 3 pods (a, b, c) starts, ends by itself, and is started again.' },
    ]);
  });

  it('killed for memory, not a crash loop', () => {
    const status = { ...crash, lastState: ended(137, 'OOMKilled', { signal: 9 }) };
    const [cause, other] = causesOf({
      pods: [podWith({ status, container: { resources: { limits: { memory: '64Mi' } } } })],
    });
    expect(cause).toMatchObject({ rule: 'out-of-memory' });
    expect(cause?.evidence).toContain('its limit is 64Mi');
    expect(other).toBeUndefined();
  });

  it('killed for memory long ago and ready again is no problem of now', () => {
    const status = { ready: true, restartCount: 1, lastState: ended(137, 'OOMKilled') };
    expect(rulesOf({ pods: [podWith({ ready: true, status })] })).toEqual([]);
  });

  it('no node takes it', () => {
    expect(causesOf({ pods: [podWith({ unschedulable: '0/3 nodes: Insufficient cpu' })] })).toMatchObject([
      { rule: 'unschedulable', evidence: ['0/3 nodes: Insufficient cpu'] },
    ]);
  });

  it('a claim without a volume comes once, and with its StorageClass', () => {
    const pods = [
      podWith({ claim: 'data', unschedulable: 'pod has unbound immediate PersistentVolumeClaims' }),
    ];
    const claims = [
      { metadata: { name: 'data' }, spec: { storageClassName: 'fast' }, status: { phase: 'Pending' } },
    ];
    const causes = causesOf({ pods, claims });
    expect(causes).toMatchObject([{ rule: 'pending-volume', title: 'The claim data has no volume.' }]);
    expect(causes[0]?.evidence.join()).toContain('StorageClass fast');
    expect(rulesOf({ pods })).toEqual(['pending-volume']);
    expect(rulesOf({ claims })).toEqual([]);
  });

  it('a readiness probe that fails, with what it was answered', () => {
    const pods = [podWith({ ready: false })];
    const events = [eventWith('Unhealthy', 'Readiness probe failed: HTTP probe failed with statuscode: 503')];
    const [cause] = causesOf({ pods, events });
    expect(cause).toMatchObject({ rule: 'failing-probe', severity: 'broken' });
    expect(cause?.evidence[0]).toContain('statuscode: 503');
    expect(rulesOf({ pods: [podWith()], events })).toEqual([]);
  });

  it('a liveness probe that kills, and not the crash loop that it makes', () => {
    const events = [
      eventWith('Killing', 'Container web failed liveness probe, will be restarted'),
      eventWith('Unhealthy', 'Liveness probe failed: connection refused'),
    ];
    expect(
      causesOf({ pods: [podWith({ status: { ...crash, lastState: ended(137) } })], events }),
    ).toMatchObject([{ rule: 'liveness-probe', severity: 'broken' }]);
    expect(causesOf({ pods: [podWith()], events })).toMatchObject([
      { rule: 'liveness-probe', severity: 'risk' },
    ]);
  });

  it('restarts that climb within the hour', () => {
    const status = (minutes: number) => ({
      ready: true,
      restartCount: 5,
      lastState: ended(1, 'Error', { finishedAt: new Date(now - minutes * 60_000).toISOString() }),
    });
    expect(causesOf({ pods: [podWith({ ready: true, status: status(10) })] })).toMatchObject([
      { rule: 'restarts', severity: 'risk' },
    ]);
    expect(rulesOf({ pods: [podWith({ ready: true, status: status(120) })] })).toEqual([]);
  });
});

describe('what surrounds them', () => {
  it('a quota that is used up, by the Deployment or by the events of its ReplicaSet', () => {
    const message =
      'pods "shop-2" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2';
    const quotas = [{ metadata: { name: 'small' }, status: { hard: { pods: '2' }, used: { pods: '2' } } }];
    const conditions = [{ type: 'ReplicaFailure', status: 'True' as const, reason: 'FailedCreate', message }];
    const [cause] = causesOf({ workloads: [workloadWith({ conditions })], quotas });
    expect(cause).toMatchObject({ rule: 'quota' });
    expect(cause?.evidence).toContain('quota small: 2 of 2 pods used');
    const events = [eventWith('FailedCreate', `Error creating: ${message}`, 'shop-rs', 'ReplicaSet')];
    expect(rulesOf({ workloads: [workloadWith({ replicas: 2 })], events, pods: [podWith()] })).toEqual([
      'quota',
    ]);
    // Refused once, and there all the same.
    expect(rulesOf({ workloads: [workloadWith()], events, pods: [podWith()] })).toEqual([]);
  });

  it('a selector that matches nothing, beside what it may have meant', () => {
    const typo = { ...service, spec: { ...service.spec, selector: { app: 'shpo' } } };
    const [cause] = causesOf({ services: [typo], workloads: [workloadWith()] });
    expect(cause).toMatchObject({ rule: 'selector-matches-nothing' });
    expect(cause?.evidence).toEqual(['Deployment shop has pods with app=shop']);
  });

  it('a Service whose pods are scaled to 0', () => {
    expect(rulesOf({ services: [service], workloads: [workloadWith({ replicas: 0 })] })).toEqual([
      'scaled-to-zero',
    ]);
  });

  it('a named port that no container has', () => {
    const ports = [{ port: 80, targetPort: 'http' }];
    const named = { ...service, spec: { ...service.spec, ports } };
    expect(rulesOf({ services: [named], pods: [podWith()], slices: slices() })).toEqual(['wrong-port']);
  });

  it('no endpoint that is ready follows from what keeps the pods', () => {
    const pods = [podWith(waiting('ImagePullBackOff'))];
    expect(rulesOf({ services: [service], pods, slices: slices(false) })).toEqual([
      'image-pull',
      'no-endpoints',
    ]);
    // Not read is not none.
    expect(rulesOf({ services: [service], pods, slices: null })).toEqual(['image-pull']);
  });

  it('a host name that is not known: tried from the pod, or said in the log of one that is ailing', () => {
    const reach = {
      pod: 'shop-1',
      container: 'web',
      variable: 'DATABASE_URL',
      host: 'db.nowhere',
      port: 5432,
    };
    expect(causesOf({ reaches: [{ ...reach, state: 'unknown-name' }] })).toMatchObject([
      { rule: 'dns', title: 'The host name db.nowhere is not known in the pod.' },
    ]);
    const logs = [
      {
        pod: 'shop-1',
        container: 'web',
        previous: true,
        lines: ['could not translate host name "db" to address'],
      },
    ];
    const status = {
      restartCount: 3,
      state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: ended(1),
    };
    expect(rulesOf({ pods: [podWith({ status })], logs })).toEqual(['dns', 'crash-loop']);
    expect(rulesOf({ pods: [podWith()], logs })).toEqual([]);
  });

  it('a database that refuses connections, before the probe that fails for it', () => {
    const reaches = [
      {
        pod: 'shop-1',
        container: 'web',
        variable: 'DATABASE_URL',
        host: 'db',
        port: 5432,
        state: 'refused' as const,
      },
    ];
    const events = [eventWith('Unhealthy', 'Readiness probe failed: HTTP probe failed with statuscode: 503')];
    expect(rulesOf({ reaches, events, pods: [podWith({ ready: false })] })).toEqual([
      'dependency',
      'failing-probe',
    ]);
  });

  it.each([
    ['cpu', 'cpu-limit', { cpu: 0.95, memory: undefined }, '1'],
    ['memory', 'memory-limit', { cpu: undefined, memory: 95 * 2 ** 20 }, '100Mi'],
  ] as const)('%s at its limit', (resource, rule, usage, limit) => {
    const pods = [podWith({ container: { resources: { limits: { [resource]: limit } } } })];
    expect(causesOf({ pods, usage: [{ pod: 'shop-1', container: 'web', ...usage }] })).toMatchObject([
      { rule, severity: 'risk' },
    ]);
    expect(rulesOf({ pods, usage: [{ pod: 'shop-1', container: 'web', cpu: 0.1, memory: 1 }] })).toEqual([]);
  });

  it('an autoscaler that would add more than it may', () => {
    const scaler = (reason: string) => ({
      metadata: { name: 'shop' },
      spec: { maxReplicas: 3, scaleTargetRef: { kind: 'Deployment', name: 'shop' } },
      status: {
        currentReplicas: 3,
        conditions: [{ type: 'ScalingLimited', status: 'True' as const, reason }],
      },
    });
    expect(rulesOf({ autoscalers: [scaler('TooManyReplicas')] })).toEqual(['autoscaler-at-max']);
    expect(rulesOf({ autoscalers: [scaler('TooFewReplicas')] })).toEqual([]);
  });

  it('a disruption budget that allows nothing', () => {
    const budget = (disruptionsAllowed: number) => ({
      metadata: { name: 'shop' },
      spec: { selector: { matchLabels: labels } },
      status: { disruptionsAllowed, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 },
    });
    expect(rulesOf({ pods: [podWith()], budgets: [budget(0)] })).toEqual(['budget-blocks']);
    expect(rulesOf({ pods: [podWith()], budgets: [budget(1)] })).toEqual([]);
  });

  it('errors, where there are enough requests to speak of a share', () => {
    const figures = (requests: number, errors: number | null) => ({
      pod: 'shop-1',
      path: '/metrics',
      requests,
      errors,
      mean: null,
    });
    expect(causesOf({ requests: [figures(100, 20)] })).toMatchObject([
      { rule: 'errors', title: '20.0 % of the requests were answered with 5xx.' },
    ]);
    expect(rulesOf({ requests: [figures(10, 10), figures(1_000, null)] })).toEqual([]);
    expect(rulesOf({ requests: [figures(1_000, 1)] })).toEqual([]);
  });

  it('queries that wait for a lock, and those that run long', () => {
    const query = {
      state: 'active',
      seconds: 40,
      blockedBy: [] as number[],
      waitsFor: '',
      application: '',
      query: 'select …',
    };
    const database = { connections: 10, maxConnections: 100, active: 2 };
    const causes = causesOf({
      database: {
        ...database,
        queries: [
          { ...query, pid: 1 },
          { ...query, pid: 2, blockedBy: [1] },
        ],
      },
    });
    expect(causes.map(({ rule }) => rule)).toEqual(['blocked-database', 'slow-database']);
    expect(causes[0]?.title).toContain('process 1 holds');
    expect(rulesOf({ database: { ...database, connections: 95, queries: [] } })).toEqual(['slow-database']);
    expect(rulesOf({ database: { ...database, queries: [{ ...query, pid: 1, seconds: 1 }] } })).toEqual([]);
  });

  it('what is broken comes before what is a risk', () => {
    const pods = [
      podWith({ name: 'a', unschedulable: 'Insufficient cpu' }),
      podWith({ name: 'b', container: { resources: { limits: { cpu: '1' } } } }),
    ];
    const usage = [{ pod: 'b', container: 'web', cpu: 1, memory: undefined }];
    expect(causesOf({ pods, usage }).map(({ severity }) => severity)).toEqual(['broken', 'risk']);
  });
});

it('the telling line of a log is the last that names an error, else the last', () => {
  expect(tellingLine(['a', 'KeyError: x', 'exiting'])).toBe('KeyError: x');
  expect(tellingLine(['a', 'b'])).toBe('b');
  expect(tellingLine([])).toBeUndefined();
});

it('selectors are met by labels and expressions together', () => {
  const selector = {
    matchLabels: labels,
    matchExpressions: [
      { key: 'tier', operator: 'In', values: ['web'] },
      { key: 'old', operator: 'DoesNotExist' },
    ],
  };
  expect(selects(selector, { ...labels, tier: 'web' })).toBe(true);
  expect(selects(selector, { ...labels, tier: 'db' })).toBe(false);
  expect(selects(selector, { ...labels, tier: 'web', old: '1' })).toBe(false);
});
