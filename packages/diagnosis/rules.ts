import { formatDuration, nearest } from '@deploy-actions/core';
import { hasLabels, type LabelSelector } from '@deploy-actions/kubernetes';
import { type Cause, rank, type Rule } from './causes.ts';
import {
  type EventGroup,
  type Facts,
  isLeaving,
  isPodReady,
  type KindedWorkload,
  statusesOf,
} from './facts.ts';
import { parseQuantity, type RunPod, type VolumeClaim } from './objects.ts';
import { type PodProblem, podProblems } from './pod-states.ts';

/** A rule looks at the facts and says what it makes of them. Pure. */
type Judgement = (facts: Facts) => Cause[];

const list = (names: readonly string[]): string =>
  names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`;

const podsText = (names: readonly string[]): string =>
  names.length === 1 ? `pod ${names[0] ?? ''}` : `${names.length} pods (${list(names)})`;

/** A line of a log that tells the most: the last one that names an error, else the last. */
export function tellingLine(lines: readonly string[]): string | undefined {
  const error =
    /error|exception|fatal|panic|cannot|could not|failed|refused|denied|not found|missing|invalid/i;
  return lines.findLast((line) => error.test(line)) ?? lines.at(-1);
}

/** The last words of a container before it ended: of the run before where there was one. */
function lastWords(facts: Facts, pod: string, container: string | null): string[] {
  const logs = facts.logs.filter(
    (log) => log.pod === pod && log.container === container && log.lines.length > 0,
  );
  const line = tellingLine((logs.find(({ previous }) => previous) ?? logs[0])?.lines ?? []);
  return line === undefined ? [] : [`its last words: ${line}`];
}

function eventsOf(facts: Facts, matches: (event: EventGroup) => boolean): string[] {
  return facts.events
    .filter(matches)
    .slice(0, 2)
    .map(
      ({ reason, message, count }) => `event ${reason}${count > 1 ? ` (${count} times)` : ''}: ${message}`,
    );
}

const wordsFor: Record<PodProblem['rule'], { title(where: string): string; next: string }> = {
  'image-pull': {
    title: (where) => `The image of ${where} cannot be pulled.`,
    next: 'Correct the image’s name, tag or digest, see that it was pushed, and that `imagePullSecrets` lets the pod read it.',
  },
  configuration: {
    title: (where) => `${where} cannot be made: its configuration names what is not there.`,
    next: 'Make the Secret, ConfigMap or key that the message names, in this namespace; or correct the name in the manifest.',
  },
  unschedulable: {
    title: (where) => `No node takes ${where}.`,
    next: 'Lower the requests, free or add nodes, or correct nodeSelector, affinity and tolerations; the message counts what each node lacks.',
  },
  'pending-volume': {
    title: (where) => `The volume of ${where} is not there.`,
    next: 'See `kubectl describe pvc`: a StorageClass that exists, a provisioner that runs, and room for the size that is asked for.',
  },
  'out-of-memory': {
    title: (where) => `${where} is killed because it takes more memory than its limit.`,
    next: 'Raise `resources.limits.memory`, or start fewer workers or threads in the container; if it grows with time, look for a leak.',
  },
  'crash-loop': {
    title: (where) => `${where} starts, ends by itself, and is started again.`,
    next: 'Read its last words and the log of the run before; correct what the application says is wrong, or go back to the version before (`rollback`).',
  },
  'cannot-start': {
    title: (where) => `${where} cannot be started by the node.`,
    next: 'Correct `command`, `args` and `workingDir`: the program has to be in the image, executable, and of the node’s architecture.',
  },
};

/** What the status of the pods says, the same of several pods as one cause. */
const states: Judgement = (facts) => {
  const groups = new Map<string, PodProblem[]>();
  for (const problem of facts.pods.flatMap(podProblems)) {
    const key = `${problem.rule} ${problem.container ?? ''}`;
    groups.set(key, [...(groups.get(key) ?? []), problem]);
  }
  return [...groups.values()].flatMap((problems) => {
    const [first] = problems;
    if (first === undefined) return [];
    const { rule, pod, container } = first;
    const isLiveness = rule === 'crash-loop' && livenessKills(facts, pod);
    // The probe ends it, and is the cause of its own.
    if (isLiveness) return [];
    // The claim says more than the pod that waits for it.
    if (rule === 'pending-volume' && pendingClaims(facts).length > 0) return [];
    const names = [...new Set(problems.map((problem) => problem.pod))];
    const where = container === null ? podsText(names) : `container ${container} of ${podsText(names)}`;
    const { title, next } = wordsFor[rule];
    const limit = rule === 'out-of-memory' ? limitsOf(facts, pod, container) : [];
    const log = ['crash-loop', 'out-of-memory'].includes(rule) ? lastWords(facts, pod, container) : [];
    return [
      {
        rule,
        severity: 'broken' as const,
        title: capital(title(where)),
        evidence: [...new Set(problems.map(({ seen }) => seen))].slice(0, 3).concat(limit, log),
        next,
      },
    ];
  });
};

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function limitsOf(facts: Facts, pod: string, container: string | null): string[] {
  const spec = facts.pods.find(({ metadata }) => metadata.name === pod)?.spec;
  const found = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].find(
    ({ name }) => name === container,
  );
  const memory = found?.resources?.limits?.['memory'];
  return memory === undefined
    ? ['it has no limit of its own: the node ran out of memory']
    : [`its limit is ${memory}`];
}

function livenessKills(facts: Facts, pod: string): boolean {
  return facts.events.some(
    ({ reason, message, objects }) =>
      objects.includes(pod) && reason === 'Killing' && /failed (?:liveness|startup) probe/.test(message),
  );
}

const liveness: Judgement = (facts) => {
  const killed = facts.pods.map(({ metadata }) => metadata.name).filter((pod) => livenessKills(facts, pod));
  if (killed.length === 0) return [];
  const isRunning = facts.pods.filter(({ metadata }) => killed.includes(metadata.name)).every(isPodReady);
  return [
    {
      rule: 'liveness-probe',
      severity: isRunning ? 'risk' : 'broken',
      title: `The liveness or startup probe of ${podsText(killed)} fails, and the container is killed for it.`,
      evidence: [
        ...eventsOf(
          facts,
          ({ reason, message }) => reason === 'Unhealthy' && /Liveness|Startup/.test(message),
        ),
        ...eventsOf(facts, ({ reason, message }) => reason === 'Killing' && /probe/.test(message)),
      ],
      next: 'Give it longer (a `startupProbe`, `failureThreshold`, `timeoutSeconds`), and let liveness ask only whether the process is alive, not its database.',
    },
  ];
};

const probes: Judgement = (facts) => {
  const failing = facts.pods.filter((pod) => {
    if (isPodReady(pod) || isLeaving(pod) || podProblems(pod).length > 0) return false;
    if (livenessKills(facts, pod.metadata.name)) return false;
    const { name } = pod.metadata;
    const isRunning = (pod.status?.containerStatuses ?? []).some(
      ({ ready, state }) => !ready && state?.running !== undefined,
    );
    return (
      isRunning &&
      facts.events.some(({ reason, objects }) => reason === 'Unhealthy' && objects.includes(name))
    );
  });
  if (failing.length === 0) return [];
  const names = failing.map(({ metadata }) => metadata.name);
  const [pod] = failing;
  const container = pod?.status?.containerStatuses?.find(({ ready }) => !ready)?.name ?? null;
  return [
    {
      rule: 'failing-probe',
      severity: 'broken',
      title: `The readiness probe of ${podsText(names)} fails: ${names.length === 1 ? 'it runs' : 'they run'} and ${names.length === 1 ? 'gets' : 'get'} no traffic.`,
      evidence: [
        ...eventsOf(
          facts,
          ({ reason, objects }) => reason === 'Unhealthy' && objects.some((name) => names.includes(name)),
        ),
        ...lastWords(facts, names[0] ?? '', container),
      ],
      next: 'Ask the path and port of the probe yourself (`kubectl port-forward`): what does the application answer there, and which of its checks fails?',
    },
  ];
};

const quota: Judgement = (facts) => {
  const refused = eventsOf(
    facts,
    ({ reason, message }) => reason === 'FailedCreate' && /exceeded quota|quota/.test(message),
  );
  const conditions = facts.workloads.flatMap(({ kind, metadata, status }) =>
    (status?.conditions ?? [])
      .filter(
        ({ type, status: value, message = '' }) =>
          type === 'ReplicaFailure' && value === 'True' && /quota/.test(message),
      )
      .map(({ message }) => `${kind} ${metadata.name}: ${message ?? ''}`),
  );
  if (conditions.length === 0 && (refused.length === 0 || !isShort(facts))) return [];
  const used = facts.quotas.flatMap(({ metadata, status }) =>
    Object.entries(status?.hard ?? {}).map(
      ([name, hard]) => `quota ${metadata.name}: ${status?.used?.[name] ?? '0'} of ${hard} ${name} used`,
    ),
  );
  return [
    {
      rule: 'quota',
      severity: 'broken',
      title: 'The quota of the namespace does not allow another pod.',
      evidence: [...conditions, ...(conditions.length > 0 ? [] : refused), ...used].slice(0, 6),
      next: 'Raise the quota, lower the requests of the pods, or scale down what is not needed (a colour that is kept after a release).',
    },
  ];
};

/** Whether there are fewer pods than are asked for. */
function isShort(facts: Facts): boolean {
  const wanted = facts.workloads.reduce(
    (sum, { kind, spec }) => sum + (kind === 'DaemonSet' ? 0 : (spec.replicas ?? 1)),
    0,
  );
  return facts.pods.filter((pod) => !isLeaving(pod)).length < wanted;
}

/** Claims of the pods without a volume. */
function pendingClaims(facts: Facts): VolumeClaim[] {
  const used = new Set(
    facts.pods.flatMap(({ spec }) =>
      (spec.volumes ?? []).flatMap(({ persistentVolumeClaim: claim }) => claim?.claimName ?? []),
    ),
  );
  return facts.claims.filter(({ metadata, status }) => used.has(metadata.name) && status?.phase !== 'Bound');
}

const claims: Judgement = (facts) => {
  const pending = pendingClaims(facts);
  if (pending.length === 0 || facts.pods.every(isPodReady)) return [];
  return [
    {
      rule: 'pending-volume',
      severity: 'broken',
      title: `The claim ${list(pending.map(({ metadata }) => metadata.name))} has no volume.`,
      evidence: [
        ...pending.map(
          ({ metadata, spec, status }) =>
            `${metadata.name} is ${status?.phase ?? 'not bound'}, StorageClass ${spec?.storageClassName ?? '(default)'}, asks for ${spec?.resources?.requests?.['storage'] ?? '?'}`,
        ),
        ...eventsOf(facts, ({ kind }) => kind === 'PersistentVolumeClaim'),
      ],
      next: wordsFor['pending-volume'].next,
    },
  ];
};

const noName =
  /could not translate host name|name or service not known|temporary failure in name resolution|getaddrinfo|ENOTFOUND|EAI_AGAIN|no such host|nodename nor servname|server misbehaving|NXDOMAIN/i;

const dns: Judgement = (facts) => {
  const unknown = facts.reaches.filter(({ state }) => state === 'unknown-name');
  const said = facts.logs.flatMap(({ pod, container, lines }) => {
    const isAiling = facts.pods.some((one) => one.metadata.name === pod && !isPodReady(one));
    const line = isAiling ? lines.findLast((text) => noName.test(text)) : undefined;
    return line === undefined ? [] : [`${pod}/${container} says: ${line}`];
  });
  if (unknown.length === 0 && said.length === 0) return [];
  return [
    {
      rule: 'dns',
      severity: 'broken',
      title:
        unknown.length === 0
          ? 'A host name that the application needs is not known.'
          : `The host name ${list([...new Set(unknown.map(({ host }) => host))])} is not known in the pod.`,
      evidence: [
        ...unknown.map(({ pod, variable, host }) => `${host} (${variable}) from ${pod}: no such name`),
        ...said,
      ].slice(0, 4),
      next: 'Correct the name (a Service of another namespace is `name.namespace`), see that the Service exists, that CoreDNS runs, and that a NetworkPolicy lets port 53 out.',
    },
  ];
};

const dependencies: Judgement = (facts) => {
  const failing = facts.reaches.filter(({ state }) => state === 'refused' || state === 'unreachable');
  const groups = Map.groupBy(failing, ({ host, port }) => `${host}:${port}`);
  return [...groups].map(([place, reaches]): Cause => ({
    rule: 'dependency',
    severity: 'broken',
    title: `${place} (${reaches[0]?.variable ?? ''}) cannot be reached from inside the pod.`,
    evidence: reaches.map(
      ({ pod, state }) =>
        `from ${pod}: ${state === 'refused' ? 'the connection is refused: nothing listens there' : 'no connection within 3 s'}`,
    ),
    next: 'See whether it runs and listens on that address and port, and whether a NetworkPolicy or firewall lets the pod connect.',
  }));
};

function labelText(labels: Record<string, string> | undefined): string {
  const text = Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  return text === '' ? 'no labels' : text;
}

/** The workloads that may have been meant: the one whose labels are written most like the selector first. */
function likest(selector: Record<string, string>, workloads: readonly KindedWorkload[]): KindedWorkload[] {
  const textOf = ({ spec }: KindedWorkload) => labelText(spec.template.metadata?.labels);
  const like = nearest(labelText(selector), workloads.map(textOf));
  const isLike = (workload: KindedWorkload) => Number(textOf(workload) === like);
  return workloads.toSorted((a, b) => isLike(b) - isLike(a)).slice(0, 5);
}

const endpoints: Judgement = (facts) =>
  facts.services.flatMap((service): Cause[] => {
    const { name } = service.metadata;
    const selector = service.spec.selector ?? {};
    if (Object.keys(selector).length === 0) return [];
    const pods = facts.pods.filter((pod) => hasLabels(pod.metadata.labels, selector) && !isLeaving(pod));
    const behind = facts.workloads.filter(({ spec }) => hasLabels(spec.template.metadata?.labels, selector));
    if (pods.length === 0 && behind.length === 0) {
      return [
        {
          rule: 'selector-matches-nothing',
          severity: 'broken',
          title: `The selector of Service ${name} (${labelText(selector)}) matches no pod.`,
          evidence: likest(selector, facts.workloads).map(
            ({ kind, metadata, spec }) =>
              `${kind} ${metadata.name} has pods with ${labelText(spec.template.metadata?.labels)}`,
          ),
          next: 'Make the selector of the Service and the labels of the pod template the same, letter by letter.',
        },
      ];
    }
    const asleep =
      behind.length > 0 &&
      behind.every(({ kind, spec }) => kind !== 'DaemonSet' && (spec.replicas ?? 1) === 0);
    if (pods.length === 0 && asleep) {
      return [
        {
          rule: 'scaled-to-zero',
          severity: 'broken',
          title: `Service ${name} sends to ${list(behind.map(({ metadata }) => metadata.name))}, which is scaled to 0.`,
          evidence: behind.map(({ kind, metadata }) => `${kind} ${metadata.name}: replicas 0`),
          next: 'Scale it up, or switch the Service to the colour that has pods (`rollback`).',
        },
      ];
    }
    const wrong = portsMissing(service.spec.ports ?? [], pods);
    if (wrong.length > 0) {
      return [
        {
          rule: 'wrong-port',
          severity: 'broken',
          title: `Service ${name} sends to a port that its pods do not name.`,
          evidence: wrong,
          next: 'Name the port in the container (`ports: [{name, containerPort}]`), or write its number as `targetPort`.',
        },
      ];
    }
    if (facts.slices === null) return [];
    const ready = facts.slices
      .filter(({ metadata }) => metadata.labels?.['kubernetes.io/service-name'] === name)
      .flatMap(({ endpoints: found }) => found ?? [])
      .filter(({ conditions }) => conditions?.ready !== false);
    if (ready.length > 0) return [];
    return [
      {
        rule: 'no-endpoints',
        severity: 'broken',
        title: `Service ${name} has no endpoint that is ready: every request fails.`,
        evidence: [`${pods.filter(isPodReady).length} of ${pods.length} pods behind it are ready`],
        next: 'Have its pods become ready; the causes beside this one say what keeps them.',
      },
    ];
  });

function portsMissing(
  ports: readonly { port: number; targetPort?: number | string }[],
  pods: RunPod[],
): string[] {
  if (pods.length === 0) return [];
  return ports.flatMap(({ port, targetPort }) => {
    if (typeof targetPort !== 'string' || /^\d+$/.test(targetPort)) return [];
    const isNamed = pods.some(({ spec }) =>
      spec.containers.some(({ ports: own }) => own?.some(({ name }) => name === targetPort)),
    );
    return isNamed ? [] : [`port ${port} leads to "${targetPort}"; no container has a port of that name`];
  });
}

/** Milliseconds within which a restart counts as one of now. */
const recently = 60 * 60 * 1_000;

const restarts: Judgement = (facts) => {
  const found = facts.pods.flatMap((pod) => {
    if (podProblems(pod).length > 0 || livenessKills(facts, pod.metadata.name)) return [];
    return statusesOf(pod).flatMap((status) => {
      const ended = status.lastState?.terminated;
      const at = Date.parse(ended?.finishedAt ?? '');
      if (status.restartCount < 3 || !(facts.now - at < recently)) return [];
      return [{ pod, status, at }];
    });
  });
  if (found.length === 0) return [];
  return [
    {
      rule: 'restarts',
      severity: 'risk',
      title: `${capital(podsText([...new Set(found.map(({ pod }) => pod.metadata.name))]))} ${found.length === 1 ? 'runs' : 'run'}, and was restarted within the last hour.`,
      evidence: found
        .slice(0, 3)
        .flatMap(({ pod, status, at }) => [
          `${pod.metadata.name}/${status.name}: ${status.restartCount} restarts, the last ${formatDuration(facts.now - at)} ago, ${status.lastState?.terminated?.reason ?? 'ended'} with exit code ${status.lastState?.terminated?.exitCode ?? '?'}`,
          ...lastWords(facts, pod.metadata.name, status.name),
        ]),
      next: 'Read the log of the run before (`previous` in the folder): memory, an exception that ends the process, or a liveness probe.',
    },
  ];
};

/** Part of the limit from which there is no room left. */
const near = 0.9;

const limits: Judgement = (facts) => {
  const causes: Cause[] = [];
  for (const [resource, rule, consequence] of [
    ['cpu', 'cpu-limit', 'and is slowed down'],
    ['memory', 'memory-limit', 'and is killed when it reaches it'],
  ] as const satisfies [string, Rule, string][]) {
    const found = facts.usage.flatMap((usage) => {
      const pod = facts.pods.find(({ metadata }) => metadata.name === usage.pod);
      const container = pod?.spec.containers.find(({ name }) => name === usage.container);
      const written = container?.resources?.limits?.[resource];
      const limit = parseQuantity(written);
      const used = usage[resource];
      if (limit === undefined || used === undefined || limit <= 0 || used < near * limit) return [];
      return [
        `${usage.pod}/${usage.container} takes ${Math.round((used / limit) * 100)} % of its limit of ${written ?? ''}`,
      ];
    });
    if (found.length === 0) continue;
    causes.push({
      rule,
      severity: 'risk',
      title: `${found.length === 1 ? 'A container is' : `${found.length} containers are`} at the limit of ${resource === 'cpu' ? 'CPU' : 'memory'}, ${consequence}.`,
      evidence: found.slice(0, 4),
      next:
        resource === 'cpu'
          ? 'Raise or remove `limits.cpu`, or add replicas.'
          : 'Raise `limits.memory`, or start fewer workers.',
    });
  }
  return causes;
};

const autoscalers: Judgement = (facts) =>
  facts.autoscalers.flatMap(({ metadata, spec, status }): Cause[] => {
    const limited = (status?.conditions ?? []).find(({ type }) => type === 'ScalingLimited');
    const isAtMax =
      (status?.currentReplicas ?? 0) >= spec.maxReplicas &&
      limited?.status === 'True' &&
      limited.reason === 'TooManyReplicas';
    if (!isAtMax) return [];
    return [
      {
        rule: 'autoscaler-at-max',
        severity: 'risk',
        title: `The autoscaler ${metadata.name} is at its maximum of ${spec.maxReplicas} and would add more.`,
        evidence: [
          `${status?.currentReplicas ?? 0} of at most ${spec.maxReplicas} replicas: ${limited.message ?? ''}`,
        ],
        next: 'Raise `maxReplicas` where the nodes have room, or find what takes so much.',
      },
    ];
  });

/** Whether a selector is met by labels: all of both its parts. */
export function selects(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: Record<string, string> = {},
): boolean {
  return (
    hasLabels(labels, matchLabels) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key];
      if (operator === 'In') return value !== undefined && values.includes(value);
      if (operator === 'NotIn') return value === undefined || !values.includes(value);
      return operator === 'Exists' ? value !== undefined : value === undefined;
    })
  );
}

const budgets: Judgement = (facts) =>
  facts.budgets.flatMap(({ metadata, spec, status }): Cause[] => {
    const pods = facts.pods.filter(
      (pod) => spec.selector !== undefined && selects(spec.selector, pod.metadata.labels),
    );
    if (pods.length === 0 || status?.disruptionsAllowed !== 0) return [];
    return [
      {
        rule: 'budget-blocks',
        severity: 'risk',
        title: `The disruption budget ${metadata.name} allows no pod to be moved: draining a node waits for ever.`,
        evidence: [
          `${status.currentHealthy ?? 0} healthy, ${status.desiredHealthy ?? 0} have to be, of ${status.expectedPods ?? 0}`,
        ],
        next: 'Run one replica more than the budget wants, or write it as `maxUnavailable: 1`.',
      },
    ];
  });

/** Enough requests to speak of a share. */
const enough = 20;

const requests: Judgement = (facts) => {
  const counted = facts.requests.filter(({ requests: all, errors }) => all !== null && errors !== null);
  const all = counted.reduce((sum, one) => sum + (one.requests ?? 0), 0);
  const errors = counted.reduce((sum, one) => sum + (one.errors ?? 0), 0);
  if (all < enough || errors / all < 0.05) return [];
  return [
    {
      rule: 'errors',
      severity: 'broken',
      title: `${((errors / all) * 100).toFixed(1)} % of the requests were answered with 5xx.`,
      evidence: counted
        .map(
          ({ pod, requests: own, errors: failed }) =>
            `${pod}: ${failed ?? 0} of ${own ?? 0} since it started`,
        )
        .slice(0, 4),
      next: 'Look for the exception in the logs of the folder; with a version that is new, go back (`rollback`).',
    },
  ];
};

/** Seconds after which a query is long. */
const longQuery = 30;

const database: Judgement = ({ database: facts }) => {
  if (facts === null) return [];
  const causes: Cause[] = [];
  const blocked = facts.queries.filter(({ blockedBy }) => blockedBy.length > 0);
  if (blocked.length > 0) {
    const holders = [...new Set(blocked.flatMap(({ blockedBy }) => blockedBy))];
    causes.push({
      rule: 'blocked-database',
      severity: 'broken',
      title: `${blocked.length === 1 ? 'A query of the database waits' : `${blocked.length} queries of the database wait`} for a lock that process ${list(holders.map(String))} holds.`,
      evidence: [
        ...blocked
          .slice(0, 2)
          .map(
            ({ pid, seconds, query }) => `${pid} waits since ${formatDuration(seconds * 1_000)}: ${query}`,
          ),
        ...facts.queries
          .filter(({ pid }) => holders.includes(pid))
          .slice(0, 2)
          .map(
            ({ pid, state, seconds, query }) =>
              `${pid} is ${state} since ${formatDuration(seconds * 1_000)}: ${query}`,
          ),
      ],
      next: 'See what holds the lock (a migration, a transaction that was left open), and end it with `select pg_terminate_backend(pid)` when it may be ended.',
    });
  }
  const long = facts.queries.filter(
    ({ state, seconds, blockedBy }) => blockedBy.length === 0 && state !== 'idle' && seconds >= longQuery,
  );
  const isFull = facts.connections >= near * facts.maxConnections;
  if (long.length > 0 || isFull) {
    causes.push({
      rule: 'slow-database',
      severity: 'risk',
      title: isFull
        ? `The database has ${facts.connections} of ${facts.maxConnections} connections.`
        : `${long.length === 1 ? 'A query runs' : `${long.length} queries run`} for longer than ${longQuery} s.`,
      evidence: long
        .slice(0, 3)
        .map(
          ({ pid, state, seconds, query }) =>
            `${pid}, ${state}, ${formatDuration(seconds * 1_000)}: ${query}`,
        ),
      next: isFull
        ? 'Use a pool (PgBouncer), or fewer workers with a connection each.'
        : 'Explain the query (`explain (analyze, buffers)`), and see which index it lacks.',
    });
  }
  return causes;
};

const judgements: Judgement[] = [
  states,
  liveness,
  probes,
  quota,
  claims,
  dns,
  dependencies,
  endpoints,
  restarts,
  limits,
  autoscalers,
  budgets,
  requests,
  database,
];

/** The probable causes, the most probable first; empty when nothing is seen to be wrong. Pure. */
export function diagnose(facts: Facts): Cause[] {
  return rank(judgements.flatMap((judgement) => judgement(facts)));
}
